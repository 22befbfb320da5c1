"""The one file of a multipart form, as it comes, and the short fields beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_FIELD = 1000
"""Bytes of the longest field that is no file."""

MAX_FIELDS = 20


class Form:
    r"""Parser of one form.

    Parameters
    ----------
    content_type : str
        Header of the request, with the boundary.

    Raises
    ------
    ValueError
        If it names no boundary.

    Examples
    --------
    >>> import asyncio
    >>> async def body():
    ...     yield b'--x\r\nContent-Disposition: form-data; name="channel"\r\n\r\nsplit\r\n'
    ...     yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRI'
    ...     yield b'FF\r\n--x--\r\n'
    >>> form = Form("multipart/form-data; boundary=x")
    >>> async def read():
    ...     return b"".join([block async for block in form.file(body())])
    >>> asyncio.run(read()), form.fields, form.file_name
    (b'RIFF', {'channel': 'split'}, 'a.wav')
    """

    def __init__(self, content_type: str) -> None:
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self._blocks: list[bytes] = []
        self._header = [b"", b""]
        self._disposition = b""
        self._name, self._is_file, self._value = "", False, b""
        self._num_files = self._num_parts = 0
        self._complete = False
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise ValueError("the Content-Type of the form names no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._add_header(
                        0, data[start:end]
                    ),
                    "on_header_value": lambda data, start, end: self._add_header(
                        1, data[start:end]
                    ),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: self._add(data[start:end]),
                    "on_part_end": self._end,
                    "on_end": self._end_form,
                },
            )
        except FormParserError as error:
            raise ValueError(f"the form cannot be read: {error}") from None

    async def file(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Blocks of the file; once they have ended, `fields` and `file_name` are known.

        Raises
        ------
        ValueError
            If the form is malformed or does not hold one field `file`.
        """
        async for block in body:
            try:
                self._parser.write(block)
            except FormParserError as error:
                raise ValueError(f"the form cannot be read: {error}") from None
            blocks, self._blocks = self._blocks, []
            for found in blocks:
                yield found
        if not self._complete:
            raise ValueError("the form breaks off")
        if self._num_files == 0:
            raise ValueError("the form has no field called file; send one: curl -F file=@call.wav")

    def _begin(self) -> None:
        self._disposition, self._value = b"", b""
        self._num_parts += 1
        if self._num_parts > MAX_FIELDS:
            raise ValueError(f"the form has more than {MAX_FIELDS} fields")

    def _add_header(self, place: int, data: bytes) -> None:
        self._header[place] += data

    def _end_header(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _end_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == "file"
        if self._is_file:
            self._num_files += 1
            if self._num_files > 1:
                raise ValueError("the form has several files; send one at a time")
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace") or None

    def _add(self, data: bytes) -> None:
        if self._is_file:
            self._blocks.append(data)
        elif len(self._value) + len(data) > MAX_FIELD:
            raise ValueError(f"the field {self._name[:40]!r} of the form is too long")
        else:
            self._value += data

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._value.decode("utf-8", "replace")

    def _end_form(self) -> None:
        self._complete = True
