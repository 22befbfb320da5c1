"""Vocal tract length perturbation: the same words from a larger or a smaller speaker.

A shorter vocal tract has higher formants and leaves the pitch to the vocal folds. So the spectral
envelope is warped, and not the bins: moved to other frequencies, their phases no longer fit from
one frame to the next. Of a vowel at 100 Hz they left 4 % of the power at its harmonics, where the
envelope leaves 99 %.
"""

from __future__ import annotations

import numpy as np

from sed.corpora.augmentation.level import as_loud_as

HOP = 0.008
"""Seconds from one frame to the next; a frame lasts four of them."""

KNEE = 4800.0
"""Hz up to which the warp is a factor, or `MAX_KNEE` of the highest frequency, if that is lower."""
MAX_KNEE = 0.8

SHORTEST_PERIOD = 0.0025
"""Seconds. What repeats slower than this in a frame is pitch and no envelope."""

FLOOR, MAX_GAIN = 80.0, 20.0
"""dB below the loudest bin that are silence, and dB that a bin gains or loses at most: what lies
beyond the edge of a telephone's band must not become loud."""


def warped(samples: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """Samples with their formants at other frequencies, as many, in the same places and as loud.

    ::

        before   0 |======= times factor =======|== the rest ==| sample_rate / 2
        after    0 |======== times factor ========|= the rest =| sample_rate / 2
                                                  KNEE at most

    The piecewise linear warp is that of Jaitly and Hinton (2013), Vocal tract length perturbation
    (VTLP) improves speech recognition, section 3.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray of float32
    sample_rate : int
    factor : float
        Above 1 for a shorter vocal tract with higher formants, below 1 for a longer one.

    Returns
    -------
    (num_samples,) np.ndarray of float32

    Raises
    ------
    ValueError
        If the factor is not above 0.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    >>> bool(np.allclose(warped(noise, 16_000, 1.0), noise, atol=1e-5))
    True
    """
    if not factor > 0:
        raise ValueError(f"frequencies cannot be warped by {factor}; give a factor above 0")
    if not samples.any():
        return np.zeros(len(samples), dtype=np.float32)
    import torch

    hop = max(1, round(HOP * sample_rate))
    size = 4 * hop
    window = torch.hann_window(size)
    waveform = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    spectrum = torch.stft(
        waveform, size, hop, window=window, pad_mode="constant", return_complex=True
    )
    magnitude = spectrum.abs()
    floor = max(float(magnitude.max()) * 10 ** (-FLOOR / 20), 1e-30)
    cepstrum = torch.fft.irfft(magnitude.clamp_min(floor).log(), n=size, dim=0)
    num_kept = max(2, round(SHORTEST_PERIOD * sample_rate))
    basis = torch.from_numpy(_change(sample_rate, size, num_kept, factor))
    limit = MAX_GAIN / 20 * np.log(10)
    gain = (basis @ cepstrum[1:num_kept]).clamp(-limit, limit).exp()
    changed = torch.istft(spectrum * gain, size, hop, window=window, length=len(samples))
    return as_loud_as(samples, changed.numpy())


def warp(frequency: np.ndarray, highest: float, factor: float) -> np.ndarray:
    """Frequencies that others are moved to: a factor up to the knee, a line to the highest after.

    Examples
    --------
    >>> warp(np.array([0.0, 1000.0, 4000.0, 8000.0]), 8000.0, 1.1).round().tolist()
    [0.0, 1100.0, 4400.0, 8000.0]
    >>> warp(np.array([1000.0, 4800.0, 6400.0]), 8000.0, 0.9).round().tolist()
    [900.0, 4320.0, 6160.0]
    """
    knee = min(KNEE, MAX_KNEE * highest) * min(factor, 1.0)
    return np.interp(frequency, [0.0, knee / factor, highest], [0.0, knee, highest])


def _change(sample_rate: int, size: int, num_kept: int, factor: float) -> np.ndarray:
    """(num_bins, num_kept - 1) array of float32: from a cepstrum to the change of the log envelope.

    An envelope is a sum of cosines over frequency. At each bin it becomes what it was at the
    frequency that the warp moves there, for which the inverse factor is the inverse warp.
    """
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    come_from = warp(frequency, sample_rate / 2, 1 / factor)
    order = np.arange(1, num_kept) * (2 * np.pi / sample_rate)
    change = np.cos(come_from[:, None] * order) - np.cos(frequency[:, None] * order)
    return (2 * change).astype(np.float32)
