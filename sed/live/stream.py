"""A stream through the pipeline: the corridor of `sed.pipeline`, with its end open."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment, SlidingWindow, SlidingWindowFeature

from sed.decoders import to_float32
from sed.live.emotions import LiveEmotions
from sed.live.merging import Found, Merging
from sed.live.paths import LivePath
from sed.live.speech import LiveSpeech
from sed.pipeline import Pipeline
from sed.resampling import Resampler
from sed.vad import SAMPLE_RATE

LATENCIES = (0.5, 5.0)
"""Seconds between which a latency lies."""

_TICKS = 25
"""Steps end at multiples of four such parts of a second, whole frames of 20 and of 32 ms."""

_UNHURRIED = 180
"""Multiples of 160 ms in a step where nobody waits: the network hears its context twice a step."""

_SLACK = 0.04
"""Seconds by which a segment is given early: a frame that is begun, and a resampler's delay."""


@dataclass(frozen=True, eq=False)
class Update:
    """What a step of a stream has brought.

    Parameters
    ----------
    now : float
        Seconds of the stream that have been heard.
    settled : float
        Seconds before which nothing changes any more.
    segments : Annotation
        Segments that have become final; their labels are `sed.labels.Emotion`.
    open : Annotation
        The emotion that is on at `settled`, if there is one; it may go on.
    posteriors : (num_frames, num_classes) SlidingWindowFeature
        Of the frames that have settled; it begins at the first one's onset.
    speech : (num_frames,) np.ndarray of bool
        Which of them are speech.
    """

    now: float
    settled: float
    segments: Annotation
    open: Annotation
    posteriors: SlidingWindowFeature
    speech: np.ndarray


