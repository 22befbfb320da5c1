"""A request's body to a file, block by block, within the limits all the while.

::

    body ──paced──▶ blocks ──form──▶ audio ──limit──▶ file ──fsync──▶ on the disk
         408 slow           422            413            507 full
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from sed.service.database import sync_file
from sed.service.multipart import Form
from sed.service.refusals import DISK_FULL, Refusal
from sed.service.settings import Settings

_BLOCK = 1 << 20
"""Bytes that are written at once."""

_OVERHEAD = 1 << 16
"""Bytes that a form may have beside its file."""

_LINGER = (1.0, 1 << 23)
"""Seconds and bytes for which a refused upload is still read: a connection that is closed on one
who sends takes our answer with it."""

_BINARY = ("audio/", "video/", "application/octet-stream", "application/ogg")


@dataclass
class Upload:
    """What came: the audio is at `path`."""

    path: Path
    name: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


async def receive(
    request: Request, path: Path, settings: Settings, *, closing: Callable[[], bool]
) -> Upload:
    """Write a request's audio to the disk.

    Parameters
    ----------
    request : Request
        Its body is the audio, or a form with a field `file`.
    path : Path
        Of a new file; it does not exist after an error.
    settings : Settings
    closing : callable
        Whether the server ends.

    Raises
    ------
    Refusal
        If the upload is too large, too slow, breaks off, is none, or does not fit on the disk.
    """
    body = _Body(request, settings, closing)
    try:
        form = _checked_form(request, settings)
        blocks = body.blocks() if form is None else form.file(body.blocks())
        with path.open("xb") as stream:
            await _write(blocks, stream, settings)
        await run_in_threadpool(sync_file, path)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, ClientDisconnect):
            raise Refusal(400, "the upload broke off") from None
        if isinstance(error, Refusal) and error.status_code not in (408, 503):
            await body.linger()
        raise
    if form is None:
        return Upload(path)
    return Upload(path, form.file_name, form.fields)


def _checked_form(request: Request, settings: Settings) -> Form | None:
    """Parser of the body, None where that is the audio itself; refuses by the headers alone."""
    content_type = request.headers.get("content-type", "application/octet-stream").lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _closing(415, "send the audio as it is, without Content-Encoding")
    is_form = content_type.startswith("multipart/form-data")
    if not is_form and not content_type.startswith(_BINARY):
        raise _closing(
            415,
            f"Content-Type {content_type[:80]!r} is no audio; send audio/*, "
            f"application/octet-stream or a form with a field file",
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        if int(length) > settings.max_size + (_OVERHEAD if is_form else 0):
            raise _too_large(settings)
        if int(length) > shutil.disk_usage(settings.folder).free:
            raise _closing(507, DISK_FULL)
    try:
        return Form(request.headers["content-type"]) if is_form else None
    except ValueError as error:
        raise _closing(422, str(error)) from None


async def linger(request: Request, settings: Settings) -> None:
    """Read for a moment what is refused unseen, so that the answer arrives."""
    await _Body(request, settings, lambda: False).linger()


async def _write(blocks: AsyncIterator[bytes], stream: IO[bytes], settings: Settings) -> None:
    waiting, size = bytearray(), 0
    try:
        async for block in blocks:
            size += len(block)
            if size > settings.max_size:
                raise _too_large(settings)
            waiting += block
            if len(waiting) >= _BLOCK:
                await run_in_threadpool(stream.write, bytes(waiting))
                waiting.clear()
    except ValueError as error:  # of the form
        raise _closing(422, str(error)) from None
    await run_in_threadpool(stream.write, bytes(waiting))
    if size == 0:
        raise _closing(422, "there is no audio: the upload is empty")


class _Body:
    """Blocks of a request's body, as long as they keep coming, and not too many."""

    def __init__(self, request: Request, settings: Settings, closing: Callable[[], bool]) -> None:
        self._request, self._settings, self._closing = request, settings, closing
        self._ended = False

    async def blocks(self) -> AsyncIterator[bytes]:
        """What comes; the last one has been read when this ends."""
        settings = self._settings
        stream, start, received = self._request.stream(), time.monotonic(), 0
        while True:
            try:
                async with asyncio.timeout(settings.upload_timeout):
                    block = await anext(stream, b"")
            except TimeoutError:
                raise _closing(
                    408, f"the upload stood still for {settings.upload_timeout:g} seconds"
                ) from None
            if self._closing():
                raise _closing(503, "the server is ending; send it again later")
            if not block:
                self._ended = True
                return
            received += len(block)
            if received > settings.max_size + _OVERHEAD:
                raise _too_large(settings)
            elapsed = time.monotonic() - start
            if elapsed > settings.upload_timeout and received < settings.min_rate * elapsed:
                raise _closing(
                    408, f"the upload is slower than {settings.min_rate:g} bytes a second"
                )
            yield block

    async def linger(self) -> None:
        """Read on for a moment, into nothing, unless the client waits for us before it sends."""
        seconds, left = _LINGER
        self._ended = self._ended or "expect" in self._request.headers
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(seconds):
                while left > 0 and not self._ended:
                    message = await self._request.receive()
                    self._ended = not message.get("more_body")
                    left -= len(message.get("body", b""))


def _too_large(settings: Settings) -> Refusal:
    return _closing(413, f"the recording is larger than {settings.max_size} bytes, the limit here")


def _closing(status: int, detail: str) -> Refusal:
    """Refusal of what the client may still be sending: the connection ends with it."""
    return Refusal(status, detail, connection="close")
