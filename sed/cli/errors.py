"""Errors as a user wants them: one line that names the file, an exit code, no traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

import typer

from sed.errors import EXPECTED, describe, naming

__all__ = [
    "EXPECTED",
    "FAILED",
    "INTERRUPTED",
    "WRONG_USE",
    "describe",
    "naming",
    "one_line_errors",
    "report",
]

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
"""Exit codes: some recordings failed; the command was used wrongly; Ctrl-C."""


def report(message: str, *, debug: bool = False) -> None:
    """Print an error line to standard error, after its traceback if that is wanted."""
    if debug:
        traceback.print_exc()
    print(f"sed: {message}", file=sys.stderr)


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
