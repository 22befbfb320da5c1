"""Where a live stream's results go: lines that grow in a file or on standard output, a timeline.

Lines are written as soon as they are certain, so that others can follow them; what broke off holds
everything that was certain until then. That is why these files do not appear as a whole.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from sed.audio import is_audio
from sed.cli.errors import naming
from sed.events import Event, Events
from sed.formats import FORMATS, AnnotatedRecording

if TYPE_CHECKING:
    from sed.cli.live_timeline import LiveTimeline
    from sed.live import Update

STANDARD_OUTPUT = Path("-")


class LiveOutputs:
    """Everything that a stream writes.

    Parameters
    ----------
    json, rttm : Path, optional
        Where lines go; ``-`` prints. JSON lines are printed where nothing else is asked for and
        standard output is no terminal.
    timeline : bool
        Whether the timeline is shown although there is another output.
    quiet : bool
        Whether it is never shown.

    Raises
    ------
    ValueError
        If two outputs want the same place, or one that of an audio file or a folder.
    """

    def __init__(
        self, json: Path | None, rttm: Path | None, *, timeline: bool, quiet: bool
    ) -> None:
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        if json is None and rttm is None and not timeline and (quiet or not on_terminal):
            json = STANDARD_OUTPUT
        files = [path for path in (json, rttm) if path is not None]
        if len(set(files)) < len(files):
            raise ValueError(f"--rttm and --json cannot both write {files[0]}; name two files")
        for path in files:
            if is_audio(path):  # most likely the recording itself, which would be lost
                raise ValueError(f"{path} is named like a recording; name an .rttm or .jsonl file")
            if path.is_dir():
                raise ValueError(f"{path} is a folder; name a file in it")
        self._prints = STANDARD_OUTPUT in files
        if self._prints and sys.stdout is None:
            raise ValueError("- is standard output, but that is closed; name a file")
        self._json, self._rttm = json, rttm
        self._with_timeline = not quiet and (timeline or not files)
        self._files: dict[Path, TextIO] = {}
        self._timeline: LiveTimeline | None = None

    @contextlib.contextmanager
    def opened(self, uri: str) -> Iterator[LiveOutputs]:
        """Begin with the results of a stream; files that were there are overwritten.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        self._events = Events(uri)
        with contextlib.ExitStack() as stack:
            for path in (self._json, self._rttm):
                if path == STANDARD_OUTPUT:
                    self._files[path] = sys.stdout
                elif path is not None:
                    with naming(path):
                        path.parent.mkdir(parents=True, exist_ok=True)
                        file = path.open("w", encoding="utf-8", newline="\n")
                    self._files[path] = stack.enter_context(file)
            if self._with_timeline:
                from sed.cli.live_timeline import LiveTimeline

                self._timeline = stack.enter_context(
                    LiveTimeline(Console(stderr=self._prints), uri, owns_output=not self._prints)
                )
            yield self

    def add(self, update: Update, backlog: float) -> None:
        """Write an update; `backlog` is the seconds of sound that wait meanwhile."""
        if self._json is not None:
            self._write_events(list(self._events(update)))
        if self._rttm is not None:
            lines = FORMATS["rttm"].encode(AnnotatedRecording(update.segments))
            self._write(self._rttm, lines)
        if self._timeline is not None:
            self._timeline.add(update, backlog)

    def end(self, duration: float) -> None:
        """Write that the stream has ended after so many seconds."""
        if self._json is not None:
            self._write_events([self._events.end(duration)])

    def _write_events(self, events: list[Event]) -> None:
        assert self._json is not None
        lines = (json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        self._write(self._json, "".join(lines))

    def _write(self, path: Path, text: str) -> None:
        """Write whole lines, so that whoever follows them sees no half one."""
        if text:
            with naming(path):
                self._files[path].write(text)
                self._files[path].flush()
