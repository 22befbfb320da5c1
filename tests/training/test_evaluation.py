"""Judging: the confidence of every frame of speech against the reference, and where it is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from pathlib import Path  # noqa: E402

from sed.audio import Recording  # noqa: E402
from sed.formats import AnnotatedRecording  # noqa: E402
from sed.frames import FrameGrid  # noqa: E402
from sed.pipeline import Pipeline  # noqa: E402
from sed.scoring import calibration  # noqa: E402
from sed.training.evaluation import evaluate, frame_calibration  # noqa: E402
from sed.training.experiment import card_rows  # noqa: E402
from sed.vad import vad_named  # noqa: E402

CLASSES = ["happy", "neutral", "sad"]
STEP = 0.02
times = st.integers(0, 100).map(lambda hundredths: hundredths / 100 + 0.005)
stretches = st.lists(st.tuples(times, times), max_size=3).map(
    lambda pairs: [Segment(*sorted(pair)) for pair in pairs if pair[0] != pair[1]]
)


@given(stretches, stretches, stretches, st.integers(0, 2**32))
def test_frames_of_speech_count_by_the_emotion_at_their_centre(
    happy: list[Segment], surprised: list[Segment], speech: list[Segment], seed: int
) -> None:
    """Frame by frame; an emotion that the model does not know is never right."""
    scores = np.random.default_rng(seed).dirichlet(np.ones(3), size=60)
    said = Annotation()
    for label, segments in (("happy", happy), ("surprised", surprised)):
        for number, segment in enumerate(segments):
            said[segment, f"{label}{number}"] = label
    confidence, right = [], []
    for index, row in enumerate(scores):
        centre = (index + 0.5) * STEP
        if any(segment.start < centre < segment.end for segment in speech):
            true = {
                label for label in said.labels() if said.label_timeline(label).overlapping(centre)
            }
            confidence.append(row.max())
            right.append(CLASSES[row.argmax()] in (true or {"neutral"}))
    found = frame_calibration(
        FrameGrid(16_000, 320).feature(scores, CLASSES),
        Timeline(speech),
        AnnotatedRecording(said, duration=1.2),
    )
    assert found == calibration(np.array(confidence, dtype=float), np.array(right, dtype=bool))


def test_the_error_is_reported_beside_the_scores(tmp_path: Path) -> None:
    """Of recordings in which nobody is ever angry, whatever the model hears."""
    pipeline = Pipeline.from_pretrained("timnet-mfcc", vad=vad_named("none"), dtype="float32")
    judged = []
    for number in range(2):
        noise = np.random.default_rng(number).normal(0.0, 0.1, size=24_100 * (number + 1))
        recording = Recording.from_samples(noise.astype(np.float32), 16_000, uri=str(number))
        said = Annotation(uri=str(number))
        reference = AnnotatedRecording(said, duration=recording.duration)
        judged.append((recording, reference, "toy"))
    scored, found = evaluate(pipeline, judged, tmp_path, "a model")
    assert found.total == 76 + 151  # every frame that holds a sample
    assert len(scored.uris) == 2
    expected = []
    for recording, reference, _ in judged:
        told = {}
        pipeline(
            recording, hook=lambda step, artifact, told=told, **_: told.update({step: artifact})
        )
        expected.append(frame_calibration(told["emotions"], told["speech"], reference))
    assert found == expected[0] + expected[1]
    text = (tmp_path / "report.md").read_text()
    assert f"### Calibration error {100 * found.error:.2f} %" in text
    assert "| confidence" in text and "accuracy %" in text
    results = {"toy": {"recordings": 2, "calibration_error": found.error}}
    assert card_rows(results)[0]["calibration error"] == f"{100 * found.error:.1f} %"
