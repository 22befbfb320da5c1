"""Speech probability per frame: Silero, energy, oracle, none.

A voice activity detector is a callable block: settings when it is made, a recording when it is
called, a (num_frames, 1) feature of scores in [0, 1] as the answer. Turning scores into regions is
`sed.decoding`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sed.frames import FrameGrid
from sed.oracle import Oracle
from sed.silero import CHUNK, SileroStream

if TYPE_CHECKING:
    from pyannote.core import SlidingWindowFeature

    from sed.audio import Recording

__all__ = ["VAD", "VADS", "Energy", "Everything", "Hook", "Oracle", "Silero", "vad_named"]

SAMPLE_RATE = 16_000
"""Samples per second that every detector asks the recording for."""

Hook = Callable[..., None]
"""``hook(step, artifact, completed=seconds, total=seconds)``: called while a stage works, with no
artifact, and when it is done, with what it made."""

_FINE_GRID = FrameGrid(SAMPLE_RATE, hop=160)


class VAD(Protocol):
    """What every voice activity detector is."""

    def __call__(self, recording: Recording, *, hook: Hook | None = None) -> SlidingWindowFeature:
        """Speech probability of each frame of a recording.

        Parameters
        ----------
        recording : Recording
        hook : callable, optional
            Told how many seconds are done.

        Returns
        -------
        scores : (num_frames, 1) SlidingWindowFeature
            In [0, 1], from the recording's first sample to its last.
        """
        ...


@dataclass(frozen=True)
class Silero:
    """Speech probability by Silero VAD, in frames of 32 ms.

    The probabilities are those of the package's own loop over chunks to within 1e-4, which is
    float32 rounding, at a twentieth of its cost: only the LSTM depends on the past, so the
    convolutions before it run over all chunks of a block at once, and the LSTM runs over the
    block in one call, its state carried from block to block. An hour takes about 2.5 s on one
    thread, and memory does not grow with the recording::

        samples   |  chunk 0  |  chunk 1  |  chunk 2  |   512 each, the last padded with zeros
        encoder  [0|--------][c|--------][c|--------]     c: the 64 samples before the chunk
                       |           |           |          all chunks at once
        LSTM     0 --> s --------> s --------> s -->      sequential, into the next block
                       |           |           |
        scores      frame 0     frame 1     frame 2

    Examples
    --------
    >>> from sed.audio import Recording
    >>> silence = Recording.from_samples(np.zeros(16_000, dtype=np.float32), 16_000, uri="silence")
    >>> scores = Silero()(silence)
    >>> scores.data.shape, bool(scores.data.max() < 0.5)
    ((32, 1), True)
    """

    def __call__(self, recording: Recording, *, hook: Hook | None = None) -> SlidingWindowFeature:
        """Speech probability of each frame; see `VAD`."""
        stream, scores = SileroStream(), []
        for block in _blocks(recording, hook):
            scores.append(stream.push(block))
        scores.append(stream.close())
        return FrameGrid(SAMPLE_RATE, CHUNK).feature(_column(scores))


@dataclass(frozen=True)
class Energy:
    """Speech probability by the level of each frame of 20 ms, without any model.

    Noise floor and speech level are the 10th and 95th percentile of the frames' levels over a
    window that slides with time; the threshold stands `margin` above the one, and no lower than
    `dynamic` below the other::

        level  speech level ........................ 95th percentile
          ^          ^ |      dynamic
          |    threshold ........................... score 0.5
          |        margin
          |    noise floor ......................... 10th percentile
          |    silence ............................. score 0 below it, whatever the rest

    Parameters
    ----------
    context : float
        Seconds of the sliding window.
    margin : float
        Decibels above the noise floor.
    dynamic : float
        Decibels below the speech level.
    silence : float
        Level in dBFS below which nothing is speech. Very quiet speech exists (a few clips of
        RAVDESS lie below -60 dBFS as a whole); dither of 16 bits lies near -95 dBFS.
    softness : float
        Decibels above the threshold at which the score is 0.73.

    Raises
    ------
    ValueError
        If `context` or `softness` is not above zero.

    Examples
    --------
    >>> from sed.audio import Recording
    >>> noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    >>> noise[:16_000] *= 0.001
    >>> noise[16_000:] *= 0.1
    >>> recording = Recording.from_samples(noise, 16_000, uri="late")
    >>> scores = Energy()(recording).data[:, 0]
    >>> bool(scores[:50].max() < 0.5), bool(scores[50:].min() > 0.5)
    (True, True)
    """

    context: float = 30.0
    margin: float = 6.0
    dynamic: float = 30.0
    silence: float = -75.0
    softness: float = 2.0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        for name in ("context", "softness"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Energy needs {name} above zero, not {getattr(self, name)}")

    def __call__(self, recording: Recording, *, hook: Hook | None = None) -> SlidingWindowFeature:
        """Speech probability of each frame; see `VAD`."""
        grid = FrameGrid(SAMPLE_RATE, hop=320)
        waiting = np.empty(0, dtype=np.float32)
        levels = []
        for block in _blocks(recording, hook):
            waiting = np.concatenate((waiting, block))
            frames, waiting = np.split(waiting, [len(waiting) // grid.hop * grid.hop])
            levels.append(_levels(frames.reshape(-1, grid.hop)))
        if len(waiting):
            levels.append(_levels(waiting[None]))
        level = _column(levels)[:, 0]
        above = (level - self._threshold(level, grid)) / self.softness
        scores = np.where(level < self.silence, 0.0, 1 / (1 + np.exp(-np.clip(above, -50, 50))))
        return grid.feature(scores[:, None].astype(np.float32))

    def _threshold(self, level: np.ndarray, grid: FrameGrid) -> np.ndarray:
        """Level at which the score is 0.5, estimated once a second and interpolated."""
        if not len(level):
            return level
        half, second = max(1, grid.frame(self.context / 2)), grid.frame(1.0)
        centres = np.arange(0, len(level) + second, second)
        around = (level[max(0, c - half) : c + half] for c in np.minimum(centres, len(level) - 1))
        floor, peak = np.array([np.percentile(a, (10, 95)) for a in around]).T
        threshold = np.maximum(floor + self.margin, peak - self.dynamic)
        return np.interp(np.arange(len(level)), centres, threshold)


@dataclass(frozen=True)
class Everything:
    """No detection: all of the recording is speech.

    Examples
    --------
    >>> from sed.audio import Recording
    >>> recording = Recording.from_samples(np.zeros(480, dtype=np.float32), 16_000, uri="call")
    >>> Everything()(recording).data[:, 0].tolist()
    [1.0, 1.0, 1.0]
    """

    def __call__(self, recording: Recording, *, hook: Hook | None = None) -> SlidingWindowFeature:
        """One for each frame of 10 ms; see `VAD`."""
        num_frames = _FINE_GRID.num_frames(recording.num_samples(SAMPLE_RATE))
        _report(hook, recording.duration, recording)
        return _FINE_GRID.feature(np.ones((num_frames, 1), dtype=np.float32))


VADS: dict[str, Callable[[], VAD]] = {"silero": Silero, "energy": Energy, "none": Everything}
"""Every detector that needs nothing but the recording, by its name."""


def vad_named(name: str) -> VAD:
    """Detector with a name and its default settings.

    Raises
    ------
    ValueError
        If there is none; the message lists what there is.

    Examples
    --------
    >>> vad_named("silero")
    Silero()
    """
    if name not in VADS:
        raise ValueError(f"unknown voice activity detector {name!r}; known are {', '.join(VADS)}")
    return VADS[name]()


def _blocks(recording: Recording, hook: Hook | None) -> Iterator[np.ndarray]:
    """Blocks of the recording; each is reported once its consumer asks for the next."""
    done = 0
    for block in recording.blocks(sample_rate=SAMPLE_RATE, duration=30.0):
        yield block
        done += len(block)
        _report(hook, done / SAMPLE_RATE, recording)


def _report(hook: Hook | None, seconds: float, recording: Recording) -> None:
    """Tell the hook how far the detection is; resampling may round the last block up."""
    if hook is not None:
        completed = min(seconds, recording.duration)
        hook("speech", None, completed=completed, total=recording.duration)


def _column(parts: list[np.ndarray]) -> np.ndarray:
    """Scores of all blocks as one (num_frames, 1) array."""
    return np.concatenate([np.empty(0, dtype=np.float32), *parts])[:, None]


def _levels(frames: np.ndarray) -> np.ndarray:
    """Level of each frame in dBFS, at least -120; the mean of each is no sound and is left out.

    Parameters
    ----------
    frames : (num_frames, hop) np.ndarray
    """
    power = frames.astype(np.float64).var(axis=1)
    return (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)
