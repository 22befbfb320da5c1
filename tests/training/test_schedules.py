"""Learning rates that follow the step."""

from __future__ import annotations

import math

import pytest

from sed.training.schedules import WarmupCosine


def test_the_rate_rises_along_a_line_and_falls_along_half_a_cosine() -> None:
    """It only falls behind the warm-up, never exceeds its peak, and ends at zero."""
    schedule = WarmupCosine(0.01, warmup_steps=10, num_steps=1000)
    rates = [schedule.at(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[4] == pytest.approx(0.005, rel=1e-4)
    assert max(rates) == rates[9] <= 0.01
    assert all(now > later for now, later in zip(rates[9:], rates[10:], strict=False))
    for share in (0.25, 0.5, 0.75):
        expected = 0.005 * (1 + math.cos(math.pi * share))
        assert rates[round(1000 * share)] == pytest.approx(expected)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)


def test_steps_behind_the_last_one_learn_nothing() -> None:
    """A run that goes on with more epochs than the schedule knows does not start anew."""
    assert WarmupCosine(0.01, warmup_steps=10, num_steps=100).at(150) == pytest.approx(0.0)


def test_there_may_be_no_warm_up() -> None:
    assert WarmupCosine(0.01, warmup_steps=0, num_steps=100).at(0) == pytest.approx(0.01)
