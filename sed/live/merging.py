"""From frames that have settled to segments that have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sed.labels import Emotion


@dataclass(frozen=True, eq=False)
class _Mark:
    """A boundary between frames: what all speech before it sums to."""

    frame: int
    totals: np.ndarray
    count: int


@dataclass(frozen=True, eq=False)
class _Stretch:
    index: int
    start: _Mark
    end: _Mark


Found = tuple[int, int, Emotion]
"""First frame of a segment, the first one after it, and what was felt, with its confidence."""


class Merging:
    """Frames to segments, merged as `sed.decoding.Decoding` merges those of a whole recording.

    ::

        frames      h h h n n h h h n n n n n n s s s s …
        segments    |=====happy====|                        final once the gap is too long to be
                                                |==sad …    bridged; what may go on is open

    Parameters
    ----------
    classes : tuple of str
    neutral : int
        Place of neutral among them.
    max_gap : int
        Frames between two stretches of an emotion that become one.
    min_frames : int
        Frames that a segment lasts at least.
    with_neutral : bool
        Whether what lies between is given as well.

    Examples
    --------
    >>> merging = Merging(("neutral", "happy"), 0, max_gap=1, min_frames=2)
    >>> indices = np.array([1, 1, 0, 1, 0, 0])
    >>> posteriors = np.full((6, 2), 0.5)
    >>> [(start, end) for start, end, _ in merging.push(indices, np.ones(6, bool), posteriors)]
    [(0, 4)]
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        neutral: int,
        *,
        max_gap: int,
        min_frames: int,
        with_neutral: bool = False,
    ) -> None:
        self._classes, self._neutral = classes, neutral
        self._max_gap, self._min_frames = max_gap, min_frames
        self._with_neutral = with_neutral
        self._now = self._given = _Mark(0, np.zeros(len(classes)), 0)
        self._open: _Stretch | None = None

    @property
    def num_frames(self) -> int:
        """Frames that have come."""
        return self._now.frame

    def push(
        self, indices: np.ndarray, heard: np.ndarray, posteriors: np.ndarray
    ) -> Iterator[Found]:
        """Segments that have become final.

        Parameters
        ----------
        indices : (num_frames,) np.ndarray of int
            Class of each frame; neutral where there is no speech.
        heard : (num_frames,) np.ndarray of bool
            Which are speech.
        posteriors : (num_frames, num_classes) np.ndarray
        """
        bounds = [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist(), len(indices)]
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            if start < end:
                scores = posteriors[start:end][heard[start:end]]
                yield from self._run(int(indices[start]), end - start, scores)

    def _run(self, index: int, length: int, scores: np.ndarray) -> Iterator[Found]:
        """Frames of one class, and the posteriors of those that are speech."""
        start = self._now
        totals = start.totals + scores.sum(axis=0, dtype=float)
        self._now = end = _Mark(start.frame + length, totals, start.count + len(scores))
        now = self._open
        if now is not None:
            if index == now.index and start.frame - now.end.frame <= self._max_gap:
                self._open = replace(now, end=end)
                return
            if index == self._neutral and end.frame - now.end.frame <= self._max_gap:
                return
            yield from self._closed()
        if index != self._neutral:
            self._open = _Stretch(index, start, end)

    def close(self) -> Iterator[Found]:
        """The rest, as nothing follows."""
        yield from self._closed()
        yield from self._quiet(self._now)

    def open(self) -> Found | None:
        """The segment that may go on."""
        now = self._open
        return None if now is None else self._found(now.index, now.start, now.end)

    def _closed(self) -> Iterator[Found]:
        """The open segment, and what lies before it, if it is long enough."""
        now, self._open = self._open, None
        if now is not None and now.end.frame - now.start.frame >= self._min_frames:
            yield from self._quiet(now.start)
            yield self._found(now.index, now.start, now.end)
            self._given = now.end

    def _quiet(self, end: _Mark) -> Iterator[Found]:
        """What is neutral since the last segment."""
        if self._with_neutral and end.frame > self._given.frame:
            yield self._found(self._neutral, self._given, end)

    def _found(self, index: int, start: _Mark, end: _Mark) -> Found:
        count = end.count - start.count
        total = float(end.totals[index] - start.totals[index])
        confidence = min(1.0, max(0.0, total / count)) if count else 1.0
        return start.frame, end.frame, Emotion(self._classes[index], confidence=confidence)
