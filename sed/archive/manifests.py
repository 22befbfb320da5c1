"""Manifests: files that list recordings, read as a stream.

::

    calls.csv, .tsv      path,uri           a header, in any order; other columns are left alone
    calls.jsonl          {"path": …}        one object a line
    calls.parquet        path, uri          columns
    calls.txt, .lst      a path a line      empty lines and those that begin with # are left out

Relative paths are relative to the manifest. ``uri``, the recording's name, may be missing or empty.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, TextIO

from sed.archive.names import name_of
from sed.archive.remote import is_remote, opened

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LISTS = (".txt", ".lst")
_ENDINGS = (*_SEPARATORS, ".jsonl", ".parquet", *_LISTS)

_Entry = tuple[str, object, object]
"""Where an entry stands, its path and its uri."""


def is_manifest(path: str) -> bool:
    """Whether a file is named like a manifest.

    Examples
    --------
    >>> is_manifest("calls.CSV"), is_manifest("s3://bucket/calls.lst"), is_manifest("call.wav")
    (True, True, False)
    """
    return os.path.splitext(path)[1].lower() in _ENDINGS


def read_manifest(path: str, *, on_error: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
    """Path and name of each recording of a manifest, as a stream.

    Parameters
    ----------
    path : str
        A file, or a URI of one.
    on_error : callable
        ``on_error(name, message)`` is told of a line that names no recording.

    Raises
    ------
    ValueError
        If it is malformed as a whole; the message names it, and the line where there is one.
    OSError
        If it cannot be read.
    """
    ending = os.path.splitext(path)[1].lower()
    nothing = True
    with opened(path) as stream:
        entries = _parquet(path, stream) if ending == ".parquet" else _text(path, ending, stream)
        for where, recording, uri in entries:
            nothing = False
            if not isinstance(recording, str) or not recording.strip():
                on_error(where, f"{where}: no path of a recording")
            elif not (uri is None or isinstance(uri, str)):
                on_error(where, f"{where}: the uri is {uri!r}, not a name")
            elif uri and (uri.startswith("/") or ".." in PurePosixPath(uri).parts):
                on_error(where, f"{where}: the uri {uri!r} leads out of a folder; name another")
            else:
                yield _absolute(recording, path), uri or _name(recording)
    if nothing:
        raise ValueError(f"{path}: no recording in this manifest")


def _text(path: str, ending: str, stream: IO[bytes]) -> Iterator[_Entry]:
    num_read = 0
    try:
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines:
            entries = _table if ending in _SEPARATORS else _lines
            for num_read, recording, uri in entries(path, ending, lines):
                yield f"{path}:{num_read}", recording, uri
    except UnicodeDecodeError:
        raise ValueError(
            f"{path}: no text in UTF-8 after line {num_read}; save it as such"
        ) from None
    except csv.Error as error:
        raise ValueError(f"{path}:{num_read + 1}: {error}") from None


def _table(path: str, ending: str, lines: TextIO) -> Iterator[tuple[int, object, object]]:
    reader = csv.DictReader(lines, delimiter=_SEPARATORS[ending])
    _require_path(path, reader.fieldnames or ())
    for row in reader:
        yield reader.line_num, row["path"], row.get("uri")


def _lines(path: str, ending: str, lines: TextIO) -> Iterator[tuple[int, object, object]]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or (ending in _LISTS and text.startswith("#")):
            continue
        if ending in _LISTS:
            yield number, text, None
            continue
        try:
            entry = json.loads(text)
        except (RecursionError, ValueError):
            entry = None
        found = entry if isinstance(entry, dict) else {}
        yield number, found.get("path"), found.get("uri")


def _parquet(path: str, stream: IO[bytes]) -> Iterator[_Entry]:
    from sed.formats.parquet import load_pyarrow

    pyarrow = load_pyarrow()
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        _require_path(path, file.schema_arrow.names)
        columns = [name for name in ("path", "uri") if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(8192, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}: row {number}", row["path"], row.get("uri")
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: damaged, or no Parquet ({error})") from None


def _require_path(path: str, columns: object) -> None:
    names = list(columns) if isinstance(columns, list | tuple) else []
    if "path" not in names:
        held = ", ".join(map(repr, names[:5])) or "none"
        raise ValueError(f"{path}: no column 'path', only {held}; call that of the recordings so")


def _absolute(recording: str, manifest: str) -> str:
    """Path of a recording, which is relative to its manifest."""
    if is_remote(recording) or os.path.isabs(recording):
        return recording
    folder = manifest.rpartition("/")[0] if is_remote(manifest) else os.path.dirname(manifest)
    return f"{folder}/{recording}" if is_remote(manifest) else os.path.join(folder, recording)


def _name(recording: str) -> str:
    """Name of a recording that has none: its path where that stays below the manifest."""
    path = PurePosixPath(recording)
    below = not (is_remote(recording) or path.is_absolute() or ".." in path.parts)
    return name_of(path if below else PurePosixPath(path.name))