class Live:
    """Emotions of a stream, given as they settle.

    ::

        stream      |########..######...######## now
        settled     |=================|                  at least what is `latency` seconds old
        for now                       |--------|         heard, and may turn out otherwise
        segments       |==sad==|   |==happy==…           final, and open

    Every step hears what has come since the last one: speech, the network's posteriors and the best
    path are found anew for all that has not settled, and go on from what has. What is too old
    for that settles as it is then. With an unlimited latency a frame settles when nothing that
    could follow would change it, and the segments are those of `sed.pipeline.Pipeline`. Memory does
    not grow with the stream, and neither blocks nor the time at which they come make a difference.

    Parameters
    ----------
    pipeline : Pipeline
        Its VAD is `sed.vad.Silero` or `sed.vad.Everything`.
    sample_rate : int
        Samples per second of the stream.
    latency : float
        Seconds, 0.5 to 5, after which a segment that has ended is given at the latest, not counting
        the time that computing takes; infinite to wait until all is certain.
    uri : str
        Name of the stream.

    Raises
    ------
    ValueError
        If the latency is another, or a part of the pipeline needs the whole recording.

    Examples
    --------
    >>> live = Live(Pipeline.from_pretrained(), 16_000, latency=1.0)
    >>> block = np.zeros(4_000, dtype=np.float32)
    >>> updates = [update for _ in range(4) for update in live.push(block)]
    >>> updates[-1].now, len(updates[-1].segments)
    (0.96, 0)
    >>> [update.settled for update in live.close()]
    [1.0]
    """

    def __init__(
        self, pipeline: Pipeline, sample_rate: int, *, latency: float = 2.0, uri: str = "stream"
    ) -> None:
        least, most = LATENCIES
        if not (least <= latency <= most or latency == math.inf):
            raise ValueError(
                f"a latency lies between {least} and {most:g} s, or is inf; not {latency}"
            )
        if pipeline.front_end:
            raise ValueError("a front_end works on recordings; leave it out in a stream")
        specifications = pipeline.inference.model.specifications
        if latency == math.inf and specifications.context is None:
            raise ValueError(
                "what this model hears in a window depends on the whole recording; give a latency "
                f"of {least} to {most:g} s, or diarize a file"
            )
        decoding, grid = pipeline.decoding, specifications.grid
        self.uri, self.latency, self.sample_rate = uri, latency, sample_rate
        self._specifications, self._grid = specifications, grid
        self._speech = LiveSpeech(pipeline.vad, pipeline.binarize)
        self._emotions = LiveEmotions(pipeline.inference)
        self._path = LivePath(decoding, specifications.classes, specifications.neutral, grid.step)
        max_gap = decoding.min_duration_off
        self._behind = math.inf  # seconds, after which a frame settles
        self._size = _UNHURRIED
        if latency < math.inf:
            self._size = max(1, math.floor(latency / 5 / 0.16))
            max_gap = min(max_gap, latency / 4)
            self._behind = latency - max_gap - self._size * 0.16 - _SLACK
        self._merging = Merging(
            specifications.classes,
            specifications.neutral,
            max_gap=round(max_gap / grid.step),
            min_frames=round(decoding.min_duration_on / grid.step),
            with_neutral=decoding.with_neutral,
        )
        self._inputs = [_Input(sample_rate, SAMPLE_RATE), _Input(sample_rate, grid.sample_rate)]
        self._waiting: list[np.ndarray] = []
        self._num_waiting = self._num_samples = self._num_steps = 0
        self._closed = False
        # of the frames whose speech has not settled: their samples; of those whose emotion has not:
        # whether they are speech; and of these: their posteriors, as far as they have settled
        self._samples = np.empty(0, dtype=np.float32)
        self._heard = np.empty(0, dtype=bool)
        self._posteriors = np.empty((0, len(specifications.classes)), dtype=np.float32)
        self._num_speech_settled = 0
        self._num_read = 0

    def push(self, samples: np.ndarray) -> Iterator[Update]:
        """Hear more of the stream; steps are worked on while the updates are taken.

        Parameters
        ----------
        samples : (num_samples,) np.ndarray
            Floats in ±1, or integers, which are scaled; as many or few as have come.

        Raises
        ------
        ValueError
            If the samples have another shape or type, are not finite, or the stream is closed.
        """
        samples = np.asarray(samples)
        if self._closed:
            raise ValueError(f"{self.uri} is closed; begin another stream")
        if samples.ndim != 1 or samples.dtype.kind not in "fiu":
            raise ValueError(
                f"samples of {self.uri} have shape {samples.shape} and type {samples.dtype}; give "
                "floats or integers as (num_samples,)"
            )
        self._waiting.append(to_float32(samples))
        self._num_waiting += len(samples)
        if self._num_waiting < self.sample_rate // 50:
            return
        yield from self._through()

    def close(self) -> Iterator[Update]:
        """Settle all that is left; nothing follows."""
        if self._closed:
            return
        yield from self._through()
        self._closed = True
        for one in self._inputs:
            one.close()
        yield self._step(*(one.rest() for one in self._inputs), last=True)

    def _through(self) -> Iterator[Update]:
        """What waits becomes steps."""
        block = np.concatenate([np.empty(0, dtype=np.float32), *self._waiting])
        self._waiting, self._num_waiting = [], 0
        if not np.isfinite(block).all():
            place = self._num_samples + int(np.flatnonzero(~np.isfinite(block))[0])
            raise ValueError(
                f"{self.uri} holds what is no sample at {place / self.sample_rate:.3f} s"
            )
        self._num_samples += len(block)
        for one in self._inputs:
            one.push(block)
        while all(one.has(self._num_steps + 1, self._size) for one in self._inputs):
            self._num_steps += 1
            yield self._step(*(one.take(self._num_steps, self._size) for one in self._inputs))

    def _step(self, voice: np.ndarray, samples: np.ndarray, *, last: bool = False) -> Update:
        """What has come since the last step, for the VAD and for the model."""
        grid, now = self._grid, self._num_steps * self._size * 4 / _TICKS
        if last:
            now = self._num_samples / self.sample_rate
        self._speech.push(voice, last=last)
        self._samples = np.concatenate((self._samples, samples))
        self._num_read += len(samples)
        speech = self._found(now, last=last)
        num_settled = self._num_settled(speech, now, last=last)
        self._emotions.keep(self._spoken(speech[:num_settled], 0))
        for_now = self._spoken(speech[num_settled:], num_settled)
        self._heard = np.concatenate((self._heard, speech[:num_settled]))
        self._samples = self._samples[num_settled * grid.hop :]
        self._num_speech_settled += num_settled
        self._speech.forget(
            math.floor(self._num_speech_settled * grid.step / self._speech.grid.step)
        )
        posteriors, indices = self._classified(for_now, last=last)
        return self._merged(posteriors, indices, now, last=last)

    def _found(self, now: float, *, last: bool) -> np.ndarray:
        """Which of the frames that have not settled are speech."""
        first, step = self._num_speech_settled, self._grid.step
        of_vad = self._speech.grid.step
        end = self._num_read // self._grid.hop
        if last:
            end = self._grid.num_frames(self._num_read)
        else:
            end = min(end, math.floor(self._speech.num_frames * of_vad / step + 1e-6))
        speech = np.zeros(end - first, dtype=bool)
        for start, stop in self._speech.runs():
            reaches_end = last and stop * of_vad >= now
            stop = end if reaches_end else round(stop * of_vad / step)
            speech[max(0, round(start * of_vad / step) - first) : max(0, stop - first)] = True
        return speech

    def _num_settled(self, speech: np.ndarray, now: float, *, last: bool) -> int:
        """How many of these frames are speech or not, whatever follows."""
        if last:
            return len(speech)
        step = self._grid.step
        if self._behind < math.inf:
            end = math.floor((now - self._behind) / step)
        else:
            end = round(self._speech.num_certain() * self._speech.grid.step / step)
        return min(len(speech), max(0, end - self._num_speech_settled))

    def _spoken(self, speech: np.ndarray, first: int) -> np.ndarray:
        """Samples of the frames that are speech, the first one `first` after what has settled."""
        hop = self._grid.hop
        runs = (self._grid.runs(speech) + first) * hop
        return np.concatenate(
            [np.empty(0, dtype=np.float32), *(self._samples[start:end] for start, end in runs)]
        )

    def _classified(self, for_now: np.ndarray, *, last: bool) -> tuple[np.ndarray, np.ndarray]:
        """Posteriors and classes of the frames of speech that settle."""
        num_kept = int(self._heard.sum()) - len(self._posteriors)  # and not settled
        if self._behind < math.inf or last:
            found = self._emotions(for_now)
            num_settled = num_kept
        else:  # what is for now would change nothing
            found = self._emotions(for_now[:0])
            num_settled = max(0, num_kept - (self._specifications.context or 0))
        self._emotions.settle(num_settled)
        posteriors = np.concatenate((self._posteriors, found))
        num_settled += len(self._posteriors)
        if self._behind < math.inf:
            self._path(posteriors, num_settled=0, last=last)
            count = num_settled
        else:
            settled = posteriors[:num_settled]
            count = self._path(settled, num_settled=num_settled, last=last)
        indices = self._path.settle(posteriors[:count])
        self._posteriors = posteriors[count:num_settled]
        return posteriors[:count], indices

    def _merged(
        self, posteriors: np.ndarray, indices: np.ndarray, now: float, *, last: bool
    ) -> Update:
        """Frames of speech back in their places, and the segments that they complete."""
        specifications, grid = self._specifications, self._grid
        spoken = np.flatnonzero(self._heard)
        end = int(spoken[len(indices)]) if len(spoken) > len(indices) else len(self._heard)
        heard, self._heard = self._heard[:end], self._heard[end:]
        classes = np.full(end, specifications.neutral)
        classes[heard] = indices
        scores = np.zeros((end, len(specifications.classes)), dtype=np.float32)
        scores[:, specifications.neutral] = 1.0
        scores[heard] = posteriors
        first = self._merging.num_frames
        segments = list(self._merging.push(classes, heard, scores))
        if last:
            segments += self._merging.close()
        still = self._merging.open()
        window = SlidingWindow(start=first * grid.step, duration=grid.step, step=grid.step)
        labels = list(specifications.classes)
        return Update(
            now=now,
            settled=min(self._merging.num_frames * grid.step, now),
            segments=self._annotation(segments, now),
            open=self._annotation([] if still is None else [still], now),
            posteriors=SlidingWindowFeature(scores, window, labels=labels),
            speech=heard,
        )

    def _annotation(self, found: list[Found], now: float) -> Annotation:
        annotation = Annotation(uri=self.uri)
        for start, end, emotion in found:
            segment = Segment(float(start * self._grid.step), min(end * self._grid.step, now))
            annotation[segment, start] = emotion
        return annotation


class _Input:
    """A stream at another sample rate, taken step by step."""

    def __init__(self, orig_rate: int, new_rate: int) -> None:
        self._rate = new_rate
        self._stream = Resampler(orig_rate, new_rate).stream(at_once=orig_rate // 50)
        self._blocks: list[np.ndarray] = []
        self._num_given = self._num_held = 0

    def push(self, block: np.ndarray) -> None:
        self._hold(self._stream.push(block))

    def close(self) -> None:
        self._hold(self._stream.close())

    def _hold(self, blocks: Iterator[np.ndarray]) -> None:
        for block in blocks:
            self._blocks.append(block)
            self._num_held += len(block)

    def _end(self, step: int, size: int) -> int:
        """Samples before the end of a step, of `size` times 160 ms."""
        return step * size * 4 * self._rate // _TICKS

    def has(self, step: int, size: int) -> bool:
        return self._num_given + self._num_held >= self._end(step, size)

    def take(self, step: int, size: int) -> np.ndarray:
        samples = self.rest()
        count = self._end(step, size) - self._num_given + len(samples)
        self._num_given -= len(samples) - count
        self._blocks, self._num_held = [samples[count:]], len(samples) - count
        return samples[:count]

    def rest(self) -> np.ndarray:
        samples = np.concatenate([np.empty(0, dtype=np.float32), *self._blocks])
        self._num_given += len(samples)
        self._blocks, self._num_held = [], 0
        return samples
