"""Long signals in as many columns as a picture has, read block by block."""

from __future__ import annotations

import math

import numpy as np
from pyannote.core import SlidingWindowFeature

from sed.audio import Recording

NUM_COLUMNS = 1000
"""Columns of a picture: about as many as it has pixels where it is 1200 wide."""


def envelope(
    recording: Recording,
    *,
    start: float = 0.0,
    end: float = math.inf,
    num_columns: int = NUM_COLUMNS,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest sample of each column of a stretch of a recording.

    It is read block by block: memory does not grow with it.

    ::

        samples   .|.||..|||  .|||||.      .||.
        columns   |---|---|---|---|---|---|---|
        high       ..  |  ||   || |   .     |
        low        .   |  |    |  .   .     .

    Parameters
    ----------
    recording : Recording
    start, end : float, optional
        Seconds; all of the recording by default.
    num_columns : int, optional
        Fewer if there are fewer samples.

    Returns
    -------
    edges : (num_columns + 1,) np.ndarray
        Boundaries of the columns in seconds.
    low, high : (num_columns,) np.ndarray of float32

    Raises
    ------
    OSError, ValueError
        If the recording cannot be read.

    Examples
    --------
    >>> saw = Recording.from_samples(np.array([0.0, 0.5, -0.5, 0.25] * 2_000), 8_000)
    >>> edges, low, high = envelope(saw, num_columns=2)
    >>> edges.tolist(), low.tolist(), high.tolist()
    ([0.0, 0.5, 1.0], [-0.5, -0.5], [0.5, 0.5])
    """
    rate = recording.sample_rate  # its own, so that nothing is resampled
    num_samples = recording.num_samples(rate)
    first = min(num_samples, max(0, math.floor(start * rate)))
    last = math.ceil(end * rate) if end * rate < num_samples else num_samples
    bounds = _bounds(first, last, num_columns)
    low = np.full(len(bounds) - 1, np.inf, dtype=np.float32)
    high = -low
    position = 0
    for block in recording.blocks(sample_rate=rate):
        begin, stop = max(position, first), min(position + len(block), last)
        if begin < stop:
            columns = slice(
                np.searchsorted(bounds, begin, "right") - 1, np.searchsorted(bounds, stop)
            )
            starts = np.maximum(bounds[columns], begin) - position
            heard = block[: stop - position]
            low[columns] = np.minimum(low[columns], np.minimum.reduceat(heard, starts))
            high[columns] = np.maximum(high[columns], np.maximum.reduceat(heard, starts))
        position += len(block)
        if position >= last:
            break
    return bounds / rate, low, high


def column_means(
    scores: SlidingWindowFeature,
    *,
    start: float = 0.0,
    end: float = math.inf,
    num_columns: int = NUM_COLUMNS,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean scores of each column of a stretch of time.

    Parameters
    ----------
    scores : (num_frames, num_classes) SlidingWindowFeature
    start, end : float, optional
        Seconds; all frames by default.
    num_columns : int, optional
        Fewer if there are fewer frames.

    Returns
    -------
    edges : (num_columns + 1,) np.ndarray
        Boundaries of the columns in seconds.
    means : (num_columns, num_classes) np.ndarray

    Raises
    ------
    ValueError
        If a score is no number.

    Examples
    --------
    >>> from sed.frames import FrameGrid
    >>> scores = FrameGrid(16_000, 8_000).feature(np.array([[0.0], [0.5], [0.5], [1.0]]))
    >>> edges, means = column_means(scores, num_columns=2)
    >>> edges.tolist(), means.tolist()
    ([0.0, 1.0, 2.0], [[0.25], [0.75]])
    """
    window = scores.sliding_window
    origin = window.start + (window.duration - window.step) / 2
    num_frames = len(scores.data)
    first = min(num_frames, max(0, math.floor((start - origin) / window.step)))
    last = (end - origin) / window.step
    last = math.ceil(last) if last < num_frames else num_frames
    bounds = _bounds(first, last, num_columns)
    if len(bounds) == 1:
        return origin + bounds * window.step, np.zeros((0, scores.data.shape[1]))
    sums = np.add.reduceat(scores.data[:last], bounds[:-1], axis=0, dtype=np.float64)
    if not np.isfinite(sums).all():
        raise ValueError("posteriors hold what is no number; compute them again")
    return origin + bounds * window.step, sums / np.diff(bounds)[:, None]


def _bounds(first: int, last: int, num_columns: int) -> np.ndarray:
    """Whole boundaries of at most so many columns, none of them empty."""
    count = max(0, min(num_columns, last - first))
    return first + np.arange(count + 1) * max(0, last - first) // max(1, count)
