"""Loudness that a change leaves as it was."""

from __future__ import annotations

import numpy as np


def as_loud_as(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Changed samples at the power that they had before.

    Parameters
    ----------
    before, after : (num_samples,) np.ndarray

    Returns
    -------
    (num_samples,) np.ndarray of float32
        Silence stays silence.

    Examples
    --------
    >>> as_loud_as(np.array([1.0, -1.0]), np.array([4.0, 4.0])).tolist()
    [1.0, 1.0]
    """
    power = float(np.mean(np.square(before, dtype=np.float64)))
    level = np.sqrt(power / max(float(np.mean(after**2)), 1e-12))
    return (after * level).astype(np.float32)
