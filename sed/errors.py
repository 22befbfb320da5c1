"""What expected errors say in one line, wherever they are told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

EXPECTED = (ValueError, OSError)
"""What input and output may raise; anything else is a defect."""


def describe(error: BaseException) -> str:
    """One line about an error, the file first.

    Examples
    --------
    >>> describe(FileNotFoundError(2, "No such file or directory", "call.wav"))
    'call.wav: no such file or directory'
    """
    message = str(error)
    if isinstance(error, OSError) and error.strerror:
        message = error.strerror[0].lower() + error.strerror[1:]
        if error.filename is not None:
            message = f"{os.fspath(error.filename)}: {message}"
    return " ".join(message.split()) or type(error).__name__


def about(name: str, message: str) -> str:
    """Message that begins with what it is about.

    Examples
    --------
    >>> about("a.wav", "a.wav is empty"), about("a.wav", "no audio in it")
    ('a.wav is empty', 'a.wav: no audio in it')
    """
    return message if message.startswith(name) else f"{name}: {message}"


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file in a system's error that does not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise
