"""Where there is speech in a stream, whose end is open."""

from __future__ import annotations

import numpy as np

from sed.decoding import Binarize, fill_gaps
from sed.frames import FrameGrid
from sed.silero import CHUNK, SileroStream
from sed.vad import SAMPLE_RATE, VAD, Everything, Silero

LEAST = 20.0
"""Seconds that are remembered before anything is forgotten."""


class LiveSpeech:
    """Speech of a stream, frame by frame, and which of it nothing can change any more.

    ::

        probabilities    .9 .9 .1 .1 .9 .9 .4 .4 .1 | what will come?
        speech            #  #  #  #  #  #  #  #  .
        certain           #  #  #  #  #  #  #  #  ?   a pause that is short may be filled

    Parameters
    ----------
    vad : VAD
        `Silero` or `Everything`; the others need the whole recording.
    binarize : Binarize

    Raises
    ------
    ValueError
        If the detector is another one.

    Examples
    --------
    >>> speech = LiveSpeech(Everything(), Binarize())
    >>> speech.push(np.zeros(1600, dtype=np.float32))
    >>> speech.runs(), speech.num_frames
    ([(0, 10)], 10)
    """

    def __init__(self, vad: VAD, binarize: Binarize) -> None:
        if not isinstance(vad, Silero | Everything):
            raise ValueError(
                f"{type(vad).__name__} needs the whole recording; in a stream take silero or none"
            )
        self._silero = SileroStream() if isinstance(vad, Silero) else None
        self.grid = FrameGrid(SAMPLE_RATE, CHUNK if self._silero else 160)
        self._binarize = binarize
        self._values = np.empty(0, dtype=np.float32)
        self._first = 0  # frame that they begin with
        self._num_samples = 0
        self._mask = np.empty(0, dtype=bool)
        # what may lie between two stretches of speech that become one, and the shortest stretch
        pad, step = round(binarize.pad / self.grid.step), self.grid.step
        self._reach = round(binarize.min_duration_off / step) + 2 * pad + 1
        self._shortest = round(binarize.min_duration_on / step) + 2 * pad + 1

    @property
    def num_frames(self) -> int:
        """Frames whose probability is known."""
        return self._first + len(self._values)

    def push(self, samples: np.ndarray, *, last: bool = False) -> None:
        """Hear samples (num_samples,) of 16 kHz; the last ones may leave a frame unfinished."""
        self._num_samples += len(samples)
        if self._silero is not None:
            values = [self._values, self._silero.push(samples)]
            if last:
                values.append(self._silero.close())
            self._values = np.concatenate(values)
        else:
            whole = self._num_samples // self.grid.hop
            num_frames = self.grid.num_frames(self._num_samples) if last else whole
            self._values = np.ones(num_frames - self._first, dtype=np.float32)
        self._mask = self._binarize.mask(self._values, self.grid.step)

    def runs(self) -> list[tuple[int, int]]:
        """Stretches of speech that are remembered: first frame, and the first one after each."""
        return [
            (self._first + int(start), self._first + int(end))
            for start, end in FrameGrid.runs(self._mask)
        ]

    def num_certain(self) -> int:
        """Frames that are what they are whatever follows.

        Speech stays speech. A frame without speech may become some as long as it can be part of a
        pause that is filled, or of speech that is too weak or too short so far.
        """
        num_frames = len(self._values)
        since = max(0, num_frames - self._reach)
        sounds = fill_gaps(self._values >= self._binarize.offset, self._reach)
        runs = FrameGrid.runs(sounds)
        if len(runs) and runs[-1][1] >= since:
            since = max(0, int(runs[-1][0]) - self._reach)
        silent = np.flatnonzero(~self._mask[since:])
        return self._first + (since + int(silent[0]) if len(silent) else num_frames)

    def forget(self, before: int) -> None:
        """Drop frames before this one that have no part in what follows.

        A stream is cut in silence, or within a stretch of sound of which so much is kept, as
        certain speech, that it counts as speech that is long enough.
        """
        latest = before - self._first
        if len(self._values) * self.grid.step < LEAST:
            return
        sounds = self._values >= self._binarize.offset
        for start, end in FrameGrid.runs(~sounds)[::-1]:
            place = min(int(end) - self._reach, latest)
            if place >= start + self._reach:
                break
        else:
            place = 0
        for start, end in FrameGrid.runs(sounds & self._mask)[::-1]:
            within = min(int(end) - self._shortest, latest)
            if within > max(place, start):
                self._values[within : within + self._shortest] = 1.0
                place = within
                break
        self._values = self._values[place:].copy()
        self._mask = self._mask[place:].copy()
        self._first += place
