"""The command `sed`: our own words are ours, every other line goes to the stream editor.

Installing the package puts a `sed` before the system's in an activated environment, so this file
imports nothing heavy before it knows whose line it is.
"""

from __future__ import annotations

import os
import sys

WORDS = ("diarize", "help", "score")
"""Commands of this package. Each one is an error as a program of the stream editor, so no line
that works there is taken from it; a test tries every one."""


def main() -> None:
    """Run one of our commands, or become the system's `sed`."""
    called_as_sed = os.path.basename(sys.argv[0]) in ("sed", "sed.exe")
    if called_as_sed and (len(sys.argv) < 2 or sys.argv[1] not in WORDS):
        become_stream_editor(sys.argv[1:])
    if sys.argv[1:2] == ["help"]:
        sys.argv[1:] = [*sys.argv[2:3], "--help"]
    from sed.cli import app

    app(prog_name="sed" if called_as_sed else os.path.basename(sys.argv[0]))


def become_stream_editor(arguments: list[str]) -> None:
    """Replace this process by the next `sed` on PATH; it does not return."""
    for folder in os.get_exec_path():
        candidate = os.path.join(folder, "sed")
        if os.access(candidate, os.X_OK) and os.path.isfile(candidate) and not _is_ours(candidate):
            os.execv(candidate, ["sed", *arguments])
    print(f"sed: no stream editor on PATH; our own words are {', '.join(WORDS)}", file=sys.stderr)
    sys.exit(127)


def _is_ours(path: str) -> bool:
    """Whether a file is our script, of any environment: two must not call each other."""
    with open(path, "rb") as stream:
        start = stream.read(2048)
    return start.startswith(b"#!") and b"sed.__main__" in start


if __name__ == "__main__":
    main()
