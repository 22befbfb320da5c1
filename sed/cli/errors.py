"""Errors as a user wants them: one line that names the file, an exit code, no traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import typer

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
"""Exit codes: some recordings failed; the command was used wrongly; Ctrl-C."""

EXPECTED = (ValueError, OSError)
"""What input and output may raise; anything else is a defect and shows its traceback."""


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


def report(message: str, *, debug: bool = False) -> None:
    """Print an error line to standard error, after its traceback if that is wanted."""
    if debug:
        traceback.print_exc()
    print(f"sed: {message}", file=sys.stderr)


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file in a system's error that does not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def one_line_errors(*, debug: bool = False) -> Iterator[None]:
    """Turn expected errors into one line and the exit code for wrong use."""
    try:
        yield
    except KeyboardInterrupt:
        report("interrupted; no unfinished file was left behind", debug=debug)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has heard enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except EXPECTED as error:
        report(describe(error), debug=debug)
        raise typer.Exit(WRONG_USE) from None
