"""Parquet datasets of whole archives: a row for each channel of each recording, read as a stream.

::

    emotions/
      _sed.json                  what made it
      part=3f/3f9c…e1.parquet    rows of some recordings

`sed.archive` writes them; any program that reads Parquet reads the parts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.core import Annotation

from sed.files import whole_file
from sed.formats.base import AnnotatedRecording, checked_emotion, checked_segment, place
from sed.formats.structured import load_object, optional_duration
from sed.formats.text import read_text
from sed.labels import confidence_of

SETTINGS_FILE = "_sed.json"
"""File that tells a dataset from any other folder."""

LAYOUT = 1
"""Version of the layout, under the key ``sed`` of that file."""

_BATCH = 64
"""Rows that are decoded at once: one of a long call holds thousands of segments."""


@dataclass(frozen=True, eq=False)
class Row:
    """One channel of one recording, or a recording that failed.

    Parameters
    ----------
    path : str
        As it was given or found; may be a URI.
    uri : str
        Name of the recording.
    channel : int or None
        Counted from 1; None where the recording failed.
    duration, speech : float or None
        Seconds of the recording, and of speech in it.
    annotation : Annotation or None
        Its labels are `sed.labels.Emotion`; None where the recording failed.
    error : str or None
        Why it failed; None where all is well.

    Raises
    ------
    ValueError
        If there is neither an annotation with its channel nor an error, or both.

    Examples
    --------
    >>> Row("calls/a.wav", "a", None, None, None, None, "no audio in it").error
    'no audio in it'
    """

    path: str
    uri: str
    channel: int | None
    duration: float | None
    speech: float | None
    annotation: Annotation | None
    error: str | None

    def __post_init__(self) -> None:
        """Refuse a row that says nothing, or both."""
        is_whole = self.annotation is not None and self.channel is not None
        if is_whole is not (self.error is None):
            raise ValueError(
                f"{self.path}: a row holds an annotation with its channel, or an error; not "
                f"{'both' if is_whole else 'neither'}"
            )

    @property
    def recording(self) -> AnnotatedRecording:
        """The same as every format has it.

        Raises
        ------
        ValueError
            If the recording failed.
        """
        if self.annotation is None or self.channel is None:
            raise ValueError(f"{self.path}: {self.error}")
        path = None if "://" in self.path else Path(self.path)
        return AnnotatedRecording(self.annotation, self.duration, self.channel, path)


def load_pyarrow() -> Any:
    """pyarrow, with its Parquet.

    Raises
    ------
    ValueError
        If it is not installed; the message says how to.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ValueError(
            "a Parquet dataset needs pyarrow: pip install 'speech-emotion-diarization[archive]'"
        ) from None
    return pyarrow


def is_dataset(path: str | Path) -> bool:
    """Whether a path is a folder that holds, or is to hold, the emotions of an archive.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> before = is_dataset(folder)
    >>> _ = (folder / "_sed.json").write_text('{"sed": 1, "model": "timnet-mfcc"}')
    >>> before, is_dataset(folder)
    (False, True)
    """
    try:
        return isinstance(_content(Path(path) / SETTINGS_FILE).get("sed"), int)
    except (OSError, ValueError):
        return False


def settings_of(folder: str | Path) -> dict[str, Any]:
    """What a dataset was made with.

    Raises
    ------
    ValueError
        If the folder says nothing of that.
    OSError
        If it cannot be read.
    """
    path = Path(folder) / SETTINGS_FILE
    settings = _content(path)
    version = settings.pop("sed", None)
    if not isinstance(version, int):
        raise ValueError(f"{path}: no settings of a dataset, which have a number 'sed'")
    if version > LAYOUT:
        raise ValueError(f"{path}: made by a later version of this package; update it")
    return settings


def _content(path: Path) -> dict[str, Any]:
    return load_object(read_text(path), str(path))


def part_files(folder: str | Path) -> list[Path]:
    """Files of a dataset that hold rows, in order; none that a killed writer left unfinished."""
    return sorted(Path(folder).glob("part=*/[!.]*.parquet"))


def read_dataset(
    folder: str | Path, *, labels: Mapping[str, str] | None = None
) -> Iterator[tuple[Row, Path]]:
    """Rows of a dataset as a stream, each with the file it stands in.

    Parameters
    ----------
    folder : str or Path
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Raises
    ------
    ValueError
        If the folder is no dataset, a file of it is damaged (the message names it), or pyarrow is
        not installed.
    OSError
        If a file cannot be read.
    """
    settings_of(folder)
    for part in part_files(folder):
        for row in read_part(part, labels=labels):
            yield row, part


