"""Clips: the speech of utterances, silences removed, all equally loud."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from sed.audio import Recording
from sed.corpora.utterance import Utterance
from sed.decoding import Binarize
from sed.vad import VAD

LOUDNESS = 0.05
"""Root mean square that every clip is brought to: -26 dB below full scale."""

SHORT_SILENCES = Binarize(min_duration_off=0.07)
"""Leaves no silence above 0.2 s, which is the paper's limit: what is filled lies between paddings,
so a silence that stays is 0.07 s and two paddings long at most; six frames of Silero."""


class AnyClip(Protocol):
    """What has an utterance and its speech, wherever the samples are."""

    @property
    def utterance(self) -> Utterance:
        """What it is cut from."""
        ...

    @property
    def samples(self) -> np.ndarray:
        """(num_samples,) array of float32."""
        ...

    @property
    def num_samples(self) -> int:
        """How many samples there are; none where there is no speech."""
        ...


@dataclass(frozen=True)
class Clip:
    """Speech of an utterance, silences removed.

    Parameters
    ----------
    utterance : Utterance
    samples : (num_samples,) np.ndarray of float32
    """

    utterance: Utterance
    samples: np.ndarray

    @property
    def num_samples(self) -> int:
        """Number of samples."""
        return len(self.samples)


@dataclass(frozen=True)
class LazyClip:
    """Clip that is read when its samples are asked for.

    Parameters
    ----------
    utterance : Utterance
    read : callable
        From the utterance to its samples; none where there is no speech.
    """

    utterance: Utterance
    read: Callable[[Utterance], np.ndarray] = field(repr=False)

    @property
    def samples(self) -> np.ndarray:
        """(num_samples,) array of float32."""
        return self.read(self.utterance)

    @property
    def num_samples(self) -> int:
        """Number of samples, which are read for it."""
        return len(self.samples)


def read_speech(
    utterance: Utterance, *, vad: VAD, binarize: Binarize, sample_rate: int
) -> np.ndarray:
    r"""Speech of an utterance at equal loudness.

    ::

        utterance   ____/^^^\__/^^\_______/^^^^\____      _ silence
        speech          |========||=============|          no silence longer than what the
                                                           binarization fills, and its paddings

    Parameters
    ----------
    utterance : Utterance
    vad : VAD
    binarize : Binarize
        Silences up to its `min_duration_off` stay; `SHORT_SILENCES` is the paper's.
    sample_rate : int

    Returns
    -------
    (num_samples,) np.ndarray of float32
        Empty where no speech is found.
    """
    recording = Recording.open(utterance.path)
    samples = recording.samples(sample_rate)
    speech = binarize(vad(recording), recording.duration)
    pieces = [
        samples[round(segment.start * sample_rate) : round(segment.end * sample_rate)]
        for segment in speech
    ]
    if not pieces:
        return np.empty(0, dtype=np.float32)
    joined = np.concatenate(pieces)
    level = float(np.sqrt(np.mean(np.square(joined, dtype=np.float64))))
    return (joined * (LOUDNESS / max(level, 1e-6))).astype(np.float32)


def load_clips(
    utterances: Iterable[Utterance],
    *,
    vad: VAD,
    binarize: Binarize,
    sample_rate: int,
) -> list[Clip]:
    """Speech of utterances, read now, see `read_speech`.

    Returns
    -------
    list of Clip
        An utterance in which no speech is found gives none.
    """
    clips = []
    for utterance in utterances:
        samples = read_speech(utterance, vad=vad, binarize=binarize, sample_rate=sample_rate)
        if len(samples):
            clips.append(Clip(utterance, samples))
    return clips


def lazy_clips(
    utterances: Iterable[Utterance],
    *,
    vad: VAD,
    binarize: Binarize,
    sample_rate: int,
    num_kept: int = 512,
) -> list[LazyClip]:
    """Speech of utterances, read when it is drawn, see `read_speech`.

    Parameters
    ----------
    num_kept : int
        Clips that stay in memory, those drawn last: 64 kB for a second at 16 kHz.
    """

    @lru_cache(maxsize=num_kept)
    def read(utterance: Utterance) -> np.ndarray:
        return read_speech(utterance, vad=vad, binarize=binarize, sample_rate=sample_rate)

    return [LazyClip(utterance, read) for utterance in utterances]
