"""Expected calibration error: a direct computation, and what additive values must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sed.scoring import Calibration, calibration
from sed.scoring.calibration import NUM_BINS
from sed.scoring.tables import calibration_table

edges = st.integers(0, NUM_BINS).map(lambda edge: edge / NUM_BINS)
frames = st.lists(st.tuples(st.floats(0.0, 1.0) | edges, st.booleans()), max_size=60)


def counted(found: list[tuple[float, bool]]) -> Calibration:
    confidence, right = zip(*found, strict=True) if found else ((), ())
    return calibration(np.array(confidence, dtype=float), np.array(right, dtype=bool))


def direct(found: list[tuple[float, bool]]) -> float:
    """The definition, bin by bin."""
    error = 0.0
    for index in range(NUM_BINS):
        low, high = index / NUM_BINS, (index + 1) / NUM_BINS
        inside = [(c, r) for c, r in found if low < c <= high or (index == 0 and c == 0.0)]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            error += len(inside) / len(found) * abs(accuracy - confidence)
    return error


@given(frames)
def test_the_error_is_that_of_the_definition(found: list[tuple[float, bool]]) -> None:
    assert counted(found).error == pytest.approx(direct(found), abs=1e-12)
    assert counted(found).total == len(found)


@given(frames, frames)
def test_recordings_add_up(
    first: list[tuple[float, bool]], second: list[tuple[float, bool]]
) -> None:
    together, added = counted(first + second), counted(first) + counted(second)
    assert (added.count, added.right) == (together.count, together.right)
    assert added.confidence == pytest.approx(together.confidence, abs=1e-12)
    assert added == counted(second) + counted(first)
    assert counted(first) + Calibration.zero() == counted(first)


def test_confidence_that_is_true_has_no_error_and_a_boast_has_one(
    rng: np.random.Generator,
) -> None:
    confidence = rng.uniform(0.25, 1.0, size=200_000)
    right = rng.random(200_000) < confidence
    assert counted([]).error == 0.0
    assert calibration(confidence, right).error < 0.01
    boast = calibration(np.full(200_000, 1.0), right)
    assert boast.error == pytest.approx(1.0 - right.mean()) and boast.error > 0.3


@pytest.mark.parametrize("confidence", [[-0.1], [1.1], [float("nan")], [0.5, 0.5], [[0.5]]])
def test_what_is_no_confidence_is_refused(confidence: list[float]) -> None:
    with pytest.raises(ValueError, match="confidence"):
        calibration(np.array(confidence), np.array([True]))


def test_what_cannot_have_been_counted_is_refused() -> None:
    zero, one = Calibration.zero(), (1,) + (0,) * (NUM_BINS - 1)
    for count, confidence, right in (
        (zero.count, zero.confidence, one),
        (one, (2.0, *one[1:]), one),
    ):
        with pytest.raises(ValueError, match="cannot be 1 times right"):
            Calibration(count=count, confidence=confidence, right=right)
    with pytest.raises(ValueError, match="2 values, not one for 15 bins"):
        Calibration(count=(0, 0), confidence=zero.confidence, right=zero.right)


def test_the_table_shows_the_bins_that_hold_frames_and_their_sum() -> None:
    found = counted([(0.95, True), (0.95, False), (0.6, True), (0.6, True)])
    *bins, total = calibration_table(found).rows
    assert [row[0] for row in bins] == ["0.53 to 0.60", "0.93 to 1.00"]
    assert bins[0][1:] == pytest.approx((0.5, 0.6, 1.0))
    assert bins[1][1:] == pytest.approx((0.5, 0.95, 0.5))
    assert total[1:] == pytest.approx((1.0, 0.775, 0.75))
    assert calibration_table(Calibration.zero()).rows == (("all", None, None, None),)
