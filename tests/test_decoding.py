"""Decoding: what every annotation holds to, whatever the posteriors and the settings."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from sed.decoding import Binarize, Decoding, drop_short, fill_gaps
from sed.frames import FrameGrid
from sed.labels import confidence_of

GRID = FrameGrid(16_000, 1_600)  # frames of a tenth of a second
STEP = GRID.step
MASKS = st.lists(st.booleans(), max_size=40).map(lambda values: np.array(values, dtype=bool))
EXACT: dict[str, Any] = {"path": "argmax", "min_duration_on": 0.0, "min_duration_off": 0.0}


def speech_scores(values: str) -> SlidingWindowFeature:
    """Speech probabilities from digits, in tenths."""
    return GRID.feature(np.array([int(value) / 10 for value in values])[:, None])


def regions(timeline: Timeline) -> list[tuple[float, float]]:
    """Onsets and offsets, rounded to what a float may lose."""
    return [(round(segment.start, 9), round(segment.end, 9)) for segment in timeline]


def posteriors_of(classes: str, sure: float = 0.8) -> SlidingWindowFeature:
    """Posteriors in which each letter's class is `sure`: n, h, s."""
    names = ["neutral", "happy", "sad"]
    data = np.full((len(classes), 3), (1 - sure) / 2)
    for frame, letter in enumerate(classes):
        data[frame, [name[0] for name in names].index(letter)] = sure
    return GRID.feature(data, names)


def frames_of(annotation: Annotation, num_frames: int) -> str:
    """Letters of the annotation's frames, a dot where it has none."""
    letters = ["."] * num_frames
    for segment, _, label in annotation.itertracks(yield_label=True):
        # the last frame of a recording may be partial
        for frame in range(GRID.frame(segment.start), math.ceil(segment.end / STEP - 1e-6)):
            assert letters[frame] == "."  # no overlap
            letters[frame] = label[0]
    return "".join(letters)


def decoded(classes: str, speech: str | None = None, **settings: Any) -> str:
    """Letters after decoding; `speech` has a dot where there is silence."""
    heard = np.array([letter != "." for letter in speech or classes], dtype=bool)
    duration = GRID.seconds(len(classes))
    annotation = Decoding(**settings)(
        posteriors_of(classes.replace(".", "n")), GRID.timeline(heard, duration), duration
    )
    return frames_of(annotation, len(classes))


@given(MASKS, st.integers(0, 10))
def test_only_short_gaps_between_speech_are_filled(mask: np.ndarray, max_frames: int) -> None:
    filled = fill_gaps(mask, max_frames)
    expected = mask.copy()
    for first, end in FrameGrid.runs(~mask):
        if end - first <= max_frames and first > 0 and end < len(mask):
            expected[first:end] = True
    np.testing.assert_array_equal(filled, expected)


@given(MASKS, st.integers(0, 10))
def test_only_short_runs_are_dropped(mask: np.ndarray, min_frames: int) -> None:
    kept = drop_short(mask, min_frames)
    assert not np.any(kept & ~mask)
    lengths = [int(end - first) for first, end in FrameGrid.runs(mask)]
    kept_lengths = [int(end - first) for first, end in FrameGrid.runs(kept)]
    assert kept_lengths == [n for n in lengths if n >= min_frames]


