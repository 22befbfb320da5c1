"""Speech regions that someone annotated, in the place of a voice activity detector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sed.formats import read, read_uem
from sed.frames import FrameGrid

if TYPE_CHECKING:
    from pyannote.core import SlidingWindowFeature, Timeline

    from sed.audio import Recording
    from sed.vad import Hook

_GRID = FrameGrid(sample_rate=16_000, hop=160)


class Oracle:
    """Speech as someone annotated it: 1 inside the timeline of the recording, 0 outside.

    Parameters
    ----------
    timelines : iterable of Timeline
        Named by their `uri`; those of the same name are united.

    Examples
    --------
    >>> from pyannote.core import Segment, Timeline
    >>> from sed.audio import Recording
    >>> oracle = Oracle([Timeline([Segment(0.01, 0.03)], uri="call")])
    >>> recording = Recording.from_samples(np.zeros(640, dtype=np.float32), 16_000, uri="call")
    >>> oracle(recording).data[:, 0].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, timelines: Iterable[Timeline]) -> None:
        self.timelines: dict[str, Timeline] = {}
        for timeline in timelines:
            known = self.timelines.get(timeline.uri)
            self.timelines[timeline.uri] = timeline if known is None else known.union(timeline)
        self._channels: dict[str, dict[int, Timeline]] = {}
        self._source = "the oracle"

    @classmethod
    def from_file(cls, path: str | Path) -> Oracle:
        """Speech of a UEM file, or the segments of any annotation file whatever their labels.

        Parameters
        ----------
        path : str or Path
            Ends in ``.uem`` or in the ending of a format of `sed.formats`, such as an RTTM
            of speaker turns. Where that tells several channels of a recording apart, each of
            `Recording.split` gets its own, and a mix gets all.

        Raises
        ------
        ValueError
            If the file is malformed or of no known format.
        OSError
            If it cannot be read.
        """
        if Path(path).suffix.lower() == ".uem":
            oracle = cls(read_uem(path))
        else:
            channels: dict[str, dict[int, Timeline]] = defaultdict(dict)
            for annotated in read(path, labels=_AnyLabel()):
                channels[annotated.uri][annotated.channel] = annotated.annotation.get_timeline()
            oracle = cls(speech for known in channels.values() for speech in known.values())
            # a file that knows channel 1 alone may well be one of mixes
            oracle._channels = {uri: known for uri, known in channels.items() if max(known) > 1}
        oracle._source = str(path)
        return oracle

    def __call__(self, recording: Recording, *, hook: Hook | None = None) -> SlidingWindowFeature:
        """Speech of each frame of 10 ms; see `sed.vad.VAD`.

        Raises
        ------
        ValueError
            If no timeline has the recording's uri.
        """
        from pyannote.core import Timeline

        if recording.uri not in self.timelines:
            held = [repr(uri) for uri in self.timelines]
            known = ", ".join(held[:5] + ["…"] * (len(held) > 5)) or "no recording"
            raise ValueError(
                f"{self._source} does not know the recording {recording.uri!r}, only {known}; "
                "the uri must be the same in both"
            )
        speech = self.timelines[recording.uri]
        if recording.channel is not None and recording.uri in self._channels:
            speech = self._channels[recording.uri].get(recording.channel, Timeline())
        num_frames = _GRID.num_frames(recording.num_samples(_GRID.sample_rate))
        mask = _GRID.mask(speech, num_frames)
        if hook is not None:
            hook("speech", None, completed=recording.duration, total=recording.duration)
        return _GRID.feature(mask.astype(np.float32)[:, None])


class _AnyLabel(dict[str, str]):
    """Label mapping under which every label means itself: speaker names are no emotions."""

    def __contains__(self, label: object) -> bool:
        return True

    def __missing__(self, label: str) -> str:
        return label
