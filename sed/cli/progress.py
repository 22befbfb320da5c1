"""Progress on a terminal: a bar for the recording, a bar for the batch; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from sed.archive.run import Summary

SPEECH_SHARE = {"light": 0.6, "encoder": 0.02}
"""How much of the work on a recording it is to find the speech, measured on an hour of calls: with
a network that takes seconds, and with an encoder."""


def counting_bar(*, quiet: bool) -> Progress:
    """Bar on standard error that counts to a total, for a terminal; nothing elsewhere.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing even on a terminal.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),  # a name may hold brackets
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),  # whatever FORCE_COLOR says
    )


class _Bars:
    """Bars on standard error, which are there in a `with` block."""

    def __init__(self, *columns: ProgressColumn, quiet: bool) -> None:
        self._progress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),  # whatever FORCE_COLOR says
        )

    def __enter__(self) -> Self:
        """Show the bars."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bars."""
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars away while something else is printed."""
        self._progress.stop()
        yield
        self._progress.start()


class DiarizationProgress(_Bars):
    """Bars on standard error while recordings are worked on.

    Parameters
    ----------
    num_recordings : int, optional
        How many there are; None where they are a stream.
    quiet : bool
        Whether to show nothing even on a terminal.
    speech_share : float
        A value of `SPEECH_SHARE`.
    """

    def __init__(
        self,
        num_recordings: int | None,
        *,
        quiet: bool,
        speech_share: float = SPEECH_SHARE["light"],
    ) -> None:
        self._shares = {"speech": (0.0, speech_share), "emotions": (speech_share, 1.0)}
        super().__init__(
            TextColumn("{task.description}", markup=False),  # a name may hold brackets
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TimeRemainingColumn(),
            quiet=quiet,
        )
        self._batch: TaskID | None = None
        if num_recordings != 1:
            self._batch = self._progress.add_task("recordings", total=num_recordings, done="0")
        self._current = self._progress.add_task("", total=1.0, done="")
        self._num_done = 0

    def begin(self, name: str) -> None:
        """Turn to a recording."""
        self._progress.update(self._current, description=name, completed=0.0, done="")

    def hook(
        self,
        step: str,
        artifact: object,
        *,
        completed: float | None = None,
        total: float | None = None,
    ) -> None:
        """Take a pipeline's report, see `sed.vad.Hook`."""
        if step in self._shares and completed is not None and total:
            first, last = self._shares[step]
            share = first + (last - first) * min(1.0, completed / total)
            self._progress.update(self._current, completed=share, done=step)

    def end(self) -> None:
        """Count a recording."""
        self._num_done += 1
        if self._batch is not None:
            self._progress.update(self._batch, advance=1, done=str(self._num_done))


class ArchiveProgress(_Bars):
    """Bar on standard error while an archive is worked on; how much there is nobody knows.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing even on a terminal.
    """

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(
            TextColumn("recordings"),
            BarColumn(),
            TextColumn("{task.fields[done]}", markup=False),
            quiet=quiet,
        )
        self._task = self._progress.add_task("", total=None, done="")

    def tell(self, summary: Summary) -> None:
        """Show how far it is."""
        failures = f", {summary.num_failed} failed" * bool(summary.num_failed)
        done = f"{summary.num_done}{failures}, {summary.speed:.0f} h of audio per hour"
        self._progress.update(self._task, done=done)
