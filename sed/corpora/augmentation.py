"""Changes to a recording that do not change its emotions: noise, microphones, telephone lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """Random noise, colour, telephone band and level; each is applied to whole recordings.

    Parameters
    ----------
    noises : sequence of (num_samples,) np.ndarray
        Background noise at the recordings' sampling rate; white noise where there is none.
    noise_probability : float
        How often noise is added.
    snr : tuple of float
        Range of the signal-to-noise ratio in dB.
    colour : float
        Standard deviation in dB of a random smooth frequency response, as of a microphone.
    telephone_probability : float
        How often only 300 to 3400 Hz are left.
    gain : tuple of float
        Range of the level change in dB.
    speed : float
        Largest factor by which a recording is played slower or faster, which moves pitch and
        formants as another speaker's: 1 leaves them.

    Examples
    --------
    >>> augment = Augmentation(noise_probability=1.0, snr=(20.0, 20.0), colour=0.0,
    ...     telephone_probability=0.0, gain=(0.0, 0.0))
    >>> clean = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    >>> noise = augment(clean, 16_000, np.random.default_rng(0)) - clean
    >>> round(float(10 * np.log10(np.mean(clean**2) / np.mean(noise**2))))
    20
    """

    noises: Sequence[np.ndarray] = field(default=(), repr=False)
    noise_probability: float = 0.5
    snr: tuple[float, float] = (5.0, 30.0)
    colour: float = 3.0
    telephone_probability: float = 0.2
    gain: tuple[float, float] = (-10.0, 6.0)
    speed: float = 1.0

    def __call__(
        self, samples: np.ndarray, sample_rate: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Augment a recording.

        Parameters
        ----------
        samples : (num_samples,) np.ndarray of float32
        sample_rate : int
        rng : np.random.Generator

        Returns
        -------
        (num_samples,) np.ndarray of float32
            Another number of samples where `speed` is not 1.
        """
        if self.speed > 1.0:
            factor = self.speed ** rng.uniform(-1.0, 1.0)
            at = np.arange(0, len(samples) - 1, factor)
            samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
        if rng.random() < self.noise_probability:
            noise = self._noise(len(samples), rng)
            ratio = 10 ** (-rng.uniform(*self.snr) / 20)
            power = np.sqrt(np.mean(samples**2) / max(float(np.mean(noise**2)), 1e-12))
            samples = samples + noise * (ratio * power)
        size = _fast_size(len(samples))
        spectrum = np.fft.rfft(samples, size)
        frequency = np.fft.rfftfreq(size, 1 / sample_rate)
        response = self._response(frequency, sample_rate, rng)
        if rng.random() < self.telephone_probability:
            response *= (frequency > 300) & (frequency < 3400)
        response *= 10 ** (rng.uniform(*self.gain) / 20)
        return np.fft.irfft(spectrum * response, size)[: len(samples)].astype(np.float32)

    def _noise(self, num_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Stretch of a random noise, repeated if it is too short."""
        if not self.noises:
            return rng.standard_normal(num_samples)
        noise = self.noises[int(rng.integers(len(self.noises)))]
        start = int(rng.integers(len(noise)))
        return np.take(noise, np.arange(start, start + num_samples), mode="wrap")

    def _response(
        self, frequency: np.ndarray, sample_rate: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Random smooth frequency response: points on a logarithmic axis, joined by lines."""
        points = np.geomspace(50, sample_rate / 2, 8)
        decibels = rng.normal(0.0, self.colour, size=len(points)) if self.colour else points * 0
        at = np.log(np.maximum(frequency, 1.0))
        return 10 ** (np.interp(at, np.log(points), decibels) / 20)


def _fast_size(num_samples: int) -> int:
    """Next size that a Fourier transform is quick for: 2, 3 or 5 times a power of two.

    Examples
    --------
    >>> _fast_size(65_537), _fast_size(100_000)
    (81920, 131072)
    """
    power = 1 << max(1, num_samples - 1).bit_length()
    return next(size for size in (power // 8 * 5, power // 4 * 3, power) if size >= num_samples)
