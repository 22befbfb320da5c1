"""Speech to inference windows of equal length, cut at pauses."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from pyannote.core import Segment, Timeline

from sed.frames import to_seconds, to_ticks


@dataclass(frozen=True)
class Segmentation:
    """Windows that hold all speech once: few, of about equal length, cut at pauses.

    ::

        speech     |====|  |=====| |==|   |==========================|
        windows    |------------------|   |------------|-------------|
                                      pause near       no pause near

        packed     |====|=====|==|==========================|      pauses take no time
        ideal                   ^             ^                    equal parts of what is left
        cuts                     |            |

    What fits into one window is one. Else there are as few windows as leave each of them room for
    its cut to move by `tolerance`, and while `k` of them are left, the next one ends at the pause
    nearest to a `k`-th of the speech that is left, or exactly there if no pause is near. Where
    the network hears each window with a `margin` of the speech around it, that counts as part of
    `max_duration`.

    Parameters
    ----------
    max_duration : float
        Seconds of speech that the network hears at once.
    tolerance : float
        Seconds of speech by which a cut moves to a pause, at most a quarter of a window.
    margin : float
        Seconds of speech beyond each cut that the network hears as well, see
        `sed.windows.margin`.

    Raises
    ------
    ValueError
        If nothing or everything fits into a window, or the tolerance is negative or infinite.

    Examples
    --------
    15 s of speech make 3 windows of 5 s; there is a pause after 5 s, and none near 10 s.

    >>> speech = Timeline([Segment(0, 3), Segment(4, 6), Segment(8, 18)])
    >>> for window in Segmentation(max_duration=6.0)(speech):
    ...     print(window)
    [ 00:00:00.000 -->  00:00:06.000]
    [ 00:00:08.000 -->  00:00:13.000]
    [ 00:00:13.000 -->  00:00:18.000]
    """

    max_duration: float
    tolerance: float = field(default=1.0, kw_only=True)
    margin: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse windows without extent."""
        if not 0 < self.max_duration < math.inf:
            raise ValueError(f"a window cannot hold {self.max_duration} s of speech")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"a cut cannot move by {self.tolerance} s; give a tolerance from 0 on")
        if not 0 <= 2 * self.margin < self.max_duration:
            raise ValueError(
                f"a window of {self.max_duration} s has no room for a margin of {self.margin} s on "
                f"both sides; give less than half the window"
            )

    def __call__(self, speech: Timeline) -> Timeline:
        """Windows of a recording.

        Parameters
        ----------
        speech : Timeline
            May overlap.

        Returns
        -------
        Timeline
            Each window from the onset of its first speech to the offset of its last.
        """
        stretches = list(speech.support())
        lengths = [to_ticks(stretch.end) - to_ticks(stretch.start) for stretch in stretches]
        pauses = [0, *accumulate(lengths)]  # where each stretch begins, in ticks of speech
        windows = Timeline(uri=speech.uri)

        def time(index: int, ticks: int) -> float:  # of the recording, within a stretch
            stretch = stretches[index]
            if ticks == pauses[index + 1]:
                return stretch.end
            return stretch.start + to_seconds(ticks - pauses[index])

        for begin, end in pairwise([0, *self._cuts(pauses), pauses[-1]]):
            first, last = bisect_right(pauses, begin) - 1, bisect_left(pauses, end) - 1
            if first <= last:
                windows.add(Segment(time(first, begin), time(last, end)))
        return windows

    def _cuts(self, pauses: Sequence[int]) -> Iterator[int]:
        """Ticks of speech at which one window ends and the next begins.

        A margin less at both ends of the speech, and every window has the same room::

            speech     |=margin=|======room======|======room======|=margin=|
            heard      [max_duration ---------------------]
                                        [--------------------- max_duration]
        """
        margin = to_ticks(self.margin)
        room = max(1, to_ticks(self.max_duration) - 2 * margin)
        tolerance = min(to_ticks(self.tolerance), room // 4)
        done, end = margin, pauses[-1] - margin
        # with full windows no cut could move, and of a long recording hardly any is at a pause
        num_windows = 1 if end - done <= room else -(-(end - done) // (room - tolerance))
        for left in range(num_windows - 1, 0, -1):
            ideal = done + (end - done) // (left + 1)
            earliest = max(done + 1, ideal - tolerance, end - left * room)
            latest = min(end - 1, ideal + tolerance, done + room)
            after = bisect_left(pauses, ideal)
            near = [p for p in pauses[after - 1 : after + 1] if earliest <= p <= latest]
            done = min(near, key=lambda pause: abs(pause - ideal), default=ideal)
            yield done
