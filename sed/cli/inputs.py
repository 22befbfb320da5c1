"""What to diarize: files, folders, globs and standard input, as a stream of named files."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sed.audio import find_recordings
from sed.cli.errors import EXPECTED, describe
from sed.labels import spelling_in_rttm

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Input:
    """A file to diarize, the name of its recording, and whether it is a copy of standard input."""

    path: Path
    uri: str
    is_copy: bool = False

    @property
    def name(self) -> str:
        """What people know it as."""
        return "standard input" if self.is_copy else str(self.path)


def find_inputs(
    arguments: Iterable[str], *, spool: Path, on_error: Callable[[str, str], None]
) -> Iterator[Input]:
    """Every recording that the arguments name, as a stream.

    A file is named by its stem, a file of a folder by its path in it without ending; where two
    would be named alike, the later one keeps its ending, or gets a number.

    Parameters
    ----------
    arguments : iterable of str
        Files, folders, globs, or ``-``.
    spool : Path
        Folder that standard input is copied to: most containers cannot be read from a pipe.
    on_error : callable
        ``on_error(name, message)`` is told of an argument without recordings and of a folder
        that must not be read; everything else still comes.
    """
    taken: set[str] = set()
    for argument in arguments:
        try:
            for path, name in _expand(argument, spool, on_error):
                uri = _unique(name, path.suffix, taken)
                yield Input(path, uri, is_copy=argument == STANDARD_INPUT)
        except EXPECTED as error:
            on_error(argument, describe(error))


def _expand(
    argument: str, spool: Path, on_error: Callable[[str, str], None]
) -> Iterator[tuple[Path, str]]:
    """Files of one argument, each with the name it would have if nothing else had it."""
    if not argument:  # the current folder to Path, an unset variable to whoever wrote it
        raise ValueError("an empty name is no file; name one, or . for this folder")
    if argument == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise ValueError("- is standard input, but nothing comes in; pipe a recording into it")
        copy = spool / "stdin"
        with copy.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield copy, "stdin"
        return
    path = Path(argument)
    found: Iterable[tuple[Path, str]]
    nothing = True

    def skip(error: OSError) -> None:
        nonlocal nothing
        nothing = False  # said already: there may be recordings, but they must not be seen
        on_error(str(error.filename), describe(error))

    if path.is_dir():
        files = find_recordings(path, on_error=skip)
        found = ((file, _name(file.relative_to(path))) for file in files)
    elif not os.path.lexists(path) and glob.has_magic(argument):
        matches = (Path(file) for file in sorted(glob.glob(argument, recursive=True)))
        found = ((file, _name(Path(file.name))) for file in matches if not file.is_dir())
    else:
        found = [(path, _name(Path(path.name)))]
    for item in found:
        nothing = False
        yield item
    if nothing:
        raise ValueError(f"{argument}: no audio file found")


def _name(path: Path) -> str:
    """Path without its ending, as RTTM can spell it."""
    return spelling_in_rttm(path.with_suffix("").as_posix() if path.stem else path.as_posix())


def _unique(name: str, suffix: str, taken: set[str]) -> str:
    """Name that no recording before had."""
    candidate, number = name, 1
    while candidate in taken:
        candidate = name + suffix if number == 1 else f"{name}{suffix}-{number}"
        number += 1
    taken.add(candidate)
    return candidate


@contextlib.contextmanager
def spool_folder() -> Iterator[Path]:
    """Temporary folder that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="sed-") as folder:
        yield Path(folder)
