"""What to diarize: files, folders, globs and standard input, as a stream of named files."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sed.archive.items import find_files
from sed.archive.names import Names
from sed.errors import EXPECTED, describe

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
    names = Names()
    for argument in arguments:
        try:
            for path, name in _expand(argument, spool, on_error):
                uri = names.unique(name, path.suffix)
                yield Input(path, uri, is_copy=argument == STANDARD_INPUT)
        except EXPECTED as error:
            on_error(argument, describe(error))


def _expand(
    argument: str, spool: Path, on_error: Callable[[str, str], None]
) -> Iterator[tuple[Path, str]]:
    """Files of one argument, each with the name it would have if nothing else had it."""
    if argument == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise ValueError("- is standard input, but nothing comes in; pipe a recording into it")
        copy = spool / "stdin"
        with copy.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield copy, "stdin"
        return
    yield from find_files(argument, on_error=on_error)


@contextlib.contextmanager
def spool_folder() -> Iterator[Path]:
    """Temporary folder that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="sed-") as folder:
        yield Path(folder)
