"""Windows hear each core with its surroundings, and their weights sum to one in every frame."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline

from sed.segmentation import Segmentation
from sed.specifications import Specifications
from sed.windows import MARGIN, margin, plan

SETTINGS = settings(max_examples=100, deadline=None)
STEP = 0.02

Core = tuple[int, int]


def specifications(*, context: int | None = None, window: float = 20.0) -> Specifications:
    return Specifications(("neutral", "happy"), 16_000, 320, context=context, window=window)


def cores(*, longest: int = 400) -> st.SearchStrategy[list[Core]]:
    """Cores of a recording from its first frame of speech to its last."""
    lengths = st.lists(st.integers(1, longest), min_size=1, max_size=8)
    return lengths.map(lambda counts: list(pairwise([0, *accumulate(counts)])))


windows_of_models = st.integers(1, 500).map(lambda frames: frames * STEP)


@SETTINGS
@given(cores(), st.integers(0, 500))
def test_with_a_finite_context_a_window_is_its_core_and_exactly_that(
    cores: list[Core], context: int
) -> None:
    total = cores[-1][1]
    planned = plan(cores, total, specifications(context=context))
    assert [(window.first, window.end) for window in planned] == cores
    for window, (first, end) in zip(planned, cores, strict=True):
        assert window.start == max(0, first - context)
        assert window.stop == min(total, end + context)
        assert window.counted == slice(first, end)
        assert (window.weights == 1.0).all()


@SETTINGS
@given(cores(), windows_of_models)
def test_without_one_all_windows_are_equally_long_and_within_the_recording(
    cores: list[Core], seconds: float
) -> None:
    total = cores[-1][1]
    planned = plan(cores, total, specifications(window=seconds))
    assert [(window.first, window.end) for window in planned] == cores
    (length,) = {window.stop - window.start for window in planned}
    assert length <= max(round(seconds / STEP), *(end - first for first, end in cores))
    for window in planned:
        assert 0 <= window.start <= window.first < window.end <= window.stop <= total
        before, after = window.first - window.start, window.stop - window.end
        if window.start > 0 and window.stop < total:
            assert abs(before - after) <= 1  # in the middle
        else:
            assert before <= after + 1 or window.stop == total
            assert after <= before + 1 or window.start == 0
    assert [window.start for window in planned] == sorted(window.start for window in planned)


@SETTINGS
@given(cores(), windows_of_models)
def test_weights_sum_to_one_in_every_frame(cores: list[Core], seconds: float) -> None:
    total = cores[-1][1]
    weight, num_windows = np.zeros(total, dtype=np.float32), np.zeros(total, dtype=int)
    for window in plan(cores, total, specifications(window=seconds)):
        assert window.start <= window.counted.start and window.counted.stop <= window.stop
        assert (window.weights > 0).all() and (window.weights <= 1).all()
        weight[window.counted] += window.weights
        num_windows[window.counted] += 1
    np.testing.assert_allclose(weight, 1.0, rtol=0, atol=2e-7)
    assert num_windows.min() == 1 and num_windows.max() <= 2


@SETTINGS
@given(cores(), windows_of_models)
def test_what_lies_outermost_at_a_seam_is_context_only(cores: list[Core], seconds: float) -> None:
    """A window hears at least as much again beyond the frames in which it is faded."""
    for window in plan(cores, cores[-1][1], specifications(window=seconds)):
        assert window.counted.start - window.start >= window.fade_in
        assert window.stop - window.counted.stop >= window.fade_out
        assert 2 * max(window.fade_in, window.fade_out) * STEP <= MARGIN + 1e-9


def test_long_cores_are_faded_over_the_margin_around_their_seams() -> None:
    """Two windows of 12 s, each a core of 11 s and a margin of 1 s.

    ::

        core     |--------- 550 ---------|--------- 550 ---------|
        windows  [0 ------------------ 600)
                                    [500 ------------------- 1100)
        weights  1111111111111111111\\\\\\\\                          525 to 575
                                    ////////1111111111111111111
    """
    before, after = plan([(0, 550), (550, 1100)], 1100, specifications())
    assert (before.start, before.stop, after.start, after.stop) == (0, 600, 500, 1100)
    assert (before.counted, after.counted) == (slice(0, 575), slice(525, 1100))
    np.testing.assert_allclose(before.weights[:525], 1.0)
    np.testing.assert_allclose(before.weights[525:], 1 - (np.arange(50) + 0.5) / 50, atol=1e-6)
    np.testing.assert_allclose(after.weights[:50], (np.arange(50) + 0.5) / 50, atol=1e-6)
    np.testing.assert_allclose(after.weights[50:], 1.0)


@pytest.mark.parametrize("context", [None, 0, 30])
@pytest.mark.parametrize("total", [1, 2, 49, 50, 51])
def test_recordings_under_one_margin_are_one_window(context: int | None, total: int) -> None:
    (window,) = plan([(0, total)], total, specifications(context=context))
    assert (window.start, window.stop, window.counted) == (0, total, slice(0, total))
    assert window.weights.tolist() == [1.0] * total


@pytest.mark.parametrize("context", [None, 30])
def test_no_speech_needs_no_windows(context: int | None) -> None:
    assert plan([], 0, specifications(context=context)) == []


def test_windows_of_a_single_frame_are_heard_with_what_is_around_them() -> None:
    planned = plan([(frame, frame + 1) for frame in range(200)], 200, specifications())
    assert {window.stop - window.start for window in planned} == {101}
    assert {len(window.weights) for window in planned} == {1}


def test_cores_longer_than_the_network_likes_are_heard_all_the_same() -> None:
    planned = plan([(0, 90), (90, 190)], 190, specifications(window=1.0))
    assert [(window.start, window.stop) for window in planned] == [(0, 100), (90, 190)]


@st.composite
def speeches(draw: st.DrawFn) -> Timeline:
    """Stretches of speech on whole frames."""
    speech, time = Timeline(), 0
    for pause, length in draw(
        st.lists(st.tuples(st.integers(1, 100), st.integers(1, 900)), min_size=1, max_size=8)
    ):
        speech.add(Segment((time + pause) * STEP, (time + pause + length) * STEP))
        time += pause + length
    return speech


@SETTINGS
@given(speeches(), st.integers(10, 250).map(lambda quarter: 4 * quarter))
def test_segments_leave_room_for_the_margin_and_what_fits_at_once_is_one_window(
    speech: Timeline, frames: int
) -> None:
    """No window is longer than the network likes, and none hears less than the margin."""
    like = specifications(window=frames * STEP)
    beyond = round(margin(like) / STEP)
    segments = Segmentation(like.window, margin=margin(like))(speech)
    heard = np.flatnonzero(like.grid.mask(speech, round(speech.extent().end / STEP)))
    onsets = [like.grid.frame(segment.start) for segment in segments]
    bounds = [*np.searchsorted(heard, onsets).tolist(), len(heard)]
    assert len(onsets) == 1 or len(heard) > frames
    for window in plan(list(pairwise(bounds)), len(heard), like):
        assert window.stop - window.start <= frames
        assert window.first - window.start >= min(beyond - 1, window.first)  # cuts are rounded
        assert window.stop - window.end >= min(beyond - 1, len(heard) - window.end)
