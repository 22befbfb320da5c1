"""A live stream on a terminal: the last minute as a bar that moves, what is on, final segments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sed.cli.timeline import INDENT, bar, clock, is_coloured, marks_of
from sed.colours import colour
from sed.labels import NEUTRAL, confidence_of

if TYPE_CHECKING:
    from sed.live import Update

SPAN = 60.0
"""Seconds that the bar shows."""

_PAUSE = 0.1  # seconds between two pictures


class LiveTimeline:
    """Picture of a stream, drawn anew with every update.

    ::

           0:12.4    0:15.0  happy  0.74              final segments, which scroll away
        call  1:23.4
           0:23.4 ──███████── ────████████──    ─────   1:23.4
                  █ angry 0.81 since 1:20.1   2.3 s behind

    Parameters
    ----------
    console : Console
    title : str
    owns_output : bool
        Whether nothing else is printed to standard output meanwhile.
    """

    def __init__(self, console: Console, title: str, *, owns_output: bool) -> None:
        self._console, self._title = console, title
        self._annotation, self._speech = Annotation(), Timeline()
        self._open: Annotation = Annotation()
        self._now = self._settled = self._backlog = self._drawn_at = 0.0
        self._is_speech = False
        self._live = Live(
            console=console, auto_refresh=False, redirect_stdout=owns_output, transient=False
        )

    def __enter__(self) -> LiveTimeline:
        """Begin to draw."""
        self._live.start()
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last picture where it is."""
        if kind is None:
            self._draw()
        self._live.stop()

    def add(self, update: Update, backlog: float) -> None:
        """Take an update, and the seconds of sound that wait meanwhile."""
        self._now, self._settled, self._backlog = update.now, update.settled, backlog
        self._open = update.open
        for segment, track, label in update.segments.itertracks(yield_label=True):
            self._annotation[segment, track] = label
            confidence = confidence_of(label)
            self._console.print(
                Text.assemble(
                    f"{clock(segment.start):>{INDENT - 1}} {clock(segment.end):>{INDENT - 1}}  ",
                    (str(label), colour(label)),
                    "" if confidence is None else f"  {confidence:.2f}",
                )
            )
        frames = update.posteriors.sliding_window
        for first, end in _runs(update.speech):
            self._speech.add(
                Segment(frames.start + first * frames.step, frames.start + end * frames.step)
            )
        if len(update.speech):
            self._is_speech = bool(update.speech[-1])
        if time.monotonic() - self._drawn_at >= _PAUSE:
            self._draw()

    def _draw(self) -> None:
        """Draw the last minute, and forget what was before."""
        row = Segment(max(0.0, self._now - SPAN), max(self._now, SPAN))
        self._annotation = self._annotation.crop(row)
        self._speech = self._speech.crop(row).support()
        shown = self._annotation.copy()
        for segment, _, label in self._open.itertracks(yield_label=True):
            shown[segment, "open"] = label
        marks = marks_of(shown, is_coloured(self._console))
        width = max(10, self._console.width - 2 * INDENT - 2)
        drawn = bar(shown, self._speech, row, width, marks)
        onset = f"{clock(row.start):>{INDENT - 1}} "
        self._live.update(
            Group(
                Text.assemble((self._title, "bold"), f"  {clock(self._now)}"),
                Text.assemble(onset, drawn, f" {clock(row.end)}"),
                Text.assemble(" " * INDENT, self._state(marks), "   ", self._delay()),
            ),
            refresh=True,
        )
        self._drawn_at = time.monotonic()

    def _state(self, marks: dict[str, str]) -> Text:
        """What is on."""
        for segment, _, label in self._open.itertracks(yield_label=True):
            confidence = confidence_of(label)
            sure = "" if confidence is None else f" {confidence:.2f}"
            return Text.assemble(
                (marks[str(label)], colour(label)), f" {label}{sure} since {clock(segment.start)}"
            )
        return Text(NEUTRAL if self._is_speech else "silence", style="dim")

    def _delay(self) -> Text:
        """How far what is shown lies behind what is said."""
        return Text(f"{self._now - self._settled + self._backlog:.1f} s behind", style="dim")


def _runs(speech: np.ndarray) -> Iterator[tuple[int, int]]:
    """First frame and end of each run of frames that are speech.

    Examples
    --------
    >>> [(int(first), int(end)) for first, end in _runs(np.array([False, True, True, False, True]))]
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], speech, [False])).astype(np.int8)))
    yield from zip(edges[::2], edges[1::2], strict=True)