class TestBinarize:
    """Scores of speech to regions."""

    def test_speech_begins_above_onset_and_ends_below_offset(self) -> None:
        binarize = Binarize(onset=0.6, offset=0.4, min_duration_on=0, min_duration_off=0, pad=0)
        #                                0123456789
        found = binarize(speech_scores("0454645304"), 1.0)
        assert regions(found) == [(0.1, 0.7)]  # all of it that stays above `offset`, once it peaks

    def test_speech_is_padded_but_not_past_the_recording(self) -> None:
        binarize = Binarize(min_duration_on=0, min_duration_off=0, pad=0.2)
        assert regions(binarize(speech_scores("0000900000"), 1.0)) == [(0.2, 0.7)]
        assert regions(binarize(speech_scores("9000000009"), 0.95)) == [(0.0, 0.3), (0.7, 0.95)]

    def test_short_pauses_are_filled_and_long_ones_kept(self) -> None:
        binarize = Binarize(min_duration_on=0, min_duration_off=0.2, pad=0)
        assert regions(binarize(speech_scores("9900900090"), 1.0)) == [(0.0, 0.5), (0.8, 0.9)]

    @pytest.mark.parametrize("pad", [0.0, 0.1, 0.2])
    @pytest.mark.parametrize(
        ("scores", "kept"),
        [("00009000000", False), ("00009900000", True), ("99000000000", True),
         ("00000000099", True), ("90000000000", False), ("00000000009", False)],
    )  # fmt: skip
    def test_short_speech_is_dropped_wherever_it_stands(
        self, scores: str, kept: bool, pad: float
    ) -> None:
        """Speech at the edge of the recording has no room for padding, but the same right."""
        binarize = Binarize(min_duration_on=0.2, min_duration_off=0, pad=pad)
        assert bool(binarize(speech_scores(scores), 1.1)) == kept

    @given(
        st.text("01234567899", max_size=60),
        st.floats(0, 0.3),
        st.floats(0, 0.5),
        st.floats(0, 0.5),
        st.floats(0.01, 1.2),
    )
    def test_regions_lie_apart_within_the_recording(
        self, values: str, pad: float, on: float, off: float, share: float
    ) -> None:
        duration = share * GRID.seconds(len(values))  # also shorter than the scores
        binarize = Binarize(pad=pad, min_duration_on=on, min_duration_off=off)
        previous = -1.0
        for segment in binarize(speech_scores(values), duration):
            assert previous < segment.start < segment.end <= duration
            previous = segment.end

    @pytest.mark.parametrize(
        "settings", [{"onset": 0.3, "offset": 0.4}, {"onset": 1.1}, {"offset": -0.1}]
    )
    def test_thresholds_that_cannot_be_met_are_refused(self, settings: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="0 <= offset <= onset <= 1"):
            Binarize(**settings)


SETTINGS = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["argmax", "viterbi", "single-event"]),
        "smoothing": st.sampled_from(["none", "mean", "median", "total-variation"]),
        "smoothing_duration": st.sampled_from([0.0, 0.3, 1.0]),
        "threshold": st.sampled_from([0.0, 0.4, 1.0]),
        "switch_penalty": st.sampled_from([0.0, 1.0]),
        "min_duration_on": st.sampled_from([0.0, 0.1, 0.3, 0.5]),
        "min_duration_off": st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    }
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[SlidingWindowFeature, Timeline, float]:
    """Posteriors, speech and duration; classes in any order, the last frame perhaps partial."""
    num_frames = draw(st.integers(1, 40))
    labels = draw(st.permutations(["neutral", "happy", "sad", "angry"]))[: draw(st.integers(1, 4))]
    if "neutral" not in labels:
        labels[0] = "neutral"
    seed = draw(st.integers(0, 2**32 - 1))
    data = np.random.default_rng(seed).dirichlet([0.3] * len(labels), size=num_frames)
    hold = draw(st.integers(1, 4))  # frames that posteriors stay, for stretches to form
    data = np.repeat(data, hold, axis=0)[:num_frames]
    duration = GRID.seconds(num_frames) - draw(st.sampled_from([0.0, 0.05]))
    heard = np.ones(num_frames, dtype=bool)
    for start, length in draw(
        st.lists(st.tuples(st.integers(0, num_frames), st.integers(1, 10)), max_size=3)
    ):
        heard[start : start + length] = False
    return GRID.feature(data, labels), GRID.timeline(heard, duration), duration


