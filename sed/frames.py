"""The frame grid: samples, frames and seconds, converted in integers.

Every score in the package lives on a `FrameGrid`; every boundary that is compared lives in
ticks of a microsecond. Seconds appear at the border only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature, Timeline

TICKS_PER_SECOND = 1_000_000
"""One tick is a microsecond: three decimals of an RTTM and every usual hop are whole numbers."""


def to_ticks(seconds: float) -> int:
    """Nearest whole tick to a time.

    Examples
    --------
    >>> to_ticks(0.1) + to_ticks(0.2) == to_ticks(0.3)
    True
    """
    return round(seconds * TICKS_PER_SECOND)


def to_seconds(ticks: int) -> float:
    """Time of a tick in seconds.

    Examples
    --------
    >>> to_seconds(1_500_000)
    1.5
    """
    return ticks / TICKS_PER_SECOND


def covered(
    timeline: Timeline, step: float, num_frames: int, *, duration: float = math.inf
) -> np.ndarray:
    """Frames of `step` seconds whose centre lies in a timeline.

    ::

        timeline      |==========|      |====|  end of the recording
        frames     |----|----|----|----|----|-:--|
        covered      .    #    #    .    #    #     the last one too, if the recording ends there

    Parameters
    ----------
    timeline : Timeline
        May overlap.
    step : float
        Duration of a frame in seconds.
    num_frames : int
        Length of the mask.
    duration : float, optional
        Duration of the recording: what reaches its end covers the last frame, of which the
        recording may hold less than half.

    Returns
    -------
    (num_frames,) np.ndarray of bool
    """
    mask = np.zeros(num_frames, dtype=bool)
    for segment in timeline:
        end = num_frames if segment.end >= duration else round(segment.end / step)
        mask[max(0, round(segment.start / step)) : max(0, end)] = True
    return mask


@dataclass(frozen=True)
class FrameGrid:
    """Cells of `hop` samples that tile a recording from its first sample on.

    ::

        samples  0        hop      2 hop    3 hop   num_samples
                 |--------|--------|--------|-----|
        frames       0        1        2       3

    The last cell may reach past the recording's end; times that come out of the grid are clipped
    to the recording by whoever knows its duration.

    Parameters
    ----------
    sample_rate : int
        Samples per second.
    hop : int
        Samples per frame.

    Examples
    --------
    >>> grid = FrameGrid(sample_rate=16_000, hop=320)
    >>> grid.num_frames(16_001), grid.seconds(50), grid.step
    (51, 1.0, 0.02)
    """

    sample_rate: int
    hop: int

    def __post_init__(self) -> None:
        """Refuse grids without extent."""
        if self.sample_rate <= 0 or self.hop <= 0:
            raise ValueError(f"a frame grid needs a positive sample rate and hop, not {self}")

    @property
    def step(self) -> float:
        """Duration of a frame in seconds."""
        return self.hop / self.sample_rate

    def num_frames(self, num_samples: int) -> int:
        """Cells that hold at least one of `num_samples` samples."""
        return (num_samples + self.hop - 1) // self.hop  # as ONNX divides, -5 // 2 is -2

    def seconds(self, frame: int) -> float:
        """Onset of a frame in seconds."""
        return int(frame) * self.hop / self.sample_rate

    def frame(self, seconds: float) -> int:
        """Frame boundary nearest to a time."""
        return round(seconds * self.sample_rate / self.hop)

    def window(self) -> SlidingWindow:
        """Sliding window of the grid, whose duration equals its step."""
        from pyannote.core import SlidingWindow

        return SlidingWindow(start=0.0, duration=self.step, step=self.step)

    def feature(self, scores: np.ndarray, labels: list[str] | None = None) -> SlidingWindowFeature:
        """Scores as a feature that knows its time axis.

        Parameters
        ----------
        scores : (num_frames, num_classes) np.ndarray
        labels : list of str, optional
            Names of the columns.
        """
        from pyannote.core import SlidingWindowFeature

        return SlidingWindowFeature(scores, self.window(), labels=labels)

    @staticmethod
    def runs(mask: np.ndarray) -> np.ndarray:
        """Maximal runs of true frames.

        ::

            mask   . # # . . # #
            runs     [1,3)   [5,7)

        Parameters
        ----------
        mask : (num_frames,) np.ndarray of bool

        Returns
        -------
        (num_runs, 2) np.ndarray of int
            First frame of each run and the first one after it.

        Examples
        --------
        >>> FrameGrid.runs(np.array([0, 1, 1, 0, 0, 1, 1], dtype=bool)).tolist()
        [[1, 3], [5, 7]]
        """
        edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
        return edges.reshape(-1, 2)

    def mask(
        self, timeline: Timeline, num_frames: int, *, duration: float = math.inf
    ) -> np.ndarray:
        """Frames whose centre lies in a timeline, see `covered`.

        Examples
        --------
        >>> from pyannote.core import Segment, Timeline
        >>> FrameGrid(16_000, 320).mask(Timeline([Segment(0.02, 0.06)]), 4).tolist()
        [False, True, True, False]
        """
        return covered(timeline, self.step, num_frames, duration=duration)

    def timeline(self, mask: np.ndarray, duration: float) -> Timeline:
        """Runs of true frames as a timeline, clipped to the recording.

        Parameters
        ----------
        mask : (num_frames,) np.ndarray of bool
        duration : float
            Duration of the recording in seconds.
        """
        from pyannote.core import Timeline

        return Timeline([self.segment(first, end, duration) for first, end in self.runs(mask)])

    def segment(self, first: int, end: int, duration: float) -> Segment:
        """Frames ``[first, end)`` as a segment that ends no later than the recording."""
        from pyannote.core import Segment

        return Segment(self.seconds(first), min(self.seconds(end), duration))
