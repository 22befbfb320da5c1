"""Best paths through frame scores: exact, and linear in the number of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def viterbi_path(scores: np.ndarray, min_frames: int, switch_penalty: float) -> np.ndarray:
    """Path with the highest score in which every stretch lasts at least `min_frames`.

    Parameters
    ----------
    scores : (num_frames, num_classes) np.ndarray
        Log-probabilities.
    min_frames : int
    switch_penalty : float
        Not negative.

    Returns
    -------
    (num_frames,) np.ndarray of int
        Class of every frame. A recording shorter than `min_frames` is one stretch.

    Examples
    --------
    >>> scores = np.log([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    >>> viterbi_path(scores, 2, 0.0).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    return Trellis(scores, min_frames, switch_penalty).closed()


@dataclass(frozen=True)
class Stretch:
    """What a path goes on from: a class, and for how many frames it has been the one."""

    index: int
    num_frames: int


class Trellis:
    """Every path through frame scores whose stretches last at least `min_frames`.

    ::

        score = sum of scores along the path - switch_penalty * number of changes

    With ``S`` the running sum of scores, the best path that ends at frame `t` in class `k`, at
    least `min_frames` after its last change, is worth ``S[t, k] + W[t, k]``, and

    ::

        W[t, k] = max(W[t-1, k], max over j of (S + W)[t-D, j] - S[t-D, k] - switch_penalty)

    where ``D = min_frames``. The second term only looks `D` frames back, so `D` frames are
    computed at once and the recursion is a running maximum.

    Parameters
    ----------
    scores : (num_frames, num_classes) np.ndarray
        Log-probabilities.
    min_frames : int
    switch_penalty : float
        Not negative.
    before : Stretch, optional
        What all paths go on from; by default each begins as it likes.

    Examples
    --------
    A class that has lasted long enough is left at once; one that is young is not.

    >>> scores = np.log([[0.1, 0.9], [0.1, 0.9], [0.2, 0.8]])
    >>> [Trellis(scores, 2, 0.0, Stretch(0, frames)).closed().tolist() for frames in (1, 2)]
    [[0, 1, 1], [1, 1, 1]]
    """

    def __init__(
        self,
        scores: np.ndarray,
        min_frames: int,
        switch_penalty: float,
        before: Stretch | None = None,
    ) -> None:
        num_frames, num_classes = scores.shape
        self._num_frames, self._penalty = num_frames, switch_penalty
        # For the way back: where the stretch that a path is in began, and the class before it.
        self._entered = np.zeros((num_frames + 1, num_classes), dtype=np.int32)
        self._before = np.full((num_frames + 1, num_classes), -1, dtype=np.int8)
        # Of S, W and the best totals only the boundaries of the last min_frames are needed.
        sums = np.zeros((min_frames, num_classes))
        worth = np.zeros((1, num_classes))  # at boundary 0, where no change costs anything
        value, best = np.full(min_frames, -np.inf), np.full(min_frames, -1)
        may_change = min(min_frames, num_frames)  # the first boundary that a path may leave at
        if before is not None:
            worth[:] = -np.inf
            worth[0, before.index] = 0.0
            may_change = max(0, min_frames - before.num_frames)
            if may_change == 0:
                value[-1], best[-1] = 0.0, before.index
        recent = [(value, best, sums)]
        for first in range(1, num_frames + 1, min_frames):
            value, best, sums = recent[-1]
            end = min(first + min_frames, num_frames + 1)
            size = end - first
            sums_now = sums[-1] + np.cumsum(scores[first - 1 : end - 1], axis=0, dtype=float)
            change = value[:size, None] - sums[:size] - switch_penalty
            candidates = np.vstack((worth[-1], change))
            running = np.maximum.accumulate(candidates, axis=0)
            raised = np.where(candidates == running, np.arange(size + 1)[:, None], 0)
            winner = np.maximum.accumulate(raised, axis=0)[1:]
            at = np.maximum(winner - 1, 0)
            self._entered[first:end] = np.where(
                winner > 0, first - min_frames + at, self._entered[first - 1]
            )
            self._before[first:end] = np.where(winner > 0, best[at], self._before[first - 1])
            worth = running[1:]
            totals = worth + sums_now
            totals[np.arange(first, end) < may_change] = -np.inf
            recent = [recent[-1], (totals.max(axis=1), totals.argmax(axis=1), sums_now)]
        # Of the last min_frames boundaries, at which a stretch may have begun that is young still.
        self._value, self._best, self._sums = (
            np.concatenate(parts)[-min_frames:] for parts in zip(*recent, strict=True)
        )
        self._worth: np.ndarray = worth[-1]

    def closed(self) -> np.ndarray:
        """Best path (num_frames,) if nothing follows: its last stretch lasts long enough, too."""
        return self._path(self._num_frames, int((self._worth + self._sums[-1]).argmax()))

    def open(self) -> np.ndarray:
        """Best path (num_frames,) if frames follow: its last stretch may be a young one."""
        complete = self._worth + self._sums[-1]
        young = self._value[:-1, None] - self._sums[:-1] - self._penalty + self._sums[-1]
        if not young.size or young.max() <= complete.max():
            return self.closed()
        place, index = np.unravel_index(young.argmax(), young.shape)
        path = np.full(self._num_frames, index, dtype=np.int8)
        end = self._num_frames - len(young) + int(place)
        path[:end] = self._path(end, int(self._best[place]))
        return path

    def num_certain(self) -> int:
        """Frames in which the best path is the same whatever follows."""
        there = np.flatnonzero(np.isfinite(self._worth))
        ends = [(self._num_frames, int(index)) for index in there]
        first = self._num_frames - len(self._value) + 1
        young = np.flatnonzero(np.isfinite(self._value))
        ends += [(first + int(place), int(self._best[place])) for place in young]
        paths = np.full((len(ends), self._num_frames + 1), -1, dtype=np.int8)
        for row, (end, index) in zip(paths, ends, strict=True):
            row[:end] = self._path(end, index)
        same = (paths == paths[0]).all(axis=0) & (paths[0] >= 0)
        return int(same.argmin())  # nobody has a frame behind the last

    def _path(self, end: int, index: int) -> np.ndarray:
        """Way back from the end of a stretch of class `index`."""
        path = np.empty(end, dtype=np.int8)
        while end > 0:
            start = int(self._entered[end, index])
            path[start:end] = index
            end, index = start, int(self._before[end, index])
        return path


def single_event_path(scores: np.ndarray, neutral: int, min_frames: int) -> np.ndarray:
    """Best path with at most one emotional event and neutral around it.

    ::

        e e e e     n n e e     e e n n     n e e n     or neutral throughout

    The event is the stretch over which an emotion gains most on neutral: the largest difference
    of two values of a running sum.

    Parameters
    ----------
    scores : (num_frames, num_classes) np.ndarray
        Log-probabilities.
    neutral : int
        Column of the neutral class.
    min_frames : int
        Frames that the event lasts at least.

    Returns
    -------
    (num_frames,) np.ndarray of int

    References
    ----------
    Wang et al. (2023), section 3.1 and figure 5.

    Examples
    --------
    >>> scores = np.log([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.2, 0.8], [0.9, 0.1]])
    >>> single_event_path(scores, neutral=0, min_frames=1).tolist()
    [0, 1, 1, 1, 0]
    """
    num_frames, num_classes = scores.shape
    path = np.full(num_frames, neutral)
    min_frames = min(max(1, min_frames), num_frames)
    if num_frames == 0:
        return path
    gain = np.concatenate(
        (np.zeros((1, num_classes)), np.cumsum(scores - scores[:, [neutral]], axis=0, dtype=float))
    )
    lowest = np.minimum.accumulate(gain[: num_frames + 1 - min_frames], axis=0)
    rise = gain[min_frames:] - lowest
    rise[:, neutral] = 0.0
    end, emotion = np.unravel_index(rise.argmax(), rise.shape)
    if rise[end, emotion] > 0:
        start = int(gain[: end + 1, emotion].argmin())
        path[start : end + min_frames] = emotion
    return path