def read_part(part: Path, *, labels: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Rows of one file; errors are those of `read_dataset`."""
    for cells in read_columns(part, _schema().names, num_rows=_BATCH):
        with _naming_damage(part):
            row = _row(cells, labels)
        yield row


def read_columns(
    part: Path, columns: Sequence[str], *, num_rows: int = 8192
) -> Iterator[dict[str, Any]]:
    """Some cells of the rows of one file, `num_rows` rows in memory at once.

    Raises
    ------
    ValueError
        If the file is damaged, or pyarrow is not installed.
    OSError
        If it cannot be read.
    """
    parquet = load_pyarrow().parquet
    with _naming_damage(part), part.open("rb") as stream:
        file = parquet.ParquetFile(stream, page_checksum_verification=True)
        if not file.schema_arrow.equals(_schema()):
            raise ValueError("its columns are others")
        for batch in file.iter_batches(num_rows, columns=list(columns), use_threads=False):
            yield from batch.to_pylist()


def write_part(part: Path, rows: Iterable[Row]) -> None:
    """Write rows to a file, whole or not at all; the same rows are the same bytes.

    Times are kept to the microsecond and confidences to four digits, as in JSON.

    Raises
    ------
    ValueError
        If pyarrow is not installed.
    OSError
        If the file cannot be written; the error names it.
    """
    pyarrow = load_pyarrow()
    table = pyarrow.Table.from_pylist([_cells(row) for row in rows], schema=_schema())
    content = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, content, compression="zstd", write_page_checksum=True)
    try:
        with whole_file(part) as stream:
            stream.buffer.write(content.getvalue())
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(part)  # a full disk does not say whose
        raise


def storable(text: str) -> str:
    r"""Text as UTF-8 can hold it: bytes of a file's name that are none become escapes.

    Examples
    --------
    >>> print(storable("früh.wav"), storable("fr\udcfch.wav"))
    früh.wav fr\udcfch.wav
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _schema() -> Any:
    """Columns and their types."""
    pa = load_pyarrow()
    segment = {
        "start": pa.float64(),
        "end": pa.float64(),
        "emotion": pa.string(),
        "confidence": pa.float32(),
    }
    return pa.schema(
        {
            "path": pa.string(),
            "uri": pa.string(),
            "channel": pa.int32(),
            "duration": pa.float64(),
            "speech": pa.float64(),
            "segments": pa.list_(pa.struct(segment)),
            "error": pa.string(),
        }
    )


def _cells(row: Row) -> dict[str, Any]:
    """Row as a dataset holds it."""
    segments = None
    if row.annotation is not None:
        segments = [
            {
                "start": round(segment.start, 6),
                "end": round(segment.end, 6),
                "emotion": str(label),
                "confidence": _rounded(confidence_of(label), 4),
            }
            for segment, _, label in row.annotation.itertracks(yield_label=True)
        ]
    return {
        "path": storable(row.path),
        "uri": storable(row.uri),
        "channel": row.channel,
        "duration": _rounded(row.duration, 6),
        "speech": _rounded(row.speech, 6),
        "segments": segments,
        "error": None if row.error is None else storable(row.error),
    }


def _row(cells: Mapping[str, Any], labels: Mapping[str, str] | None) -> Row:
    """Row of a dataset; a ValueError says which recording is not as it should be."""
    path, uri, segments = cells["path"], cells["uri"], cells["segments"]
    if not path or not uri:
        raise ValueError("a row without a path or uri")
    annotation = None if segments is None else Annotation(uri=uri)
    where = f"recording {uri!r}"
    for cell in segments or ():
        confidence = _rounded(cell["confidence"], 4)  # which 32 bits hold as 0.8100000024
        segment = checked_segment(where, cell["start"], cell["end"])
        place(
            where, annotation, segment, checked_emotion(where, cell["emotion"], confidence, labels)
        )
    return Row(
        path,
        uri,
        cells["channel"],
        optional_duration(where, cells["duration"]),
        optional_duration(where, cells["speech"]),
        annotation,
        cells["error"],
    )


def _rounded(value: float | None, num_digits: int) -> float | None:
    return None if value is None else round(value, num_digits)


@contextlib.contextmanager
def _naming_damage(part: Path) -> Iterator[None]:
    """One line about a file that cannot be understood; a system's error stays what it is."""
    pyarrow = load_pyarrow()
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = (" ".join(str(error).split()) or type(error).__name__)[:120]
        raise ValueError(
            f"{part}: damaged, or no part of a dataset ({reason}); remove it, and the command that "
            "made it makes it again"
        ) from None
