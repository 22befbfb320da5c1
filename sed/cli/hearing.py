"""A source through a live pipeline to the outputs, until it ends or somebody ends it."""

from __future__ import annotations

import contextlib
import signal
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType

import numpy as np

from sed.cli.errors import EXPECTED, FAILED, describe, report
from sed.cli.live_outputs import LiveOutputs
from sed.cli.sources import Source
from sed.errors import about
from sed.live import Live, Update
from sed.pipeline import Pipeline

SLOW = 2.0
"""Seconds of sound that wait until somebody is told that the machine is too slow."""


def hear(
    source: Source,
    outputs: LiveOutputs,
    pipeline: Pipeline,
    latency: float,
    *,
    quiet: bool,
    debug: bool,
) -> int:
    """Write what is found in a source, as it becomes certain.

    Whatever ends it, what was heard before is worked on and written.

    Returns
    -------
    int
        Exit code: 0, 1 if the sound broke off or there was none, 128 and its number after a signal;
        but a microphone has no other end than Ctrl-C, and so that is 0.

    Raises
    ------
    ValueError
        If the pipeline cannot run live.
    OSError
        If an output cannot be written.
    """
    Live(pipeline, 16_000, latency=latency)  # refuses what cannot be, before anybody speaks
    with contextlib.ExitStack() as stack:
        try:
            sound = stack.enter_context(source.opened())
        except EXPECTED as error:
            report(about(source.name, describe(error)), debug=debug)
            return FAILED
        wish = stack.enter_context(_Wish())
        hearing = _Hearing(Live(pipeline, sound.sample_rate, latency=latency, uri=source.uri))
        with outputs.opened(source.uri):
            told = quiet
            for update in hearing(wish.until(sound.blocks)):
                backlog = sound.backlog()
                outputs.add(update, backlog)
                if backlog > SLOW and not told:
                    told = True
                    report(
                        f"this machine is too slow: {backlog:.1f} s behind; "
                        f"a smaller model or a GPU keeps up"
                    )
            outputs.end(hearing.num_samples / sound.sample_rate)
    if sound.losses() and not quiet:
        report(f"{source.name}: {sound.losses()}")
    if hearing.failure is not None:
        if debug:
            traceback.print_exception(hearing.failure)
        report(about(source.name, describe(hearing.failure)))
        return FAILED
    if wish.number is None or (source.is_endless and wish.number == signal.SIGINT):
        return 0
    return 128 + wish.number


class _Hearing:
    """Blocks to updates; an error of the blocks is kept until what came before is worked on."""

    def __init__(self, live: Live) -> None:
        self.failure: ValueError | OSError | None = None
        self.num_samples = 0
        self._live = live

    def __call__(self, blocks: Iterable[np.ndarray]) -> Iterator[Update]:
        try:
            for block in blocks:
                yield from self._live.push(block)
                self.num_samples += len(block)
        except EXPECTED as error:
            self.failure = error
        if self.num_samples:
            yield from self._live.close()


class _EndedError(Exception):
    """Somebody ended the stream while it waited for sound."""


class _Wish:
    """Ctrl-C or SIGTERM as a wish: it interrupts waiting for sound, but no work on it.

    The second one interrupts everything.
    """

    number: int | None = None
    """The signal that came, if one did."""

    def __enter__(self) -> _Wish:
        self._waiting = False
        self._before = {
            number: signal.signal(number, self._came) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        if self._waiting:
            raise _EndedError

    def until(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Blocks as they come, until somebody wishes an end."""
        iterator = iter(blocks)
        while True:
            try:
                self._waiting = True
                if self.number is not None:
                    return
                block = next(iterator)
                self._waiting = False
            except (StopIteration, _EndedError):
                return
            finally:
                self._waiting = False
            yield block
