"""Recordings in the order and the portions in which they are worked on.

::

    stream     … r r r r r r r r r r │ r r r r r r │ …       a window of it at a time
    sorted     RRRRRRR RRRRR RRRR RRR RR RR r r r r          longest first, so that none is last
    chunks     [RRRRRRR][RRRRR RRRR][RRR RR RR][r r][r]      ever smaller towards the stream's end
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from sed.archive.items import Item
from sed.archive.remote import is_remote, size_of
from sed.archive.tasks import Chunk, Preparation
from sed.decoders import stated_duration

BYTES_PER_SECOND = 16_000
"""Of a recording whose header says nothing, or is elsewhere."""

OVERHEAD = 0.5
"""Seconds of audio that a recording costs beyond its own."""

LONG = 0.25
"""Share of what a worker has to do, above which a recording would hold the others at the end."""

NUM_READERS = 16
"""Headers that are read at a time; most of it is waiting."""


@dataclass(frozen=True)
class Limits:
    """How much is worked on at once.

    Parameters
    ----------
    audio : float
        Seconds of audio in a chunk.
    num_recordings : int
        In a chunk.
    split : float
        Seconds from which on several workers share a recording, if it is more than a quarter of
        what each of them has to do in the window.
    window : int
        Recordings that are looked at, at a time.

    Raises
    ------
    ValueError
        If nothing fits.
    """

    audio: float = 1800.0
    num_recordings: int = 256
    split: float = 1800.0
    window: int = 4096

    def __post_init__(self) -> None:
        """Refuse chunks without recordings."""
        if not (self.audio > 0 and self.split > 0 and self.num_recordings > 0 and self.window > 0):
            raise ValueError(f"limits must be above zero, not {self}")


def schedule(
    items: Iterator[Item], *, num_workers: int, limits: Limits
) -> Generator[Chunk | Preparation]:
    """Tasks of a stream of recordings; while some are worked on, a thread looks at the next ones.

    Parameters
    ----------
    items : iterator of Item
    num_workers : int
        With one, no recording is split.
    limits : Limits

    Examples
    --------
    >>> items = iter([Item("a.wav", "a"), Item("b.wav", "b")])
    >>> for task in schedule(items, num_workers=1, limits=Limits(num_recordings=1)):
    ...     print(*task.items)
    Item(path='a.wav', uri='a')
    Item(path='b.wav', uri='b')
    """
    size = min(limits.window, 16 * num_workers)  # of the first window: all are to begin at once
    with ThreadPoolExecutor(NUM_READERS) as readers, ThreadPoolExecutor(1) as ahead:

        def look(size: int) -> list[tuple[float, Item]]:
            window = list(islice(items, size))
            return list(zip(readers.map(_seconds, window), window, strict=True))

        future = ahead.submit(look, size)
        try:
            while window := future.result():
                is_last = len(window) < size
                size = min(limits.window, 4 * size)
                future = ahead.submit(look, size)
                yield from _portions(window, num_workers, limits, is_last=is_last)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def _portions(
    window: Sequence[tuple[float, Item]], num_workers: int, limits: Limits, *, is_last: bool
) -> Iterator[Chunk | Preparation]:
    timed = sorted(window, key=lambda pair: -pair[0])
    left = sum(seconds + OVERHEAD for seconds, _ in timed)
    if num_workers > 1:
        long = max(limits.split, LONG * left / num_workers)
        while timed and timed[0][0] > long:
            seconds, item = timed.pop(0)
            left -= seconds + OVERHEAD
            yield Preparation(item)
    first = 0
    while first < len(timed):
        # of the rest, each worker has two chunks to come; before the last window, one is enough
        share = left / num_workers / (2 if is_last else 1)
        wanted, held, end = min(limits.audio, max(share, 20 * OVERHEAD)), 0.0, first
        while end < len(timed) and end - first < limits.num_recordings:
            cost = timed[end][0] + OVERHEAD
            if end > first and held + cost > wanted:
                break
            held, end = held + cost, end + 1
        left -= held
        yield Chunk(tuple(item for _, item in timed[first:end]))
        first = end


def _seconds(item: Item) -> float:
    """About how long a recording is."""
    stated = None if is_remote(item.path) else stated_duration(item.path)
    seconds = size_of(item.path) / BYTES_PER_SECOND if stated is None else stated
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
