"""The command `sed`: our own words are ours, every other line goes to the stream editor.

Installing the package puts a `sed` before the system's in an activated environment, so this file
imports nothing heavy before it knows whose line it is.
"""

from __future__ import annotations

import os
import sys

WORDS = (
    "diarize",
    "help",
    "label",
    "models",
    "plot",
    "prepare",
    "score",
    "serve",
    "simulate",
    "stream",
    "train",
)
"""Commands of this package. Each one is an error as a program of the stream editor, so no line
that works there is taken from it; a test tries every one."""

_TRIED = "SED_SCRIPTS_TRIED"


def main() -> None:
    """Run one of our commands, or become the system's `sed`."""
    called_as = os.path.basename(sys.argv[0]).removesuffix(".exe")
    if called_as == "sed" and (len(sys.argv) < 2 or sys.argv[1] not in WORDS):
        become_stream_editor(sys.argv[1:])
    if len(sys.argv) < 2 or sys.argv[1] == "help":
        sys.argv[1:] = [*sys.argv[2:3], "--help"]
    import signal

    # Ended from outside, we clean up too: no temporary file is left.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        from sed.cli import app

        app(prog_name="python -m sed" if called_as == "__main__.py" else called_as)
    except KeyboardInterrupt:
        sys.exit(130)


def become_stream_editor(arguments: list[str]) -> None:
    """Replace this process by the next `sed` on PATH; it does not return."""
    # A version manager's shim is a script that leads back here. Exec keeps the process, so its
    # number tells whether it was us who tried that one.
    process, *tried = os.environ.pop(_TRIED, "").split(os.pathsep)
    tried = tried if process == str(os.getpid()) else []
    _undo_python()
    for folder in os.get_exec_path():
        candidate = os.path.join(folder, "sed")
        start = _start_of_program(candidate)
        if start is None or candidate in tried or _is_ours(start):
            continue
        if start.startswith(b"#!"):
            tried.append(candidate)
            os.environ[_TRIED] = os.pathsep.join((str(os.getpid()), *tried))
        try:
            os.execv(candidate, ["sed", *arguments])
        except OSError:  # no program for this machine
            os.environ.pop(_TRIED, None)
    print(f"sed: no stream editor on PATH; our own words are {', '.join(WORDS)}", file=sys.stderr)
    sys.exit(127)


def _start_of_program(path: str) -> bytes | None:
    """First bytes of a program, none of one that must not be read, None if it is no program."""
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read(2048)
    except OSError:
        return b""


def _is_ours(start: bytes) -> bool:
    """Whether a program is our script, of any environment: two must not call each other."""
    return start.startswith(b"#!") and b"sed.__main__" in start


def _undo_python() -> None:
    """Give back what Python changed when it started, and what a program would inherit.

    It ignores SIGPIPE, without which ``sed p file | head -1`` complains instead of ending, and it
    turns the C locale into a UTF-8 one (PEP 538), in which ``.`` matches other bytes.
    """
    import signal

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        with open("/proc/self/environ", "rb") as stream:
            given = stream.read().split(b"\0")
    except OSError:  # not Linux
        return
    if not any(variable.startswith(b"LC_CTYPE=") for variable in given):
        os.environ.pop("LC_CTYPE", None)


if __name__ == "__main__":
    main()
