"""From scores to segments: the one post-processing that speech and emotion share.

Everything here works on whole frames; seconds are computed once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from sed.best_paths import single_event_path, viterbi_path
from sed.frames import FrameGrid, covered
from sed.labels import NEUTRAL, Emotion
from sed.smoothing import SMOOTHINGS


def fill_gaps(mask: np.ndarray, max_frames: int) -> np.ndarray:
    """Bridge gaps of at most `max_frames` false frames between true ones.

    ::

        mask         . # # . # . . . . # #
        max_frames 2 . # # # # . . . . # #

    Parameters
    ----------
    mask : (num_frames,) np.ndarray of bool
    max_frames : int

    Returns
    -------
    (num_frames,) np.ndarray of bool
    """
    filled = mask.copy()
    runs = FrameGrid.runs(mask)
    for (_, end), (start, _) in zip(runs[:-1], runs[1:], strict=True):
        if start - end <= max_frames:
            filled[end:start] = True
    return filled


def drop_short(mask: np.ndarray, min_frames: int) -> np.ndarray:
    """Remove runs of fewer than `min_frames` true frames.

    ::

        mask         . # # . # . . # # # .
        min_frames 2 . # # . . . . # # # .
    """
    kept = mask.copy()
    for start, end in FrameGrid.runs(mask):
        if end - start < min_frames:
            kept[start:end] = False
    return kept


@dataclass(frozen=True)
class Binarize:
    r"""Frames of speech from speech probabilities, by hysteresis.

    ::

        onset   - - - - - ,--.- - - - - - ,-.- -
        offset  - - - - -/- - \- - -,-.- / - \-
        scores  ________/      \____/   \/     \___
        speech          |======|         |=====|      then pad, fill gaps, drop short

    Parameters
    ----------
    onset, offset : float
        Speech begins at or above `onset` and ends below `offset`.
    min_duration_on, min_duration_off : float
        Shorter speech is dropped, shorter pauses are filled; seconds.
    pad : float
        Seconds of signal kept on each side of speech.

    Examples
    --------
    >>> scores = np.array([0.1, 0.6, 0.4, 0.4, 0.1, 0.4])[:, None]
    >>> feature = FrameGrid(16_000, 1600).feature(scores)
    >>> for segment in Binarize(min_duration_on=0.1, pad=0.0)(feature, 0.6):
    ...     print(segment)
    [ 00:00:00.100 -->  00:00:00.400]
    """

    onset: float = 0.5
    offset: float = 0.35
    min_duration_on: float = 0.1
    min_duration_off: float = 0.2
    pad: float = 0.05

    def __post_init__(self) -> None:
        """Refuse thresholds that cannot be met."""
        if not 0.0 <= self.offset <= self.onset <= 1.0:
            raise ValueError(
                f"0 <= offset <= onset <= 1 must hold, not offset {self.offset}, onset {self.onset}"
            )

    def __call__(self, scores: SlidingWindowFeature, duration: float) -> Timeline:
        """Speech of a recording.

        Parameters
        ----------
        scores : (num_frames, 1) SlidingWindowFeature
        duration : float
            Duration of the recording in seconds; no segment passes it.

        Returns
        -------
        Timeline
        """
        step = scores.sliding_window.step
        timeline = Timeline()
        for start, end in FrameGrid.runs(self.mask(scores.data[:, 0], step)):
            timeline.add(_segment(start, end, step, duration))
        return timeline

    def mask(self, values: np.ndarray, step: float) -> np.ndarray:
        """Which frames are speech.

        Parameters
        ----------
        values : (num_frames,) np.ndarray
            Speech probabilities.
        step : float
            Seconds of a frame.

        Returns
        -------
        (num_frames,) np.ndarray of bool
        """
        above = FrameGrid.runs(values >= self.offset)
        peaks = np.concatenate(([0], np.cumsum(values >= self.onset)))
        pad = round(self.pad / step)
        # With room for the padding on both sides, speech at the edges is as long as elsewhere.
        speech = np.zeros(len(values) + 2 * pad, dtype=bool)
        for start, end in above[peaks[above[:, 1]] > peaks[above[:, 0]]]:
            speech[start : end + 2 * pad] = True
        speech = fill_gaps(speech, round(self.min_duration_off / step))
        speech = drop_short(speech, round(self.min_duration_on / step) + 2 * pad)
        return speech[pad : pad + len(values)]


def log_scores(posteriors: np.ndarray) -> np.ndarray:
    """Log-probabilities for a path; what is impossible is very unlikely only."""
    return np.log(np.maximum(posteriors, 1e-10))


def _segment(start: int, end: int, step: float, duration: float) -> Segment:
    """Frames as a segment that ends no later than the recording."""
    return Segment(float(start * step), min(float(end * step), duration))


@dataclass(frozen=True)
class Decoding:
    """Emotion segments from frame posteriors.

    ::

        speech      |=======|   |==============|     posteriors count where there is speech
        best class   n h h h     h h n n s s s s     smooth, then path, then threshold
        happy          |===|     |==|
        sad                              |=======|
        merged         |============|    |=======|   gaps up to min_duration_off are bridged,
                                                     segments under min_duration_on dropped

    Parameters
    ----------
    path : {"argmax", "viterbi", "single-event"}
        Best class frame by frame; best path in which every stretch lasts `min_duration_on` and
        every change costs `switch_penalty`; or the prior knowledge of Wang et al. (2023, figure
        5): at most one emotional event, everything around it neutral. The last two are exact.
    smoothing : {"none", "mean", "median", "total-variation"}
        What the posteriors go through first.
    smoothing_duration : float
        Seconds under the smoothing window; total variation takes it as the stretch that a change
        of posterior must last to survive.
    neutral_weight : float
        Factor on neutral's posterior, the others shrinking in turn. The recordings that models
        learn from hold more emotion than most calls do; above 1 it corrects that prior.
    threshold : float or mapping of str to float
        Emotions with a lower posterior fall back to neutral; one number for all or one for each.
    switch_penalty : float
        Log-probability that a change of emotion costs a Viterbi path.
    min_duration_on, min_duration_off : float
        Seconds that an emotion lasts at least, and gaps in it that are bridged.
    with_neutral : bool
        Whether neutral is written out, silence included, so that the segments leave no hole.

    Examples
    --------
    >>> posteriors = FrameGrid(16_000, 1600).feature(
    ...     np.array([[0.9, 0.1]] * 5 + [[0.2, 0.8]] * 10), ["neutral", "happy"])
    >>> speech = Timeline([Segment(0, 1.5)])
    >>> for segment, _, emotion in Decoding()(posteriors, speech, 1.5).itertracks(yield_label=True):
    ...     print(segment, emotion, round(emotion.confidence, 2))
    [ 00:00:00.500 -->  00:00:01.500] happy 0.8
    """

    path: Literal["argmax", "viterbi", "single-event"] = "viterbi"
    smoothing: Literal["none", "mean", "median", "total-variation"] = "none"
    smoothing_duration: float = 0.5
    neutral_weight: float = 1.0
    threshold: float | Mapping[str, float] = 0.0
    switch_penalty: float = 2.0
    min_duration_on: float = 0.5
    min_duration_off: float = 0.5
    with_neutral: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that do not exist or make no sense."""
        if self.path not in ("argmax", "viterbi", "single-event"):
            raise ValueError(f"unknown path {self.path!r}; known are argmax, viterbi, single-event")
        if self.smoothing not in SMOOTHINGS:
            raise ValueError(
                f"unknown smoothing {self.smoothing!r}; known are {', '.join(SMOOTHINGS)}"
            )
        thresholds = (
            self.threshold.values() if isinstance(self.threshold, Mapping) else [self.threshold]
        )
        if not all(0.0 <= value <= 1.0 for value in thresholds):
            raise ValueError(f"a threshold lies between 0 and 1, not {self.threshold}")
        for name in ("smoothing_duration", "min_duration_on", "min_duration_off", "switch_penalty"):
            if not 0.0 <= getattr(self, name) < 3600.0:
                raise ValueError(f"{name} lies between 0 and 3600, not {getattr(self, name)}")
        if not 0.0 < self.neutral_weight < float("inf"):
            raise ValueError(f"neutral_weight is above 0 and finite, not {self.neutral_weight}")

    def __call__(
        self, posteriors: SlidingWindowFeature, speech: Timeline, duration: float
    ) -> Annotation:
        """Decode one recording.

        Parameters
        ----------
        posteriors : (num_frames, num_classes) SlidingWindowFeature
            Its `labels` name the classes, neutral among them.
        speech : Timeline
            Frames outside are silence, which is no emotion.
        duration : float
            Duration of the recording in seconds; no segment passes it.

        Returns
        -------
        Annotation
            Labels are `sed.labels.Emotion`, whose confidence is the mean posterior over
            the segment's speech.
        """
        labels: list[str] = list(posteriors.labels)
        if NEUTRAL not in labels:
            raise ValueError(f"posteriors need a {NEUTRAL!r} class; they have {', '.join(labels)}")
        neutral = labels.index(NEUTRAL)
        step = posteriors.sliding_window.step
        num_frames = len(posteriors.data)
        heard = covered(speech, step, num_frames, duration=duration)
        frames = np.flatnonzero(heard)
        classes = np.full(num_frames, neutral, dtype=np.int8)
        classes[frames] = self._classes(posteriors.data[frames], labels, neutral, step)
        return self._annotation(posteriors, classes, heard, labels, neutral, duration)

    def _classes(
        self, posteriors: np.ndarray, labels: list[str], neutral: int, step: float
    ) -> np.ndarray:
        """Class of every frame of speech."""
        smooth = self.smoothed(posteriors, neutral, step)
        min_frames = max(1, round(self.min_duration_on / step))
        if self.path == "argmax":
            classes = smooth.argmax(axis=1)
        elif self.path == "viterbi":
            classes = viterbi_path(log_scores(smooth), min_frames, self.switch_penalty)
        else:
            classes = single_event_path(log_scores(smooth), neutral, min_frames)
        return self.confident(classes, smooth, labels, neutral)

    def smoothed(self, posteriors: np.ndarray, neutral: int, step: float) -> np.ndarray:
        """Posteriors (num_frames, num_classes) as the path sees them: smoothed and weighted."""
        window = max(1, round(self.smoothing_duration / step))
        smooth = SMOOTHINGS[self.smoothing](posteriors, window)
        weights = np.ones(posteriors.shape[1], dtype=smooth.dtype)
        weights[neutral] = self.neutral_weight
        smooth = smooth * weights
        smooth /= np.maximum(smooth.sum(axis=1, keepdims=True), 1e-12)
        return smooth

    def confident(
        self, classes: np.ndarray, smooth: np.ndarray, labels: Sequence[str], neutral: int
    ) -> np.ndarray:
        """Classes (num_frames,), neutral where the posterior does not reach the threshold.

        Raises
        ------
        ValueError
            If there is a threshold for a class that is none of the labels.
        """
        if isinstance(self.threshold, Mapping) and (odd := set(self.threshold) - set(labels)):
            raise ValueError(f"a threshold for {min(odd)!r}; the classes are {', '.join(labels)}")
        thresholds = np.array(
            [
                self.threshold.get(label, 0.0)
                if isinstance(self.threshold, Mapping)
                else self.threshold
                for label in labels
            ]
        )
        confident = smooth[np.arange(len(classes)), classes] >= thresholds[classes]
        return np.where(confident, classes, neutral)

    def _annotation(
        self,
        posteriors: SlidingWindowFeature,
        classes: np.ndarray,
        heard: np.ndarray,
        labels: list[str],
        neutral: int,
        duration: float,
    ) -> Annotation:
        """Merge the frames of each emotion, drop what is short, and measure confidence."""
        step = posteriors.sliding_window.step
        bridged = classes.copy()
        for start, end in FrameGrid.runs(classes == neutral):  # silence included
            inside = start > 0 and end < len(classes) and classes[start - 1] == classes[end]
            if inside and end - start <= round(self.min_duration_off / step):
                bridged[start:end] = classes[end]
        final = np.full(len(classes), neutral, dtype=np.int8)
        for index in set(range(len(labels))) - {neutral}:
            final[drop_short(bridged == index, round(self.min_duration_on / step))] = index
        annotation = Annotation(uri=getattr(posteriors, "uri", None))
        for index in range(len(labels)):
            if index == neutral and not self.with_neutral:
                continue
            for track, (start, end) in enumerate(FrameGrid.runs(final == index)):
                segment = _segment(start, end, step, duration)
                spoken = heard[start:end]
                scores = posteriors.data[start:end, index]
                confidence = float(scores[spoken].mean()) if spoken.any() else 1.0
                annotation[segment, track] = Emotion(labels[index], confidence=confidence)
        return annotation
