"""Scores against values that scikit-learn, SpeechBrain and pyannote.metrics gave."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment

from sed.formats import AnnotatedRecording
from sed.scoring import Score, score

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads((GOLDEN / "scoring.json").read_text(encoding="utf-8"))


def recordings(golden: dict, side: str) -> list[AnnotatedRecording]:
    made = []
    for uri, entry in golden["recordings"].items():
        annotation = Annotation(uri=uri)
        for onset, offset, emotion in entry[side]:
            annotation[Segment(onset, offset), emotion] = emotion
        made.append(AnnotatedRecording(annotation, duration=entry["duration"]))
    return made


@pytest.fixture(scope="module")
def found(golden: dict) -> Score:
    return score(recordings(golden, "reference"), recordings(golden, "hypothesis"))


def test_parts_of_each_recording(golden: dict, found: Score):
    for uri, errors in zip(found.uris, found.errors, strict=True):
        expected = golden["recordings"][uri]
        parts = (errors.false_alarm, errors.missed_emotion, errors.confusion, errors.overlap)
        assert parts == tuple(round(part * 1e6) for part in expected["parts"]), uri
        assert errors.eder == pytest.approx(expected["eder"], abs=1e-11), uri
        if expected["speechbrain"] is not None:
            assert errors.eder == pytest.approx(expected["speechbrain"], abs=1e-9), uri


def test_totals_and_accuracies(golden: dict, found: Score):
    assert found.macro == pytest.approx(golden["macro"], abs=1e-11)
    assert found.pooled.eder == pytest.approx(golden["pooled"], abs=1e-11)
    assert (found.war, found.uar) == pytest.approx((golden["war"], golden["uar"]))


def test_confusion_matrix(golden: dict, found: Score):
    matrix = found.confusion()
    assert list(matrix.labels) == golden["confusion"]["labels"]
    assert np.array_equal(matrix.ticks, np.array(golden["confusion"]["milliseconds"]) * 1000)


def test_precision_recall_and_f1_of_each_emotion(golden: dict, found: Score):
    by_name = {detection.emotion: detection for detection in found.detections()}
    for emotion, expected in golden["emotions"].items():
        detection = by_name[emotion]
        ours = (detection.precision, detection.recall, detection.f1)
        assert ours == pytest.approx(expected, abs=1e-12), emotion


def test_the_script_still_makes_the_golden_file(golden: dict):
    """Whoever changes a recording there sees it here."""
    spec = importlib.util.spec_from_file_location("make_scoring", GOLDEN / "make_scoring.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = json.loads(json.dumps(script.make()))
    for content in (made, golden):
        content.pop("made_with", None)
    assert made["recordings"] == golden["recordings"]
    assert made["confusion"] == golden["confusion"]
    assert made["emotions"] == golden["emotions"]
    assert (made["macro"], made["uar"]) == pytest.approx((golden["macro"], golden["uar"]))