@given(cases(), SETTINGS)
def test_emotions_last_and_lie_apart_within_the_recording(
    case: tuple[SlidingWindowFeature, Timeline, float], settings: dict[str, Any]
) -> None:
    posteriors, speech, duration = case
    annotation = Decoding(**settings)(posteriors, speech, duration)
    previous = 0.0
    for segment, _, label in annotation.itertracks(yield_label=True):
        assert label in posteriors.labels and label != "neutral"
        assert previous <= segment.start < segment.end <= duration
        # the last frame of the recording may be partial
        last = STEP if segment.end == duration else 0.0
        assert segment.duration >= settings["min_duration_on"] - last - 1e-9
        assert 0.0 <= confidence_of(label) <= 1.0 + 1e-9
        previous = segment.end


@given(cases(), SETTINGS)
def test_with_neutral_there_is_neither_hole_nor_overlap(
    case: tuple[SlidingWindowFeature, Timeline, float], settings: dict[str, Any]
) -> None:
    posteriors, speech, duration = case
    whole = Decoding(**settings, with_neutral=True)(posteriors, speech, duration)
    segments = sorted((s.start, s.end) for s in whole.itersegments())
    boundaries = [0.0] + [end for _, end in segments]
    assert [start for start, _ in segments] == boundaries[:-1] and boundaries[-1] == duration
    # and the emotions are the same without it
    emotions = Decoding(**settings)(posteriors, speech, duration)
    rest = [label for label in posteriors.labels if label != "neutral"]
    assert list(whole.subset(rest).itersegments()) == list(emotions.itersegments())


@given(cases())
def test_argmax_alone_gives_the_frames_back(
    case: tuple[SlidingWindowFeature, Timeline, float],
) -> None:
    posteriors, speech, duration = case
    annotation = Decoding(**EXACT, with_neutral=True)(posteriors, speech, duration)
    centres = (np.arange(len(posteriors.data)) + 0.5) * STEP
    spoken = [any(s.start <= t < s.end or t >= s.end == duration for s in speech) for t in centres]
    expected = [
        posteriors.labels[row.argmax()][0] if heard else "n"
        for row, heard in zip(posteriors.data, spoken, strict=True)
    ]
    assert frames_of(annotation, len(expected)) == "".join(expected)


def test_silence_is_no_emotion() -> None:
    assert decoded("hhhhhhhhhh", speech="..xxx.xx..", **EXACT) == "..hhh.hh.."
    assert decoded("hhhhhhhhhh", speech="..........", **EXACT) == ".........."


def test_frames_before_the_recording_are_not_taken_for_its_end() -> None:
    speech = Timeline([Segment(-0.3, 0.4)])
    annotation = Decoding(**EXACT)(posteriors_of("h" * 10), speech, 1.0)
    assert frames_of(annotation, 10) == "hhhh......"


def test_gaps_are_bridged_over_silence_and_neutral_only() -> None:
    bridge = {**EXACT, "min_duration_off": 0.3}
    assert decoded("hhnn.hh", **bridge) == "hhhhhhh"
    assert decoded("hhnnnnhh", **bridge) == "hh....hh"  # too long
    assert decoded("hhnsnhh", **bridge) == "hh.s.hh"
    assert decoded("nhhn", **bridge) == ".hh."  # not at the ends
    assert decoded("hhnss", **bridge) == "hh.ss"


def test_a_bridge_of_one_emotion_never_cuts_another_short() -> None:
    """Two emotions that alternate, each with gaps that the other lies in."""
    settings = {**EXACT, "min_duration_off": 0.4, "min_duration_on": 0.3}
    frames = decoded("hhnssnhhnss" * 2, **settings)
    assert all(letter == "." or len(list(run)) >= 3 for letter, run in groupby(frames))


@pytest.mark.parametrize("order", [["neutral", "happy", "sad"], ["happy", "neutral", "sad"],
                                   ["sad", "happy", "neutral"]])  # fmt: skip
def test_what_is_under_the_threshold_falls_back_to_neutral(order: list[str]) -> None:
    data = np.array([[0.1, 0.5, 0.4], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [0.9, 0.1, 0.0]])
    columns = [["neutral", "happy", "sad"].index(name) for name in order]
    feature = GRID.feature(data[:, columns], order)
    speech = Timeline([Segment(0, 0.4)])
    everyone = Decoding(**EXACT, threshold=0.55)(feature, speech, 0.4)
    assert frames_of(everyone, 4) == ".hs."
    each = Decoding(**EXACT, threshold={"sad": 0.7})(feature, speech, 0.4)
    assert frames_of(each, 4) == "hh.."


