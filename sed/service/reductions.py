"""Long recordings as a few numbers to draw: the envelope of the sound, the course of posteriors.

::

    samples     .:|:..|||:.:|   ...   any number of them
    columns     [  -90,  88  ][ ...   lowest and highest of each stretch, all but the last as long
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pyannote.core import SlidingWindowFeature

    from sed.audio import Recording

MAX_COLUMNS = 4000
"""As many as a wide screen has twice over."""


@dataclass(frozen=True)
class Peaks:
    """Envelope of a recording.

    Parameters
    ----------
    step : float
        Seconds of a column.
    low, high : (num_columns,) np.ndarray of int8
        Lowest and highest sample, 127 for full scale.
    """

    step: float
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, recording: Recording) -> Peaks:
        """Envelope, read block by block.

        Examples
        --------
        >>> from sed.audio import Recording
        >>> recording = Recording.from_samples(np.linspace(-1, 1, 8000), 8000)
        >>> peaks = Peaks.of(recording)
        >>> len(peaks.low), peaks.step, peaks.low[0], peaks.high[-1]
        (4000, 0.00025, np.int8(-127), np.int8(127))
        """
        num_samples = recording.num_samples(recording.sample_rate)
        size = -(-num_samples // MAX_COLUMNS)  # samples of a column
        low, high = [], []
        per_block = size * max(1, (1 << 20) // size)
        seconds = per_block / recording.sample_rate
        for block in recording.blocks(sample_rate=recording.sample_rate, duration=seconds):
            starts = np.arange(0, len(block), size)
            scaled = np.rint(127 * block.clip(-1, 1)).astype(np.int8)
            low.append(np.minimum.reduceat(scaled, starts))
            high.append(np.maximum.reduceat(scaled, starts))
        return cls(size / recording.sample_rate, np.concatenate(low), np.concatenate(high))

    def reduced(self, max_columns: int) -> Peaks:
        """The same in fewer columns."""
        starts, factor = _starts(len(self.low), max_columns)
        return Peaks(
            self.step * factor,
            np.minimum.reduceat(self.low, starts),
            np.maximum.reduceat(self.high, starts),
        )


@dataclass(frozen=True)
class Course:
    """Mean posteriors of stretches of a recording.

    Parameters
    ----------
    step : float
        Seconds of a column.
    classes : tuple of str
    posteriors : (num_columns, num_classes) np.ndarray
    """

    step: float
    classes: tuple[str, ...]
    posteriors: np.ndarray

    @classmethod
    def of(cls, feature: SlidingWindowFeature) -> Course:
        """Posteriors of a pipeline, reduced.

        Parameters
        ----------
        feature : (num_frames, num_classes) SlidingWindowFeature
        """
        whole = cls(
            feature.sliding_window.step, tuple(map(str, feature.labels or ())), feature.data
        )
        return whole.reduced(MAX_COLUMNS)

    def reduced(self, max_columns: int) -> Course:
        """The same in fewer columns.

        Examples
        --------
        >>> course = Course(0.5, ("neutral", "sad"), np.array([[1, 0], [0, 1], [0.5, 0.5]]))
        >>> course.reduced(2).posteriors.tolist(), course.reduced(2).step
        ([[0.5, 0.5], [0.5, 0.5]], 1.0)
        """
        starts, factor = _starts(len(self.posteriors), max_columns)
        if factor == 1:
            return self
        counts = np.diff([*starts, len(self.posteriors)])[:, None]
        means = np.add.reduceat(self.posteriors, starts, axis=0) / counts
        return Course(self.step * factor, self.classes, means.astype(np.float32))


def _starts(length: int, max_columns: int) -> tuple[np.ndarray, int]:
    """First index of each group, and how many belong to one."""
    factor = max(1, -(-length // max_columns))
    return np.arange(0, length, factor), factor


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Arrays in a file that appears whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with open(descriptor, "wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays that `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
