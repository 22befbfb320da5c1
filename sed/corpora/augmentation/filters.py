"""Frequency responses of microphones and lines; they shift no phase, so nothing moves."""

from __future__ import annotations

import numpy as np

ORDER = 4
"""Of a band's edges, as of a Butterworth filter: 24 dB an octave, 3 dB at the cut-off."""


def telephone(frequency: np.ndarray) -> np.ndarray:
    """Gain of a telephone: 300 to 3400 Hz and nothing else.

    Examples
    --------
    >>> telephone(np.array([200.0, 1000.0, 3500.0])).tolist()
    [False, True, False]
    """
    return (frequency > 300) & (frequency < 3400)


def band_pass(frequency: np.ndarray, low_cut: float, high_cut: float) -> np.ndarray:
    r"""Gain of a band with soft edges.

    ::

         1      ____________
        0.7    /            \
              /|            |\
        0  __/ |            | \__
             low_cut     high_cut      Hz

    Parameters
    ----------
    frequency : (num_frequencies,) np.ndarray
        In Hz.
    low_cut, high_cut : float
        Where half of the power is left, in Hz; a `low_cut` of 0 leaves all below.

    Returns
    -------
    (num_frequencies,) np.ndarray

    Examples
    --------
    >>> band_pass(np.array([150.0, 300.0, 1000.0, 3400.0, 6800.0]), 300.0, 3400.0).round(2).tolist()
    [0.06, 0.71, 1.0, 0.71, 0.06]
    """
    above = low_cut / np.maximum(frequency, 1e-3)
    below = frequency / high_cut
    return 1 / np.sqrt((1 + above ** (2 * ORDER)) * (1 + below ** (2 * ORDER)))


def smooth(frequency: np.ndarray, points: np.ndarray, decibels: np.ndarray) -> np.ndarray:
    """Gain between points on a logarithmic axis, joined by lines.

    Parameters
    ----------
    frequency : (num_frequencies,) np.ndarray
        In Hz.
    points, decibels : (num_points,) np.ndarray
        Frequencies above 0 in Hz, and the gain there.

    Examples
    --------
    >>> gain = smooth(np.array([200.0]), np.array([100.0, 400.0]), np.array([0.0, 20.0]))
    >>> round(float(20 * np.log10(gain[0])))
    10
    """
    at = np.log(np.maximum(frequency, 1.0))
    return 10 ** (np.interp(at, np.log(points), decibels) / 20)


def fast_size(num_samples: int) -> int:
    """Next size that a Fourier transform is quick for: 2, 3 or 5 times a power of two.

    Examples
    --------
    >>> fast_size(65_537), fast_size(100_000)
    (81920, 131072)
    """
    power = 1 << max(1, num_samples - 1).bit_length()
    return next(size for size in (power // 8 * 5, power // 4 * 3, power) if size >= num_samples)
