"""Windows hold all speech exactly once, are never too full, and end at pauses if they can."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline

from sed.segmentation import Segmentation


@st.composite
def speeches(draw: st.DrawFn) -> Timeline:
    """Stretches of speech on whole hundredths of a second, some of them very long."""
    speech, time = Timeline(), 0
    for pause, length in draw(
        st.lists(st.tuples(st.integers(1, 500), st.integers(1, 1_000)), max_size=6)
    ):
        speech.add(Segment((time + pause) / 100, (time + pause + length) / 100))
        time += pause + length
    return speech


max_durations = st.integers(100, 2_000).map(lambda hundredths: hundredths / 100)

SETTINGS = settings(max_examples=50, deadline=None)


def held(window: Segment, speech: Timeline) -> float:
    """Seconds of speech in a window."""
    return speech.crop(window).duration()


@SETTINGS
@given(speeches(), max_durations)
def test_windows_hold_all_speech_exactly_once(speech: Timeline, max_duration: float) -> None:
    windows = list(Segmentation(max_duration)(speech))
    for before, after in zip(windows[:-1], windows[1:], strict=True):
        assert before.end <= after.start
    covered = speech.crop(Timeline(windows))
    assert covered.duration() == pytest.approx(speech.duration(), abs=1e-4)


@SETTINGS
@given(speeches(), max_durations)
def test_no_window_holds_too_much_and_none_is_nearly_empty_without_need(
    speech: Timeline, max_duration: float
) -> None:
    """All but the last are at least half full: no more windows are run than twice the fewest."""
    windows = list(Segmentation(max_duration)(speech))
    for window in windows:
        assert 0 < held(window, speech) <= max_duration + 1e-4
    for window in windows[:-1]:
        assert held(window, speech) >= max_duration / 2 - 1e-4


@SETTINGS
@given(speeches(), max_durations)
def test_windows_begin_and_end_with_speech_and_cut_it_only_where_they_are_full(
    speech: Timeline, max_duration: float
) -> None:
    onsets = {round(stretch.start, 4) for stretch in speech}
    offsets = {round(stretch.end, 4) for stretch in speech}
    windows = list(Segmentation(max_duration)(speech))
    for before, after in zip(windows[:-1], windows[1:], strict=True):
        at_pause = round(before.end, 4) in offsets and round(after.start, 4) in onsets
        full = math.isclose(held(before, speech), max_duration, abs_tol=1e-4)
        assert at_pause or full


def test_a_window_at_least_half_full_ends_at_the_pause_before_what_does_not_fit() -> None:
    """Four seconds at most.

    ::

        speech     |==|    |===|     |=|
        windows    |--|    |-----------|
    """
    speech = Timeline([Segment(0, 2), Segment(5, 8), Segment(9, 10)])
    assert list(Segmentation(4.0)(speech)) == [Segment(0, 2), Segment(5, 10)]


def test_a_window_less_than_half_full_is_filled_from_the_next_stretch() -> None:
    speech = Timeline([Segment(0, 1), Segment(5, 10)])
    assert list(Segmentation(4.0)(speech)) == [Segment(0, 8), Segment(8, 10)]


def test_speech_that_overlaps_counts_once() -> None:
    speech = Timeline([Segment(0, 3), Segment(2, 4)])
    assert list(Segmentation(4.0)(speech)) == [Segment(0, 4)]


def test_no_speech_gives_no_windows_and_the_uri_stays() -> None:
    assert list(Segmentation(4.0)(Timeline())) == []
    assert Segmentation(4.0)(Timeline(uri="call")).uri == "call"


@pytest.mark.parametrize("max_duration", [0.0, -1.0, math.nan])
def test_windows_need_an_extent(max_duration: float) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Segmentation(max_duration)
