"""Smoothing of posteriors along time: moving average, median, total variation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def none(posteriors: np.ndarray, window: int) -> np.ndarray:
    """Posteriors as they are."""
    return posteriors


def moving_average(posteriors: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window, of what there is of it at the ends.

    Parameters
    ----------
    posteriors : (num_frames, num_classes) np.ndarray
    window : int
        Frames; the next odd number where it is even.

    Examples
    --------
    >>> moving_average(np.array([[0.0], [3.0], [0.0], [0.0]]), 3).ravel().tolist()
    [1.5, 1.0, 1.0, 0.0]
    """
    half = window // 2
    num_frames = len(posteriors)
    sums = np.concatenate((np.zeros((1, posteriors.shape[1])), posteriors.cumsum(0, dtype=float)))
    first = np.maximum(np.arange(num_frames) - half, 0)
    end = np.minimum(np.arange(num_frames) + half + 1, num_frames)
    return (sums[end] - sums[first]) / (end - first)[:, None]


def median(posteriors: np.ndarray, window: int) -> np.ndarray:
    """Median over a centred window; the first and last frames are repeated beyond the ends.

    Parameters
    ----------
    posteriors : (num_frames, num_classes) np.ndarray
    window : int
        Frames; the next odd number where it is even.

    Examples
    --------
    >>> median(np.array([[0.0], [3.0], [0.0], [1.0], [1.0]]), 3).ravel().tolist()
    [0.0, 0.0, 1.0, 1.0, 1.0]
    """
    half = window // 2
    if half == 0 or len(posteriors) == 0:
        return posteriors
    smooth = np.empty_like(posteriors)
    padded = np.pad(posteriors, ((half, half), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    for start in range(0, len(posteriors), 4096):  # the median copies its windows: bound the copy
        smooth[start : start + 4096] = np.median(windows[start : start + 4096], axis=-1)
    return smooth


def total_variation(posteriors: np.ndarray, window: int) -> np.ndarray:
    """Piecewise constant posteriors nearest to the given ones.

    Minimises ``1/2 sum (y - x)^2 + weight * sum |y[t+1] - y[t]|`` for each class, exactly, by the
    taut string: the shortest path within a tube of half-width `weight` around the running sum.
    The weight is a quarter of `window`, so a step of half the range survives if it lasts `window`
    frames. Classes are renormalised to sum to one.

    Parameters
    ----------
    posteriors : (num_frames, num_classes) np.ndarray
    window : int
        Frames.

    Examples
    --------
    >>> noisy = np.array([[0.1], [0.9], [0.1], [0.1], [0.9], [0.9], [0.8], [0.9]])
    >>> total_variation(np.hstack([noisy, 1 - noisy]), 2)[:, 0].round(3).tolist()
    [0.425, 0.425, 0.425, 0.425, 0.75, 0.75, 0.75, 0.75]
    """
    if len(posteriors) == 0:
        return posteriors
    columns = [_taut_string(column.tolist(), window / 4) for column in posteriors.T]
    smooth = np.clip(np.array(columns).T, 0.0, None)
    return smooth / np.maximum(smooth.sum(axis=1, keepdims=True), 1e-12)


def _taut_string(values: list[float], weight: float) -> list[float]:
    """Solution of the total-variation problem for one sequence.

    Between two bends the string is straight: its slope is the value. Going along, the steepest
    slope that stays under the tube's ceiling (`high`) and the flattest above its floor (`low`)
    close in on each other; where they cross, the string bends at the last point it touched.
    """
    last = len(values) - 1
    if last == 0:
        return list(values)
    smooth = [0.0] * len(values)
    start = low_at = high_at = 0
    low, high = values[0] - weight, values[0] + weight
    low_slack, high_slack = weight, -weight  # distance of the string to floor and ceiling
    position = 0
    while True:
        if position == last:
            # The tube closes at the end: what slack is left is spread over the last stretch.
            if low_slack < 0:
                smooth[start : low_at + 1] = [low] * (low_at + 1 - start)
                start = position = low_at = low_at + 1
                low, low_slack = values[position], weight
                high_slack = low + weight - high
            elif high_slack > 0:
                smooth[start : high_at + 1] = [high] * (high_at + 1 - start)
                start = position = high_at = high_at + 1
                high, high_slack = values[position], -weight
                low_slack = high - weight - low
            else:
                level = low + low_slack / (position - start + 1)
                smooth[start:] = [level] * (last + 1 - start)
                return smooth
            continue
        following = values[position + 1]
        if following + low_slack < low - weight:  # bend down
            smooth[start : low_at + 1] = [low] * (low_at + 1 - start)
            start = position = low_at = high_at = low_at + 1
            low, high = values[position], values[position] + 2 * weight
            low_slack, high_slack = weight, -weight
        elif following + high_slack > high + weight:  # bend up
            smooth[start : high_at + 1] = [high] * (high_at + 1 - start)
            start = position = low_at = high_at = high_at + 1
            low, high = values[position] - 2 * weight, values[position]
            low_slack, high_slack = weight, -weight
        else:
            position += 1
            low_slack += following - low
            high_slack += following - high
            if low_slack >= weight:
                low += (low_slack - weight) / (position - start + 1)
                low_slack, low_at = weight, position
            if high_slack <= -weight:
                high += (high_slack + weight) / (position - start + 1)
                high_slack, high_at = -weight, position


SMOOTHINGS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "none": none,
    "mean": moving_average,
    "median": median,
    "total-variation": total_variation,
}
"""Every smoothing by name; each takes posteriors and a window in frames."""
