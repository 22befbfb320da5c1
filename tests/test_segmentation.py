"""Windows hold all speech exactly once, are few and equally long, and end at pauses nearby."""

from __future__ import annotations

import math
from itertools import accumulate

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
margins = st.integers(0, 49).map(lambda hundredths: hundredths / 100)
tolerances = st.integers(0, 300).map(lambda hundredths: hundredths / 100)

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
@given(speeches(), max_durations, margins, tolerances)
def test_no_window_holds_too_much_and_there_are_as_few_as_leave_cuts_their_tolerance(
    speech: Timeline, max_duration: float, margin: float, tolerance: float
) -> None:
    """With a margin, a window holds less at each cut: it hears that much of its neighbour."""
    segmentation = Segmentation(max_duration, margin=margin, tolerance=tolerance)
    windows = [held(window, speech) for window in segmentation(speech)]
    for index, duration in enumerate(windows):
        num_cuts = (index > 0) + (index < len(windows) - 1)
        assert 0 < duration <= max_duration - num_cuts * margin + 1e-4
    if sum(windows) > max_duration + 1e-4:
        room = max_duration - 2 * margin
        room -= min(tolerance, room / 4)
        assert len(windows) == math.ceil((sum(windows) - 2 * margin) / room - 1e-5)
    else:
        assert len(windows) == bool(speech)


@SETTINGS
@given(speeches(), max_durations, tolerances)
def test_each_cut_is_at_the_pause_nearest_to_an_equal_part_of_what_is_left(
    speech: Timeline, max_duration: float, tolerance: float
) -> None:
    """Or exactly there, if no pause within the tolerance leaves few enough for the rest."""
    pauses = list(accumulate(stretch.duration for stretch in speech))[:-1]
    windows = list(Segmentation(max_duration, tolerance=tolerance)(speech))
    cuts = list(accumulate(held(window, speech) for window in windows))
    done = 0.0
    for index, cut in enumerate(cuts[:-1]):
        left = len(windows) - 1 - index
        ideal = done + (cuts[-1] - done) / (left + 1)
        tolerance = min(tolerance, max_duration / 4)
        lowest = max(done, ideal - tolerance, cuts[-1] - left * max_duration)
        highest = min(cuts[-1], ideal + tolerance, done + max_duration)
        distances = [abs(p - ideal) for p in pauses if lowest + 1e-4 < p < highest - 1e-4]
        if not any(math.isclose(cut, pause, abs_tol=1e-4) for pause in pauses):
            assert not distances
            assert cut == pytest.approx(ideal, abs=1e-4)
        else:
            assert abs(cut - ideal) <= min([tolerance, *distances]) + 1e-4
        done = cut


@SETTINGS
@given(speeches(), max_durations)
def test_windows_are_equally_long_where_no_cut_may_move(
    speech: Timeline, max_duration: float
) -> None:
    windows = [held(window, speech) for window in Segmentation(max_duration, tolerance=0.0)(speech)]
    if windows:
        assert max(windows) - min(windows) < 1e-4


@SETTINGS
@given(speeches(), max_durations)
def test_a_cut_at_a_pause_leaves_the_pause_out(speech: Timeline, max_duration: float) -> None:
    onsets = {stretch.start for stretch in speech}
    offsets = {stretch.end for stretch in speech}
    windows = list(Segmentation(max_duration)(speech))
    if windows:
        assert (windows[0].start, windows[-1].end) == (speech[0].start, speech[-1].end)
    for before, after in zip(windows[:-1], windows[1:], strict=True):
        assert before.end == after.start or (before.end in offsets and after.start in onsets)


def test_a_cut_moves_to_the_pause_nearest_to_it() -> None:
    """Ten seconds in two windows: a pause after 4.5 s is within a second of 5 s, as is 5.7 s.

    ::

        speech     |========|  |=|  |========|
        windows    |--------|  |-------------|
    """
    speech = Timeline([Segment(0, 4.5), Segment(6, 7.2), Segment(8, 12.3)])
    assert list(Segmentation(6.0)(speech)) == [Segment(0, 4.5), Segment(6, 12.3)]
    assert list(Segmentation(6.0, tolerance=0.4)(speech)) == [Segment(0, 6.5), Segment(6.5, 12.3)]


def test_a_pause_that_leaves_too_much_for_the_rest_is_none() -> None:
    """A cut 0.6 s before its place would leave 5.9 s for the last window, which holds 5.7 s.

    ::

        speech     |=========| |==========| |============|
        windows    |---------| |-------------|-----------|
    """
    speech = Timeline([Segment(0, 4.4), Segment(5, 9.7), Segment(10, 15.9)])
    found = list(Segmentation(5.7, tolerance=0.7)(speech))
    assert found == [Segment(0, 4.4), Segment(5, 10.6), Segment(10.6, 15.9)]


def test_a_pause_after_too_much_is_none() -> None:
    """A cut 0.6 s after its place would make a window of 5.9 s, which holds 5.7 s."""
    speech = Timeline([Segment(0, 4.4), Segment(5, 10.9), Segment(11, 15.7)])
    found = list(Segmentation(5.7, tolerance=0.7)(speech))
    assert found == [Segment(0, 4.4), Segment(5, 10.3), Segment(10.3, 15.7)]


def test_windows_of_a_long_recording_end_at_pauses() -> None:
    """Where windows were full, hardly a cut could move. Squares of so many take minutes."""
    speech = Timeline([Segment(n, n + 0.7) for n in range(36_000)])
    windows = Segmentation(20.0)(speech)
    assert len(windows) == math.ceil(36_000 * 0.7 / 19)
    assert {round(window.end % 1, 6) for window in windows} == {0.7}


def test_times_that_no_float_holds_exactly_cost_no_window() -> None:
    """Three times 0.1 s are more than 0.3 s in floats, and 10.4 s more than four times 2.6 s."""
    speech = Timeline([Segment(n, n + 0.1) for n in (0, 1, 2)])
    assert sum(stretch.duration for stretch in speech) > 0.3
    assert len(Segmentation(0.3)(speech)) == 1
    assert len(Segmentation(2.6, tolerance=0.0)(Timeline([Segment(0.1, 10.5)]))) == 4


def test_speech_that_overlaps_counts_once() -> None:
    speech = Timeline([Segment(0, 3), Segment(2, 4)])
    assert list(Segmentation(4.0)(speech)) == [Segment(0, 4)]


def test_no_speech_gives_no_windows_and_the_uri_stays() -> None:
    assert list(Segmentation(4.0)(Timeline())) == []
    assert Segmentation(4.0)(Timeline(uri="call")).uri == "call"


@pytest.mark.parametrize("max_duration", [0.0, -1.0, math.nan, math.inf])
def test_windows_need_an_extent_and_an_end(max_duration: float) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Segmentation(max_duration)


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_a_tolerance_is_finite_and_not_negative(tolerance: float) -> None:
    with pytest.raises(ValueError, match="cannot move"):
        Segmentation(4.0, tolerance=tolerance)


@pytest.mark.parametrize("margin", [-0.1, 2.0, math.nan])
def test_margins_leave_room_in_a_window(margin: float) -> None:
    with pytest.raises(ValueError, match="no room"):
        Segmentation(4.0, margin=margin)
