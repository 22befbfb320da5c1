"""EmotionErrors: what cannot have been counted cannot be made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sed.scoring import EmotionErrors


def errors(**changed) -> EmotionErrors:
    parts = {
        "false_alarm": 1,
        "missed_emotion": 2,
        "confusion": 3,
        "overlap": 4,
        "correct": 10,
        "total": 20,
    }
    return EmotionErrors(**{**parts, **changed})


def test_the_rate_is_the_four_parts_over_the_total():
    assert errors().errors == 10
    assert errors().eder == float(errors()) == 0.5
    assert EmotionErrors.zero().eder == 0.0


def test_sums_are_exact_beyond_what_floats_can_hold():
    """2**53 + 1 is no float: a corpus of any length still sums to the tick."""
    huge = EmotionErrors(
        false_alarm=2**53, missed_emotion=0, confusion=0, overlap=0, correct=0, total=2**53
    )
    one = EmotionErrors(false_alarm=1, missed_emotion=0, confusion=0, overlap=0, correct=0, total=1)
    assert (huge + one).false_alarm == 2**53 + 1
    assert (huge + one) + one == huge + (one + one) == one + huge + one


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"false_alarm": -1, "correct": 12}, "negative"),
        ({"total": 21}, "sum to 20"),
        ({"correct": 10.0}, "whole ticks"),
        ({"correct": np.int64(10)}, "whole ticks"),
        ({"correct": True, "total": 11}, "whole ticks"),
    ],
)
def test_impossible_errors_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        errors(**changed)


def test_errors_are_frozen_and_add_to_errors_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        errors().total = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        errors() + 1
    assert sum([errors(), errors()], EmotionErrors.zero()).total == 40