def test_confidence_is_the_mean_posterior_over_speech() -> None:
    feature = GRID.feature(
        np.array([[0.4, 0.6], [0.2, 0.8], [1.0, 0.0], [0.3, 0.7], [0.9, 0.1]]), ["neutral", "happy"]
    )
    speech = Timeline([Segment(0, 0.2), Segment(0.3, 0.5)])  # silence in the middle is bridged
    [(segment, _, label)] = Decoding(path="argmax", min_duration_on=0, min_duration_off=0.1)(
        feature, speech, 0.5
    ).itertracks(yield_label=True)
    assert GRID.frame(segment.end) == 4
    assert confidence_of(label) == pytest.approx((0.6 + 0.8 + 0.7) / 3)


def test_a_single_event_is_what_the_prior_allows() -> None:
    settings = {"path": "single-event", "min_duration_on": 0.0, "min_duration_off": 0.0}
    assert decoded("nhhhnnshhn", **settings) == ".hhh......"
    assert decoded("nhhhnhhhhn", **settings) == ".hhhhhhhh."


def test_smoothing_removes_what_is_shorter_than_its_window() -> None:
    settings = {**EXACT, "smoothing": "median", "smoothing_duration": 0.3}
    assert decoded("nnhnnnhhhhshhh", **settings) == "......hhhhhhhh"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"path": "beam"}, "unknown path 'beam'; known are argmax, viterbi, single-event"),
        ({"smoothing": "boxcar"}, "unknown smoothing 'boxcar'; known are none, mean, median"),
        ({"threshold": 1.5}, "threshold lies between 0 and 1, not 1.5"),
        ({"threshold": {"happy": -0.5}}, "threshold lies between 0 and 1"),
        ({"threshold": float("nan")}, "threshold lies between 0 and 1"),
        ({"min_duration_on": -0.5}, "lies between 0 and 3600"),
        ({"min_duration_off": float("inf")}, "lies between 0 and 3600"),
        ({"smoothing_duration": float("nan")}, "lies between 0 and 3600"),
        ({"switch_penalty": -1.0}, "lies between 0 and 3600"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Decoding(**settings)


def test_a_threshold_of_an_emotion_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'hapy'.*neutral, happy, sad"):
        Decoding(threshold={"hapy": 0.5})(posteriors_of("nhs"), Timeline([Segment(0, 0.3)]), 0.3)


def test_posteriors_without_neutral_are_refused() -> None:
    feature = GRID.feature(np.ones((3, 1)), ["happy"])
    with pytest.raises(ValueError, match="'neutral' class; they have happy"):
        Decoding()(feature, Timeline(), 0.3)


def test_the_weight_of_neutral_corrects_the_prior() -> None:
    """A frame of 0.3 neutral and 0.6 happy is happy up to a weight of 2."""
    posteriors = FrameGrid(100, 1).feature(
        np.tile([0.3, 0.6, 0.1], (50, 1)), ["neutral", "happy", "sad"]
    )
    speech = Timeline([Segment(0, 0.5)])
    settings = {"path": "argmax", "min_duration_on": 0.0, "min_duration_off": 0.0}
    for weight, emotions in ((1.9, ["happy"]), (2.1, [])):
        decoded = Decoding(neutral_weight=weight, **settings)(posteriors, speech, 0.5)
        assert decoded.labels() == emotions
    [(_, _, emotion)] = Decoding(neutral_weight=1.5, **settings)(
        posteriors, speech, 0.5
    ).itertracks(yield_label=True)
    assert emotion.confidence == pytest.approx(0.6)  # the posterior itself, not the weighted one
    with pytest.raises(ValueError, match="neutral_weight is above 0"):
        Decoding(neutral_weight=0.0)
