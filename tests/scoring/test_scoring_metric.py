"""The metric in pyannote.metrics' manner: same calls, our rules."""

from __future__ import annotations

import math

import pytest
from pyannote.core import Annotation, Segment, Timeline
from scoring_cases import annotation

from sed.scoring import EmotionDiarizationErrorRate, EmotionErrors


@pytest.fixture
def metric() -> EmotionDiarizationErrorRate:
    metric = EmotionDiarizationErrorRate()
    metric(annotation([(0, 10, "happy")], "a"), annotation([(0, 5, "happy")], "a"), duration=1.0)
    metric(annotation([(0, 10, "sad")], "b"), annotation([(0, 10, "sad")], "b"), duration=9.0)
    return metric


def test_abs_is_the_pooled_rate_and_macro_the_mean(metric):
    assert abs(metric) == 0.05
    assert metric.macro == 0.25
    assert metric["missed_emotion"] == 500_000
    assert [(uri, errors.eder) for uri, errors in metric] == [("a", 0.5), ("b", 0.0)]


def test_the_report_ends_with_both_totals(metric):
    lines = str(metric.report()).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["a", "b", "pooled", "macro"]
    assert lines[4].split("|")[2].strip() == "5.00"
    assert lines[5].split("|")[2].strip() == "25.00"


def test_reset_forgets_all_files(metric):
    metric.reset()
    assert (len(metric), metric.total) == (0, EmotionErrors.zero())
    assert math.isnan(metric.macro)


def test_settings_reach_the_error_rate():
    metric = EmotionDiarizationErrorRate(collar=0.1, labels={"joie": "happy"})
    said, heard = annotation([(10, 10, "joie")]), Annotation()
    detailed = metric(said, heard, uem=Timeline([Segment(0, 3)]), detailed=True)
    assert detailed.missed_emotion == 800_000
    assert detailed.total == 2_600_000


def test_a_part_that_does_not_exist_lists_those_that_do(metric):
    with pytest.raises(KeyError, match="missed_emotion"):
        metric["miss"]


def test_files_without_scored_time_are_not_in_the_macro_mean(metric):
    metric(Annotation(uri="c"), Annotation(uri="c"))
    assert (len(metric), metric.macro) == (3, 0.25)
