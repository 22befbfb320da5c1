"""Changes to a recording that do not change its emotions: rooms, noise, microphones, telephones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from sed.audio import Recording, find_recordings

MAX_SOUND = 300.0
"""Seconds of a noise or room that are read; the rest of a longer file is not used."""


@dataclass(frozen=True)
class Augmentation:
    """Random rooms, noise, colour, telephone band and level, applied to whole recordings.

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
    rooms: Sequence[np.ndarray] = field(default=(), repr=False)
    room_probability: float = 0.5

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
        if len(self.rooms) and rng.random() < self.room_probability:
            samples = in_room(samples, self.rooms[int(rng.integers(len(self.rooms)))])
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
        if not len(self.noises):
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


class Sounds(Sequence[np.ndarray]):
    """Audio files of a folder and its folders, such as noises or rooms, read when asked for.

    Parameters
    ----------
    folder : str or Path
    sample_rate : int
    num_kept : int
        Sounds that stay in memory, those asked for last; 19 MB each at 16 kHz at most.

    Raises
    ------
    ValueError
        If there is none, and, when one is asked for, if it cannot be decoded or is silent.
    OSError
        If the folder is missing or must not be read.
    """

    def __init__(self, folder: str | Path, sample_rate: int, *, num_kept: int = 8) -> None:
        self.folder, self.paths = Path(folder), list(find_recordings(folder))
        if not self.paths:
            raise ValueError(f"{folder} holds no audio files; name a folder with some")
        self.sample_rate, self.num_kept = sample_rate, num_kept
        self._read = lru_cache(maxsize=num_kept)(self._read_now)

    def __reduce__(self) -> Any:
        """Another process, such as a loader of training data, reads the sounds for itself."""
        return partial(Sounds, num_kept=self.num_kept), (self.folder, self.sample_rate)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """(num_samples,) array of float32 of a file, or those of several."""
        if isinstance(index, slice):
            return [self._read(path) for path in self.paths[index]]
        return self._read(self.paths[index])

    def _read_now(self, path: Path) -> np.ndarray:
        blocks = Recording.open(path).blocks(sample_rate=self.sample_rate, duration=MAX_SOUND)
        samples = next(blocks)
        if not samples.any():
            raise ValueError(f"{path} is silent; take it out of its folder")
        return samples


def in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    r"""Samples as they sound in a room, as many, in the same places and as loud.

    ::

        response   __.|\.,_,.__      what precedes the direct sound is cut away, so that nothing
                      | direct       moves; the reverberation after the last sample too

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
    response : (any,) np.ndarray
        Impulse response.

    Returns
    -------
    (num_samples,) np.ndarray of float32

    Examples
    --------
    >>> click, response = np.array([0, 1, 0, 0, 0, 0]), np.array([0, 0.8, 0.6])
    >>> [abs(round(float(x), 2)) for x in in_room(click, response)]
    [0.0, 0.8, 0.6, 0.0, 0.0, 0.0]
    """
    response = response[np.abs(response).argmax() :]
    size = _fast_size(len(samples) + len(response) - 1)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    wet = np.fft.irfft(spectrum, size)[: len(samples)]
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    level = np.sqrt(power / max(float(np.mean(wet**2)), 1e-12))
    return (wet * level).astype(np.float32)


def _fast_size(num_samples: int) -> int:
    """Next size that a Fourier transform is quick for: 2, 3 or 5 times a power of two.

    Examples
    --------
    >>> _fast_size(65_537), _fast_size(100_000)
    (81920, 131072)
    """
    power = 1 << max(1, num_samples - 1).bit_length()
    return next(size for size in (power // 8 * 5, power // 4 * 3, power) if size >= num_samples)
