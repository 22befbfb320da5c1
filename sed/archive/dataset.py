"""The emotions of an archive as a Parquet dataset that many write and that can be gone on with."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sed.files import whole_file
from sed.formats import AnnotatedRecording
from sed.formats.parquet import (
    LAYOUT,
    SETTINGS_FILE,
    Row,
    is_dataset,
    load_pyarrow,
    part_files,
    read_columns,
    read_dataset,
    read_part,
    settings_of,
    storable,
    write_part,
)

__all__ = ["Dataset", "Row", "Seen", "is_dataset"]

_NAME = re.compile(r"[0-9a-z]{2,200}")


@dataclass(frozen=True)
class Dataset:
    """Folder of Parquet files, in each the rows of some recordings.

    Nothing is locked: files appear whole, and are named by what they hold, so writers that do the
    same work twice replace each other's file by an equal one.

    Parameters
    ----------
    folder : Path

    Examples
    --------
    >>> import tempfile
    >>> from pyannote.core import Annotation, Segment
    >>> dataset = Dataset.open(Path(tempfile.mkdtemp()) / "emotions", {"model": "timnet-mfcc"})
    >>> call = Annotation(uri="call")
    >>> call[Segment(0.5, 1.75)] = "angry"
    >>> _ = dataset.write("3f9c", [Row("call.wav", "call", 1, 12.4, 8.1, call, None)])
    >>> [(row.uri, row.annotation.labels()) for row in dataset.rows()]
    [('call', ['angry'])]
    >>> ("call.wav", "call") in dataset.seen()
    True
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path, settings: Mapping[str, Any]) -> Dataset:
        """Make a dataset, or go on with one of the same settings.

        Parameters
        ----------
        folder : str or Path
            New, empty, or a dataset.
        settings : mapping of str to what JSON holds
            All that the rows depend on.

        Raises
        ------
        ValueError
            If the folder holds something else or was made with other settings (the message names
            the first that differs), or pyarrow is not installed.
        OSError
            If it is a file, or cannot be read or written.
        """
        load_pyarrow()  # before hours of work
        folder = Path(folder)
        wanted = json.loads(json.dumps(settings))  # a tuple is a list from here on
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; a dataset is a folder, name a new one")
        if (folder / SETTINGS_FILE).exists():
            _compare(folder, settings_of(folder), wanted)
        else:
            _refuse_strangers(folder)
            with whole_file(folder / SETTINGS_FILE) as stream:
                json.dump({"sed": LAYOUT, **wanted}, stream, indent=2, ensure_ascii=False)
                stream.write("\n")
        return cls(folder)

    def write(self, name: str, rows: Sequence[Row]) -> Path:
        """Write a file of rows, whole or not at all; equal rows are equal bytes.

        Parameters
        ----------
        name : str
            Lower-case letters and digits, such as a hash of what the file is to hold; its first
            two are the partition.
        rows : sequence of Row

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the name is none.
        OSError
            If it cannot be written; the error names the file.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a part; it is of letters a-z and digits")
        part = self.folder / f"part={name[:2]}" / f"{name}.parquet"
        write_part(part, rows)
        return part

    def rows(self) -> Iterator[Row]:
        """All rows as a stream, in order of file names.

        Raises
        ------
        ValueError
            If a file is damaged; the message names it.
        OSError
            If a file cannot be read.
        """
        return (row for row, _ in read_dataset(self.folder))

    def recordings(self) -> Iterator[AnnotatedRecording]:
        """Channels of the recordings that did not fail, as a stream; errors are those of `rows`."""
        return (row.recording for row in self.rows() if row.error is None)

    def seen(self, *, failed: bool = True) -> Seen:
        """Which recordings have a row; errors are those of `rows`.

        Parameters
        ----------
        failed : bool
            Whether a row that holds an error counts.
        """
        rows = (
            row
            for part in part_files(self.folder)
            for row in read_columns(part, ["path", "uri", "error"])
        )
        return Seen((row["path"], row["uri"]) for row in rows if failed or row["error"] is None)

    def drop_failed(self) -> None:
        """Remove the rows of recordings that failed; every file is rewritten whole or not at all.

        Raises
        ------
        ValueError
            If a file is damaged; the message names it.
        OSError
            If a file cannot be read or written.
        """
        for part in part_files(self.folder):
            if all(row["error"] is None for row in read_columns(part, ["error"])):
                continue
            rows = [row for row in read_part(part) if row.error is None]
            if rows:
                write_part(part, rows)
            else:
                part.unlink()


class Seen:
    """Set of recordings in 8 bytes each.

    Of a million recordings, two are taken for one with a probability of 3e-8.

    Parameters
    ----------
    recordings : iterable of (str, str)
        Path and uri of each; one that comes again, such as another channel, counts once.

    Examples
    --------
    >>> seen = Seen([("calls/a.wav", "a"), ("calls/b.wav", "b"), ("calls/b.wav", "b")])
    >>> ("calls/b.wav", "b") in seen, ("calls/b.wav", "a") in seen, len(seen), seen.nbytes
    (True, False, 2, 16)
    """

    def __init__(self, recordings: Iterable[tuple[str, str]]) -> None:
        keys = (_key(path, uri) for path, uri in recordings)
        self._keys = np.unique(np.fromiter(keys, np.uint64))

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        return self._keys.nbytes

    def __contains__(self, recording: tuple[str, str]) -> bool:
        """Whether a recording of this path and uri is in it."""
        key = np.uint64(_key(*recording))
        index = int(np.searchsorted(self._keys, key))
        return index < len(self._keys) and bool(self._keys[index] == key)

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._keys)


def _key(path: str, uri: str) -> int:
    """Number of 64 bits that stands for a recording."""
    content = f"{storable(path)}\0{storable(uri)}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _refuse_strangers(folder: Path) -> None:
    """Refuse a folder that holds anything; what a killed writer leaves is hidden."""
    if not folder.is_dir():
        return
    strangers = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if strangers:
        raise ValueError(
            f"{folder} holds {strangers[0]!r} and is no dataset; name a new or an empty folder"
        )


def _compare(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse settings that are not those of a dataset."""
    for name in {**wanted, **found}:
        before, now = (_said(settings, name) for settings in (found, wanted))
        if before != now:
            raise ValueError(
                f"{folder} was made with {name} = {before}, not {now}; name a new folder, or use "
                "the settings of this one"
            )


def _said(settings: Mapping[str, Any], name: str) -> str:
    """Setting as its file spells it."""
    if name not in settings:
        return "nothing"
    return json.dumps(settings[name], sort_keys=True, ensure_ascii=False)
