"""How far the confidence of a classifier is from how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15
"""Bins of equal width from 0 to 1, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """``error = sum_b n_b / N |accuracy_b - confidence_b|``, the expected calibration error.

    ``n_b`` of the ``N`` frames have a confidence in bin ``b``; ``accuracy_b`` is the share of them
    that are right, ``confidence_b`` their mean confidence. Counts and sums are kept, so what was
    counted in several recordings is added, never averaged.

    ::

        bin           1    2    3        14   15
        confidence  |----|----|---- … -|----|----|
                    0   1/15 2/15          14/15 1      the upper edge belongs to the bin

    Parameters
    ----------
    count : tuple of int
        Frames of each of the 15 bins.
    confidence : tuple of float
        Sum of their confidence.
    right : tuple of int
        How many of them are right.

    Raises
    ------
    ValueError
        If there is not one value for each bin, or they cannot have been counted.

    References
    ----------
    Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3.

    Examples
    --------
    >>> found = calibration(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, True, False]))
    >>> round(found.error, 6), (found + Calibration.zero()) == found
    (0.15, True)
    """

    count: tuple[int, ...]
    confidence: tuple[float, ...]
    right: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot have been counted."""
        for values in (self.count, self.confidence, self.right):
            if len(values) != NUM_BINS:
                raise ValueError(f"{values} are {len(values)} values, not one for {NUM_BINS} bins")
        for count, confidence, right in self.bins:
            if not (0 <= right <= count and 0.0 <= confidence <= count * (1.0 + 1e-9)):
                raise ValueError(
                    f"{count} frames cannot be {right} times right with {confidence} as the sum of "
                    "their confidence"
                )

    @classmethod
    def zero(cls) -> Calibration:
        """Calibration of nothing, where a sum starts."""
        return cls(count=(0,) * NUM_BINS, confidence=(0.0,) * NUM_BINS, right=(0,) * NUM_BINS)

    def __add__(self, other: object) -> Calibration:
        """Calibration on the frames of two recordings together."""
        if not isinstance(other, Calibration):
            return NotImplemented
        pairs = zip(self.bins, other.bins, strict=True)
        count, confidence, right = zip(
            *([mine + theirs for mine, theirs in zip(*pair, strict=True)] for pair in pairs),
            strict=True,
        )
        return Calibration(count=count, confidence=confidence, right=right)

    @property
    def bins(self) -> list[tuple[int, float, int]]:
        """Frames, sum of confidence and right frames of each bin."""
        return list(zip(self.count, self.confidence, self.right, strict=True))

    @property
    def total(self) -> int:
        """Frames of all bins."""
        return sum(self.count)

    @property
    def error(self) -> float:
        """Expected calibration error, from 0 to 1; 0 where nothing was counted."""
        gaps = sum(abs(right - confidence) for _, confidence, right in self.bins)
        return gaps / self.total if self.total else 0.0

    def __float__(self) -> float:
        """The error, for whoever wants one number."""
        return self.error


def calibration(confidence: np.ndarray, right: np.ndarray) -> Calibration:
    """Count the frames of a recording by their confidence.

    Parameters
    ----------
    confidence : (num_frames,) np.ndarray
        Posterior of each frame's class, from 0 to 1.
    right : (num_frames,) np.ndarray of bool
        Whether that class is the true one.

    Raises
    ------
    ValueError
        If a confidence is no number from 0 to 1, or the two are not equally long.

    Examples
    --------
    >>> found = calibration(np.array([0.7, 0.5, 0.7]), np.array([True, False, False]))
    >>> found.count[7], found.count[10], found.right[10]  # from 0.47 to 0.53, and to 0.73
    (1, 2, 1)
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != np.shape(right):
        raise ValueError(
            f"a confidence and a right or wrong for each frame, not {confidence.shape} and "
            f"{np.shape(right)}"
        )
    if not np.all((confidence >= 0.0) & (confidence <= 1.0 + 1e-6)):  # posteriors are rounded
        raise ValueError("a confidence lies between 0 and 1")
    edges = np.arange(1, NUM_BINS) / NUM_BINS
    bins = np.searchsorted(edges, confidence, side="left")
    of_bins = [
        np.bincount(bins, weights=values, minlength=NUM_BINS).tolist()
        for values in (np.minimum(confidence, 1.0), right)
    ]
    return Calibration(
        count=tuple(np.bincount(bins, minlength=NUM_BINS).tolist()),
        confidence=tuple(of_bins[0]),
        right=tuple(map(int, of_bins[1])),
    )
