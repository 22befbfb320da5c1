"""Best paths through frame scores: exact, and linear in the number of frames."""

from __future__ import annotations

import numpy as np


def viterbi_path(scores: np.ndarray, min_frames: int, switch_penalty: float) -> np.ndarray:
    """Path with the highest score in which every stretch lasts at least `min_frames`.

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
    num_frames, num_classes = scores.shape
    if num_frames == 0:
        return np.zeros(0, dtype=int)
    # For the way back: where the stretch that a path is in began, and the class before it.
    entered = np.zeros((num_frames + 1, num_classes), dtype=np.int32)
    before = np.full((num_frames + 1, num_classes), -1, dtype=np.int8)
    # Of S, W and the best totals only the block of boundaries before the current one is needed.
    sums = np.zeros((1, num_classes))
    worth = np.zeros((1, num_classes))  # every path starts at boundary 0, in any class, for free
    value, best = np.full(1, -np.inf), np.full(1, -1)  # the start is no change
    for first in range(1, num_frames + 1, min_frames):
        end = min(first + min_frames, num_frames + 1)
        size = end - first
        sums_now = sums[-1] + np.cumsum(scores[first - 1 : end - 1], axis=0, dtype=float)
        change = np.full((size, num_classes), -np.inf)
        if first > 1:
            change = value[:size, None] - sums[:size] - switch_penalty
        candidates = np.vstack((worth[-1], change))
        running = np.maximum.accumulate(candidates, axis=0)
        raised = np.where(candidates == running, np.arange(size + 1)[:, None], 0)
        winner = np.maximum.accumulate(raised, axis=0)[1:]
        at = np.maximum(winner - 1, 0)
        entered[first:end] = np.where(winner > 0, first - min_frames + at, entered[first - 1])
        before[first:end] = np.where(winner > 0, best[at] if first > 1 else -1, before[first - 1])
        sums, worth = sums_now, running[1:]
        totals = worth + sums
        # The first stretch is too short to be left before min_frames.
        totals[np.arange(first, end) < min(min_frames, num_frames)] = -np.inf
        best, value = totals.argmax(axis=1), totals.max(axis=1)
    path = np.empty(num_frames, dtype=np.int8)
    end, current = num_frames, int(best[-1])
    while end > 0:
        start = int(entered[end, current])
        path[start:end] = current
        end, current = start, int(before[end, current])
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
