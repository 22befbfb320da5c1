"""Smoothing: each equals its definition, computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import median_filter

from sed.smoothing import SMOOTHINGS, _taut_string, median, moving_average, total_variation

VALUES = st.integers(0, 64).map(lambda n: n / 64)  # exact sums, and many ties
POSTERIORS = arrays(float, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=VALUES)


@given(POSTERIORS, st.integers(1, 60))
def test_the_mean_is_that_of_a_loop_over_frames(posteriors: np.ndarray, window: int) -> None:
    half = window // 2
    expected = [
        posteriors[max(0, t - half) : t + half + 1].mean(axis=0) for t in range(len(posteriors))
    ]
    np.testing.assert_allclose(moving_average(posteriors, window), expected, atol=1e-12)


@given(POSTERIORS, st.integers(0, 30).map(lambda half: 2 * half + 1))
def test_the_median_is_that_of_scipy(posteriors: np.ndarray, window: int) -> None:
    expected = median_filter(posteriors, size=(window, 1), mode="nearest")
    np.testing.assert_array_equal(median(posteriors, window), expected)


def test_the_median_of_a_long_recording_has_no_seams(rng: np.random.Generator) -> None:
    """It goes block by block."""
    posteriors = rng.random((9000, 1))
    expected = median_filter(posteriors, size=(5, 1), mode="nearest")
    np.testing.assert_array_equal(median(posteriors, 5), expected)


def check_optimal(x: np.ndarray, y: np.ndarray, weight: float) -> None:
    """Conditions that only the minimum of the total-variation problem meets.

    With u the running sum of x - y: it stays in the tube, ends at zero, and touches the tube's
    wall wherever y jumps, the floor at a jump down and the ceiling at a jump up.
    """
    assert y.shape == x.shape
    u = np.cumsum(x - y)
    assert np.all(np.abs(u) <= weight + 1e-9)
    assert abs(u[-1]) < 1e-9
    jumps = np.flatnonzero(np.abs(np.diff(y)) > 1e-9)
    np.testing.assert_allclose(u[jumps], -weight * np.sign(np.diff(y)[jumps]), atol=1e-9)


@given(arrays(float, st.integers(1, 60), elements=VALUES), st.integers(1, 40))
def test_total_variation_is_optimal_with_many_ties(x: np.ndarray, window: int) -> None:
    check_optimal(x, np.array(_taut_string(x.tolist(), window / 4)), window / 4)


@given(
    arrays(float, st.integers(1, 60), elements=st.floats(0, 1)),
    st.floats(0.01, 10),
)
def test_total_variation_is_optimal_for_any_numbers(x: np.ndarray, weight: float) -> None:
    check_optimal(x, np.array(_taut_string(x.tolist(), weight)), weight)


def test_total_variation_is_optimal_over_a_long_recording(rng: np.random.Generator) -> None:
    x = (np.arange(5000) % 700 < 300) * 0.5 + 0.3 * rng.random(5000)
    check_optimal(x, np.array(_taut_string(x.tolist(), 2.0)), 2.0)


@pytest.mark.parametrize(("length", "survives"), [(16, True), (4, False)])
def test_a_step_of_half_the_range_survives_if_it_lasts_the_window(
    length: int, survives: bool
) -> None:
    happy = np.full(60, 0.25)
    happy[20 : 20 + length] = 0.75
    smooth = total_variation(np.stack([happy, 1 - happy], axis=1), window=8)
    assert (np.ptp(smooth[:, 0]) > 0.01) == survives


@given(POSTERIORS.filter(lambda p: np.all(p.sum(axis=1) > 0)), st.integers(1, 20))
def test_total_variation_gives_posteriors(posteriors: np.ndarray, window: int) -> None:
    smooth = total_variation(posteriors / posteriors.sum(axis=1, keepdims=True), window)
    assert np.all(smooth >= 0)
    np.testing.assert_allclose(smooth.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", SMOOTHINGS)
@given(num_frames=st.integers(0, 30), window=st.integers(1, 50), happy=st.floats(0, 1))
def test_what_is_constant_stays(name: str, num_frames: int, window: int, happy: float) -> None:
    """A recording without frames included."""
    posteriors = np.tile([happy, 1 - happy], (num_frames, 1))
    np.testing.assert_allclose(SMOOTHINGS[name](posteriors, window), posteriors, atol=1e-12)


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_the_input_is_left_as_it_was(name: str, rng: np.random.Generator) -> None:
    posteriors = rng.random((20, 3))
    before = posteriors.copy()
    SMOOTHINGS[name](posteriors, 5)
    np.testing.assert_array_equal(posteriors, before)
