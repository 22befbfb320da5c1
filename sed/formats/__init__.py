"""Annotation formats: one file each, and a registry by name and file ending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pyannote.core import Annotation

from sed.files import whole_file
from sed.formats.base import AnnotatedRecording, Format
from sed.formats.rttm import RTTM
from sed.formats.structured import JSON
from sed.formats.text import read_text
from sed.formats.uem import read_uem, write_uem
from sed.formats.zed import ZED

FORMATS: dict[str, Format] = {format.name: format for format in (RTTM, JSON, ZED)}
"""Every format by its name; where two share a file ending, the first that recognises the text."""

__all__ = [
    "FORMATS",
    "AnnotatedRecording",
    "AnnotationWriter",
    "Format",
    "format_named",
    "read",
    "read_uem",
    "write",
    "write_uem",
]


def format_named(name: str | None, path: str | Path) -> Format:
    """Format with a name, or the first one with a path's ending.

    Raises
    ------
    ValueError
        If there is none; the message lists what there is.
    """
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
        return FORMATS[name]
    suffix = Path(path).suffix.lower()
    for known in FORMATS.values():
        if suffix in known.suffixes:
            return known
    endings = ", ".join(dict.fromkeys(s for known in FORMATS.values() for s in known.suffixes))
    raise ValueError(f"{path} has no ending of a known format ({endings}); name the format")


def read(
    path: str | Path, *, format: str | None = None, labels: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recordings of an annotation file.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        Name of the format; by default its ending and content tell.
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Raises
    ------
    ValueError
        If the file is malformed; the message names the file and the line or recording.
    OSError
        If the file is missing or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "call.rttm"
    >>> _ = path.write_text("SPEAKER call 1 0.5 1.25 <NA> <NA> happy 0.81 <NA>")
    >>> [recording] = read(path)
    >>> recording.annotation.labels()
    ['happy']
    """
    text = read_text(path)
    chosen = format_named(format, path)
    if format is None and not chosen.recognises(text):
        candidates = [f for f in FORMATS.values() if Path(path).suffix.lower() in f.suffixes]
        chosen = next((f for f in candidates if f.recognises(text)), chosen)
    return chosen.parse(text, str(path), labels)


class AnnotationWriter:
    """Sink for recordings that makes one file of them, whole or not at all.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        Name of the format; by default the file ending tells.
    """

    def __init__(self, path: str | Path, *, format: str | None = None) -> None:
        self.format = format_named(format, path)
        self._file = whole_file(path)
        self._stream: TextIO | None = None
        self._separator = ""

    def __enter__(self) -> AnnotationWriter:
        """Open the temporary file."""
        self._stream = self._file.__enter__()
        self._stream.write(self.format.header)
        return self

    def add(self, recording: AnnotatedRecording | Annotation) -> None:
        """Write one recording."""
        if self._stream is None:
            raise ValueError("an AnnotationWriter is used in a `with` block")
        if isinstance(recording, Annotation):
            recording = AnnotatedRecording(recording)
        self._stream.write(self._separator + self.format.encode(recording))
        self._separator = self.format.separator

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or drop it after an error."""
        if kind is None and self._stream is not None:
            self._stream.write(self.format.footer)
        self._file.__exit__(kind, error, traceback)


def write(
    path: str | Path,
    recordings: AnnotatedRecording | Annotation | Iterable[AnnotatedRecording | Annotation],
    *,
    format: str | None = None,
) -> None:
    """Write recordings to a file that appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    recordings : Annotation, AnnotatedRecording or iterable of them
        An iterable is consumed as a stream.
    format : str, optional
        Name of the format; by default the file ending tells.

    Raises
    ------
    ValueError
        If no format is known by that name or ending.
    OSError
        If the file cannot be written.
    """
    if isinstance(recordings, AnnotatedRecording | Annotation):
        recordings = [recordings]
    with AnnotationWriter(path, format=format) as writer:
        for recording in recordings:
            writer.add(recording)
