"""Annotation formats: one file each, and a registry by name and file ending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import TextIO

from pyannote.core import Annotation

from sed.errors import naming
from sed.files import whole_file
from sed.formats.audacity import AUDACITY
from sed.formats.base import AnnotatedRecording, Format
from sed.formats.elan import ELAN
from sed.formats.folders import named_after, one_file_each
from sed.formats.parquet import SETTINGS_FILE, is_dataset, read_dataset
from sed.formats.rttm import RTTM
from sed.formats.structured import JSON
from sed.formats.subtitles import SRT, VTT
from sed.formats.table import CSV
from sed.formats.text import read_text
from sed.formats.textgrid import TEXTGRID
from sed.formats.uem import read_uem, write_uem
from sed.formats.zed import ZED

FORMATS: dict[str, Format] = {
    format.name: format for format in (RTTM, JSON, ZED, TEXTGRID, ELAN, AUDACITY, CSV, VTT, SRT)
}
"""Every format by its name; where two share a file ending, the first that recognises the text."""

_OF_MANY_KINDS = (".txt", ".csv")
"""Endings that say little: in a folder, most files of such a name are something else."""

__all__ = [
    "FORMATS",
    "AnnotatedRecording",
    "AnnotationWriter",
    "Format",
    "find_annotations",
    "format_named",
    "is_dataset",
    "named_after",
    "one_file_each",
    "read",
    "read_dataset",
    "read_uem",
    "write",
    "write_each",
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
    for known in FORMATS.values():
        if known.is_ending_of(path):
            return known
    endings = ", ".join(dict.fromkeys(s for known in FORMATS.values() for s in known.suffixes))
    raise ValueError(f"{path} has no ending of a known format ({endings}); name the format")


def read(
    path: str | Path,
    *,
    format: str | None = None,
    labels: Mapping[str, str] | None = None,
    below: str | Path | None = None,
) -> list[AnnotatedRecording]:
    """Recordings of an annotation file.

    Parameters
    ----------
    path : str or Path
    format : str, optional
        Name of the format; by default its ending and content tell.
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.
    below : str or Path, optional
        Folder that the file is read as a part of. A recording that is named by its file is then
        named by its path in the folder, and an RTTM without a line stands for the recording that
        it is named after: that is what one without emotions looks like.

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
        candidates = (f for f in FORMATS.values() if f.is_ending_of(path))
        chosen = next((f for f in candidates if f.recognises(text)), chosen)
    recordings = chosen.parse(text, str(path), labels)
    if below is not None:
        if chosen is RTTM and not recordings:
            recordings = [AnnotatedRecording(Annotation())]
        if chosen.single or recordings and recordings[0].annotation.uri is None:
            for recording in recordings:
                recording.annotation.uri, _ = named_after(PurePath(path).relative_to(below))
    return recordings


def find_annotations(folder: str | Path, *, format: str | None = None) -> list[Path]:
    """Annotation files of a folder and its folders, in order, hidden ones left out.

    A ``.txt`` or ``.csv`` file counts if it begins as a label track or a table of emotions; a
    Parquet dataset, which is a folder, does not.

    Parameters
    ----------
    folder : str or Path
    format : str, optional
        Name of the only format to look for.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.TextGrid", "b.srt", "c.wav", "notes.txt"):
    ...     _ = (folder / name).write_text("to do")
    >>> [path.name for path in find_annotations(folder)]
    ['a.TextGrid', 'b.srt']
    """
    formats = FORMATS.values() if format is None else [format_named(format, "")]
    return sorted(
        path
        for path in Path(folder).rglob("*")
        if not path.name.startswith(".")
        and path.is_file()
        and not (path.name == SETTINGS_FILE and is_dataset(path.parent))
        and any(known.is_ending_of(path) and _begins_as(known, path) for known in formats)
    )


def _begins_as(format: Format, path: Path) -> bool:
    """Whether a file may be of the format whose ending it has."""
    if path.suffix.lower() not in _OF_MANY_KINDS:
        return True
    try:
        return format.recognises(read_text(path))
    except ValueError:
        return False


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
        self._path = path
        self._file = whole_file(path)
        self._stream: TextIO | None = None
        self._num_recordings = 0
        self._collected: list[AnnotatedRecording] = []

    def __enter__(self) -> AnnotationWriter:
        """Open the temporary file."""
        self._stream = self._file.__enter__()
        self._stream.write(self.format.header)
        return self

    def add(self, recording: AnnotatedRecording | Annotation) -> None:
        """Write one recording.

        Raises
        ------
        ValueError
            If the format holds one recording and has it, or cannot hold this one.
        """
        if self._stream is None:
            raise ValueError("an AnnotationWriter is used in a `with` block")
        if isinstance(recording, Annotation):
            recording = AnnotatedRecording(recording)
        if self.format.single and self._num_recordings:
            raise ValueError(
                f"{self._path}: {self.format.name} holds one recording (or channel) per file; "
                "write a folder, as sed diarize --out FOLDER and sed label FROM FOLDER/ do"
            )
        self._num_recordings += 1
        if self.format.document is not None:
            self._collected.append(recording)
            return
        separator = self.format.separator if self._num_recordings > 1 else ""
        self._stream.write(separator + self.format.encode(recording))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or drop it after an error."""
        if kind is not None or self._stream is None:
            self._file.__exit__(kind, error, traceback)
            return
        with ExitStack() as stack:
            stack.push(self._file)  # which drops the file if its end cannot be written
            if self.format.single and not self._num_recordings:
                raise ValueError(f"{self._path}: {self.format.name} holds one recording, not none")
            if self.format.document is not None:
                self._stream.write(self.format.document(self._collected))
            self._stream.write(self.format.footer)


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
        If no format is known by that name or ending, or it cannot hold the recordings.
    OSError
        If the file cannot be written.
    """
    if isinstance(recordings, AnnotatedRecording | Annotation):
        recordings = [recordings]
    with AnnotationWriter(path, format=format) as writer:
        for recording in recordings:
            writer.add(recording)


def write_each(
    folder: str | Path, recordings: Iterable[AnnotatedRecording], format: Format
) -> None:
    """Write recordings to files of a folder, each whole or not at all; see `one_file_each`.

    Raises
    ------
    ValueError
        If a uri leads out of the folder, or the format cannot hold a recording.
    OSError
        If a file cannot be written; the error names it.
    """
    for name, held in one_file_each(recordings, format):
        path = Path(folder) / name
        with naming(path):
            write(path, held, format=format.name)
