"""Random changes to whole recordings, one after the other, as on the way from mouth to file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from sed.corpora.augmentation.filters import band_pass, fast_size, smooth, telephone
from sed.corpora.augmentation.mp3 import through_mp3
from sed.corpora.augmentation.rooms import in_room
from sed.corpora.augmentation.vocal_tract import warped

Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """Random voices, rooms, noise, colour, bands, level and MP3, applied to whole recordings.

    ::

        speed ▶ vocal tract ▶ room ▶ noise ▶ colour, telephone, band ▶ level ▶ MP3

    With the vocal tract, noise, rooms, MP3, bands and level, these are the augmentations of
    da Silva et al. (2020), section 4.2.

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
    rooms : sequence of (num_samples,) np.ndarray
        Room impulse responses at the recordings' sampling rate.
    room_probability : float
        How often a recording is put into one of them, where there are any; see `in_room`.
    vtlp_probability : float
        How often formants move alone (vocal tract length perturbation), see `warped`.
    warp : tuple of float
        Range of the factor by which they do.
    band_probability : float
        How often a random band is left, with soft edges, see `band_pass`.
    low_cut, high_cut : tuple of float
        Ranges of its edges in Hz; the second ends at half the sampling rate.
    mp3_probability : float
        How often the recording is encoded as MP3 and decoded, see `through_mp3`.
    bit_rate : tuple of float
        Range of the bit rate in kbit/s.

    Raises
    ------
    ValueError
        If a probability is not from 0 to 1, a range starts above its end, or one makes no sense.

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
    snr: Range = (5.0, 30.0)
    colour: float = 3.0
    telephone_probability: float = 0.2
    gain: Range = (-10.0, 6.0)
    speed: float = 1.0
    rooms: Sequence[np.ndarray] = field(default=(), repr=False)
    room_probability: float = 0.5
    vtlp_probability: float = 0.0
    warp: Range = (0.9, 1.1)
    band_probability: float = 0.0
    low_cut: Range = (50.0, 500.0)
    high_cut: Range = (2000.0, 7000.0)
    mp3_probability: float = 0.0
    bit_rate: Range = (8.0, 64.0)

    def __post_init__(self) -> None:
        """Refuse what would be found wrong only when it is drawn."""
        for name in (setting.name for setting in fields(self)):
            value = getattr(self, name)
            if name.endswith("_probability") and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}, not between 0 and 1")
        for name in ("snr", "gain", "warp", "low_cut", "high_cut", "bit_rate"):
            least, most = getattr(self, name)
            if not least <= most:
                raise ValueError(f"{name} starts at {least} and ends at {most}; turn it round")
            if name in ("warp", "high_cut", "bit_rate") and not least > 0:
                raise ValueError(f"{name} starts at {least}; give a number above 0")

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

        Raises
        ------
        ValueError
            If there are no MP3s of this sample rate, and one is drawn.
        """
        if self.speed > 1.0:
            factor = self.speed ** rng.uniform(-1.0, 1.0)
            at = np.arange(0, max(1, len(samples) - 1), factor)
            samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
        if _drawn(self.vtlp_probability, rng):
            samples = warped(samples, sample_rate, rng.uniform(*self.warp))
        if len(self.rooms) and rng.random() < self.room_probability:
            samples = in_room(samples, self.rooms[int(rng.integers(len(self.rooms)))])
        if rng.random() < self.noise_probability:
            noise = self._noise(len(samples), rng)
            ratio = 10 ** (-rng.uniform(*self.snr) / 20)
            power = np.sqrt(np.mean(samples**2) / max(float(np.mean(noise**2)), 1e-12))
            samples = samples + noise * (ratio * power)
        size = fast_size(len(samples))
        spectrum = np.fft.rfft(samples, size)
        response = self._response(np.fft.rfftfreq(size, 1 / sample_rate), sample_rate, rng)
        samples = np.fft.irfft(spectrum * response, size)[: len(samples)].astype(np.float32)
        if _drawn(self.mp3_probability, rng):
            samples = through_mp3(samples, sample_rate, rng.uniform(*self.bit_rate))
        return samples

    def _noise(self, num_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Stretch of a random noise, repeated if it is too short."""
        if not len(self.noises):
            return rng.standard_normal(num_samples)
        noise = self.noises[int(rng.integers(len(self.noises)))]
        start = int(rng.integers(len(noise)))
        return np.take(noise, np.arange(start, start + num_samples), mode="wrap")

    def _response(
        self, frequency: np.ndarray, sample_rate: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Random gain at each frequency: colour, telephone, band and level."""
        points = np.geomspace(50, sample_rate / 2, 8)
        decibels = rng.normal(0.0, self.colour, size=len(points)) if self.colour else points * 0
        response = smooth(frequency, points, decibels)
        if rng.random() < self.telephone_probability:
            response *= telephone(frequency)
        if _drawn(self.band_probability, rng):
            least, most = np.minimum(self.high_cut, sample_rate / 2)
            low_cut = rng.uniform(*self.low_cut)
            response *= band_pass(frequency, low_cut, rng.uniform(least, most))
        return response * 10 ** (rng.uniform(*self.gain) / 20)


def _drawn(probability: float, rng: np.random.Generator) -> bool:
    """Whether a change comes; at 0 nothing is drawn, so that it shifts no other's numbers."""
    return probability > 0.0 and rng.random() < probability
