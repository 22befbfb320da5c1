"""Speech to inference windows, cut at pauses."""

from __future__ import annotations

from dataclasses import dataclass

from pyannote.core import Segment, Timeline


@dataclass(frozen=True)
class Segmentation:
    """Windows that hold all speech once, each at most `max_duration` of it.

    ::

        speech     |====|  |=====| |==|   |=============================|
        windows    |---------------|      |--------------|--------------|
                                   cut at a pause        cut where the window is full

    A window ends at a pause if it is half full and the next stretch of speech does not fit; speech
    without pauses is cut where the window is full. Pauses inside a window are not computed.

    Parameters
    ----------
    max_duration : float
        Seconds of speech in a window.

    Examples
    --------
    >>> speech = Timeline([Segment(0, 3), Segment(4, 6), Segment(8, 18)])
    >>> for window in Segmentation(max_duration=6.0)(speech):
    ...     print(window)
    [ 00:00:00.000 -->  00:00:06.000]
    [ 00:00:08.000 -->  00:00:14.000]
    [ 00:00:14.000 -->  00:00:18.000]
    """

    max_duration: float

    def __post_init__(self) -> None:
        """Refuse windows without extent."""
        if not self.max_duration > 0:
            raise ValueError(f"a window cannot hold {self.max_duration} s of speech")

    def __call__(self, speech: Timeline) -> Timeline:
        """Windows of a recording.

        Parameters
        ----------
        speech : Timeline

        Returns
        -------
        Timeline
        """
        windows = Timeline(uri=speech.uri)
        onset = offset = held = 0.0
        for stretch in speech.support():
            start = stretch.start
            if held >= self.max_duration / 2 and held + stretch.duration > self.max_duration:
                windows.add(Segment(onset, offset))
                held = 0.0
            if held == 0.0:
                onset = start
            while held + (stretch.end - start) > self.max_duration:
                cut = start + (self.max_duration - held)
                windows.add(Segment(onset, cut))
                onset, start, held = cut, cut, 0.0
            held += stretch.end - start
            offset = stretch.end
        if held > 0.0:
            windows.add(Segment(onset, offset))
        return windows
