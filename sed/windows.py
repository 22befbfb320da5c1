"""What the network hears for each core of a recording, and how much its answers count.

All in packed frames: the frames of a recording that hold speech, counted without its pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sed.specifications import Specifications

MARGIN = 1.0
"""Seconds that a window holds beyond a seam, for networks without a finite context."""


@dataclass(frozen=True)
class Window:
    r"""Frames that go through the network together, and those that they go through it for.

    ::

        heard       [start ·································· stop)
        core                [first ------------------ end)
        counted          //////------------------------\\\\\\     weight 1, at the slopes less
                         fade_in                       fade_out   frames on each side of a seam

    Parameters
    ----------
    start, stop : int
        The network hears ``[start, stop)``.
    first, end : int
        The core ``[first, end)``: every frame is in one.
    fade_in, fade_out : int
        Frames on each side of `first` and of `end` in which this window hands over to its
        neighbour.

    Examples
    --------
    >>> window = Window(start=0, stop=8, first=2, end=6, fade_in=1, fade_out=0)
    >>> window.counted, window.weights.tolist()
    (slice(1, 6, None), [0.25, 0.75, 1.0, 1.0, 1.0])
    """

    start: int
    stop: int
    first: int
    end: int
    fade_in: int = 0
    fade_out: int = 0

    @property
    def counted(self) -> slice:
        """Frames whose posteriors this window takes part in; the others are context."""
        return slice(self.first - self.fade_in, self.end + self.fade_out)

    @property
    def weights(self) -> np.ndarray:
        """Weight of each counted frame; over all windows they sum to one in every frame.

        Returns
        -------
        (num_counted,) np.ndarray of float32
        """
        weights = np.ones(self.counted.stop - self.counted.start, dtype=np.float32)
        weights[: 2 * self.fade_in] = _ramp(self.fade_in)
        weights[len(weights) - 2 * self.fade_out :] = 1 - _ramp(self.fade_out)
        return weights


@dataclass(frozen=True, eq=False)
class Layout:
    """Which frames of a recording the network hears, and in which windows.

    Parameters
    ----------
    heard : (num_frames,) np.ndarray of bool
    windows : tuple of Window
        In packed frames; they follow each other up to the last frame that is heard.
    offsets : tuple of float
        Seconds of the recording at which the core of each window ends.
    """

    heard: np.ndarray
    windows: tuple[Window, ...]
    offsets: tuple[float, ...]


def margin(specifications: Specifications) -> float:
    """Seconds that a window holds beyond each seam, for `sed.segmentation.Segmentation`.

    Zero for a network of finite context, whose windows need no seams. Else `MARGIN`, and at least
    half of a window is core.

    Parameters
    ----------
    specifications : Specifications

    Examples
    --------
    >>> from sed.specifications import Specifications
    >>> classes = ("neutral", "happy")
    >>> margin(Specifications(classes, 16_000, 320, context=60, window=20.0))
    0.0
    >>> margin(Specifications(classes, 16_000, 320, context=None, window=20.0))
    1.0
    """
    if specifications.context is not None:
        return 0.0
    return min(MARGIN, specifications.window / 4)


def plan(
    cores: Sequence[tuple[int, int]], num_frames: int, specifications: Specifications
) -> list[Window]:
    r"""Window of each core.

    Where frames depend on a finite context, a window is its core and that context, and its
    posteriors are those of the whole recording in one piece::

        cores         |---------------|--------|-------------|
        windows       [---------------···]
                                  [···---------···]
                                           [···-------------]

    Where every frame depends on all that is heard, windows are equally long, since their length
    matters to the network and since they can then share a batch; the core lies in the middle as
    far as the recording allows. Half of what two neighbours share beyond the seam, and no more
    than half of the margin or of either core, is faded from one to the other; the rest is
    context::

        cores         |---------------|--------|-------------|
        windows       [-------------\\\\·]
                                 [··////-----\\\\···]
                                         [···////-----------]

    Parameters
    ----------
    cores : sequence of (int, int)
        First frame of each and the first one after it; each begins where the one before ends, and
        none is empty.
    num_frames : int
        Of speech in the recording.
    specifications : Specifications
        Of the network.

    Returns
    -------
    list of Window

    Examples
    --------
    >>> from sed.specifications import Specifications
    >>> finite = Specifications(("neutral", "happy"), 16_000, 320, context=2, window=20.0)
    >>> [(window.start, window.stop) for window in plan([(0, 6), (6, 15)], 15, finite)]
    [(0, 8), (4, 15)]
    >>> infinite = Specifications(("neutral", "happy"), 16_000, 320, context=None, window=0.24)
    >>> for window in plan([(0, 6), (6, 15)], 15, infinite):
    ...     print(window)
    Window(start=0, stop=12, first=0, end=6, fade_in=0, fade_out=1)
    Window(start=3, stop=15, first=6, end=15, fade_in=1, fade_out=0)
    """
    if specifications.context is not None:
        context = specifications.context
        return [
            Window(max(0, first - context), min(num_frames, end + context), first, end)
            for first, end in cores
        ]
    if not cores:
        return []
    grid = specifications.grid
    beyond = grid.frame(margin(specifications))
    wanted = max(
        min(beyond, first) + (end - first) + min(beyond, num_frames - end) for first, end in cores
    )
    longest = max(end - first for first, end in cores)
    length = max(longest, min(wanted, grid.frame(specifications.window)))
    windows = []
    for first, end in cores:
        centred = first - (length - (end - first)) // 2
        start = min(max(0, centred), num_frames - length)
        windows.append(Window(start, start + length, first, end))
    fades = [
        min(
            beyond,
            before.stop - before.end,
            after.first - after.start,
            before.end - before.first,
            after.end - after.first,
        )
        // 2
        for before, after in pairwise(windows)
    ]
    return [
        replace(window, fade_in=fade_in, fade_out=fade_out)
        for window, fade_in, fade_out in zip(windows, [0, *fades], [*fades, 0], strict=True)
    ]


def _ramp(fade: int) -> np.ndarray:
    """Weights of the frames around a seam, `fade` on each side, for the window after it."""
    return (np.arange(2 * fade, dtype=np.float32) + 0.5) / (2 * fade)
