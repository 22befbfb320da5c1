"""How far the numbers would move with other recordings: bootstrap over files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

NUM_RESAMPLES = 2000
"""Draws of a bootstrap; the p-value of a comparison is at least 2 / 2001."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""From ``(num_draws, num_recordings)`` counts to ``(num_draws, num_numbers)`` numbers."""

_BLOCK = 2_000_000  # counts held at a time: 16 MB


@dataclass(frozen=True)
class Interval:
    """A number and where it lies with some confidence.

    Parameters
    ----------
    value, low, high : float
    confidence : float
        Probability, such as 0.95.
    """

    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Difference:
    """How much larger the second of two systems' numbers is, and whether that may be chance.

    Parameters
    ----------
    first, second : float
        The number of each system.
    interval : Interval
        Of ``second - first``.
    p_value : float
        Two-sided: how often the difference would be as far from zero if there were none.
    """

    first: float
    second: float
    interval: Interval
    p_value: float


def bootstrap(
    statistic: Statistic,
    num_recordings: int,
    *,
    confidence: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """Percentile intervals of numbers over draws of the recordings with replacement.

    Parameters
    ----------
    statistic : callable
        From how often each recording counts to the numbers.
    num_recordings : int
    confidence : float, optional
        Probability, between 0 and 1.
    num_resamples : int, optional
    seed : int, optional
        The same seed draws the same recordings.

    Returns
    -------
    list of Interval
        One for each number of the statistic.

    Raises
    ------
    ValueError
        If there are no recordings, or the confidence is no probability.

    References
    ----------
    Bisani and Ney 2004, Bootstrap estimates for confidence intervals in ASR performance
    evaluation.

    Examples
    --------
    >>> rates = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    >>> [interval] = bootstrap(lambda counts: counts @ rates[:, None] / 5, 5)
    >>> round(interval.value, 3), round(interval.low, 2), round(interval.high, 2)
    (0.2, 0.08, 0.32)
    """
    tail = _tail(confidence, num_recordings)
    values = statistic(np.ones((1, num_recordings)))[0]
    drawn = _drawn([statistic], num_recordings, num_resamples, seed)[0]
    return [
        Interval(float(value), *_quantiles(sample, tail), confidence)
        for value, sample in zip(values, drawn.T, strict=True)
    ]


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    num_recordings: int,
    *,
    confidence: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Differences of two systems over draws of the same recordings for both.

    ::

        draw 1   a b b d        both systems on a b b d        difference 1
        draw 2   c a d d        both systems on c a d d        difference 2
        p = 2 * the share of the differences on the rarer side of zero

    Parameters
    ----------
    first, second : callable
        Statistics of the systems, as in `bootstrap`.
    num_recordings, confidence, num_resamples, seed
        As in `bootstrap`.

    Raises
    ------
    ValueError
        If there are no recordings, or the confidence is no probability.

    Examples
    --------
    >>> rates = np.array([0.1, 0.2, 0.3])
    >>> [worse] = paired_bootstrap(lambda counts: counts @ rates[:, None] / 3,
    ...                            lambda counts: counts @ (rates[:, None] + 0.1) / 3, 3)
    >>> round(worse.interval.low, 3), worse.p_value < 0.01
    (0.1, True)
    """
    tail = _tail(confidence, num_recordings)
    once = np.ones((1, num_recordings))
    values = first(once)[0], second(once)[0]
    drawn_first, drawn_second = _drawn([first, second], num_recordings, num_resamples, seed)
    differences = []
    for one, other, sample in zip(*values, (drawn_second - drawn_first).T, strict=True):
        sample = sample[~np.isnan(sample)]
        rarer = min(int((sample <= 0).sum()), int((sample >= 0).sum()))
        differences.append(
            Difference(
                float(one),
                float(other),
                Interval(float(other - one), *_quantiles(sample, tail), confidence),
                min(1.0, 2 * (rarer + 1) / (len(sample) + 1)),
            )
        )
    return differences


def _tail(confidence: float, num_recordings: int) -> float:
    """Probability on each side of an interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1; 0.95 is usual")
    if num_recordings < 1:
        raise ValueError("an interval needs at least one recording")
    return (1 - confidence) / 2


def _quantiles(sample: np.ndarray, tail: float) -> tuple[float, float]:
    """Ends of the interval; draws in which the number does not exist are left out."""
    sample = sample[~np.isnan(sample)]
    if not len(sample):
        return np.nan, np.nan
    low, high = np.quantile(sample, [tail, 1 - tail])
    return float(low), float(high)


def _drawn(
    statistics: list[Statistic], num_recordings: int, num_resamples: int, seed: int
) -> list[np.ndarray]:
    """Numbers of each statistic over the same draws."""
    drawn: list[list[np.ndarray]] = [[] for _ in statistics]
    for counts in _draws(num_recordings, num_resamples, seed):
        for numbers, statistic in zip(drawn, statistics, strict=True):
            numbers.append(statistic(counts))
    return [np.concatenate(numbers) for numbers in drawn]


def _draws(num_recordings: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each recording was drawn, for some draws at a time."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // num_recordings)
    for first in range(0, num_resamples, block):
        rows = min(block, num_resamples - first)
        chosen = rng.integers(num_recordings, size=(rows, num_recordings))
        chosen += np.arange(rows)[:, None] * num_recordings
        counts = np.bincount(chosen.reshape(-1), minlength=rows * num_recordings)
        yield counts.reshape(rows, num_recordings)
