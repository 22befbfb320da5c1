"""The frame grid: integer arithmetic that goes back and forth without drift."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyannote.core import Segment, Timeline

from sed.frames import TICKS_PER_SECOND, FrameGrid, to_seconds, to_ticks

GRIDS = st.builds(FrameGrid, sample_rate=st.sampled_from([8_000, 16_000, 22_050, 44_100]),
                  hop=st.integers(1, 4_096))  # fmt: skip
MASKS = arrays(bool, st.integers(0, 60))


@given(st.integers(0, 100 * 3600 * TICKS_PER_SECOND))
def test_ticks_survive_the_way_through_seconds(ticks: int) -> None:
    assert to_ticks(to_seconds(ticks)) == ticks


@given(st.integers(0, 10**9))
def test_milliseconds_are_whole_ticks(milliseconds: int) -> None:
    """What an RTTM says with three decimals loses nothing."""
    assert to_ticks(float(f"{milliseconds / 1000:.3f}")) == 1000 * milliseconds


@given(GRIDS, st.integers(0, 10**12))
def test_cells_hold_every_sample_and_no_cell_is_empty(grid: FrameGrid, num_samples: int) -> None:
    num_frames = grid.num_frames(num_samples)
    assert isinstance(num_frames, int)
    assert num_frames * grid.hop >= num_samples > (num_frames - 1) * grid.hop


@given(GRIDS, st.integers(0, 10**8))
def test_a_frame_boundary_is_found_again_from_its_time(grid: FrameGrid, frame: int) -> None:
    assert grid.frame(grid.seconds(frame)) == frame


@given(GRIDS, st.integers(0, 10**8))
def test_onsets_do_not_drift(grid: FrameGrid, frame: int) -> None:
    """The float nearest to the exact time, however far into the recording."""
    assert grid.seconds(frame) == float(Fraction(frame * grid.hop, grid.sample_rate))


def test_onsets_of_numpy_frames_are_floats() -> None:
    onset = FrameGrid(16_000, 320).seconds(np.int64(10**10))
    assert type(onset) is float and onset == 2e8


@given(GRIDS)
def test_the_window_of_a_feature_has_neither_gap_nor_overlap(grid: FrameGrid) -> None:
    window = grid.feature(np.zeros((3, 2)), ["neutral", "happy"]).sliding_window
    assert window.start == 0 and window.duration == window.step == grid.step


@given(MASKS)
def test_runs_are_maximal_and_hold_exactly_the_true_frames(mask: np.ndarray) -> None:
    found = np.zeros_like(mask)
    previous_end = -1
    for first, end in FrameGrid.runs(mask):
        assert previous_end < first < end  # a false frame lies between two runs
        found[first:end] = True
        previous_end = end
    np.testing.assert_array_equal(found, mask)


@given(GRIDS, MASKS)
def test_a_mask_survives_the_way_through_a_timeline(grid: FrameGrid, mask: np.ndarray) -> None:
    timeline = grid.timeline(mask, duration=grid.seconds(len(mask)))
    np.testing.assert_array_equal(grid.mask(timeline, len(mask)), mask)


@given(MASKS.filter(lambda mask: len(mask) > 0), st.integers(1, 320))
def test_a_timeline_ends_no_later_than_the_recording(mask: np.ndarray, rest: int) -> None:
    grid = FrameGrid(16_000, 320)
    num_samples = (len(mask) - 1) * 320 + rest  # the last cell may be partial
    duration = num_samples / 16_000
    timeline = grid.timeline(mask, duration)
    assert len(timeline) == len(grid.runs(mask))
    assert all(segment.end <= duration for segment in timeline)
    if mask[-1]:
        assert timeline[-1].end == duration


@given(st.lists(st.tuples(st.integers(-2_000, 30_000), st.integers(1, 9_000)), max_size=5))
def test_a_mask_is_true_where_the_centre_of_the_frame_is_covered(
    samples: list[tuple[int, int]],
) -> None:
    """Segments may overlap, start before the recording, or end after it."""
    grid, num_frames = FrameGrid(16_000, 320), 60
    spans = [(start, start + length) for start, length in samples]
    # a boundary right on a centre may go either way
    spans = [span for span in spans if all(edge % 320 != 160 for edge in span)]
    timeline = Timeline([Segment(start / 16_000, end / 16_000) for start, end in spans])
    centres = np.arange(num_frames) * 320 + 160
    expected = np.zeros(num_frames, dtype=bool)
    for start, end in spans:
        expected |= (start <= centres) & (centres < end)
    np.testing.assert_array_equal(grid.mask(timeline, num_frames), expected)


@pytest.mark.parametrize(("sample_rate", "hop"), [(0, 320), (16_000, 0), (-1, 320), (16_000, -5)])
def test_a_grid_without_extent_is_refused(sample_rate: int, hop: int) -> None:
    with pytest.raises(ValueError, match="positive sample rate and hop"):
        FrameGrid(sample_rate, hop)
