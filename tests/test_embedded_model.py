"""The embedded model is what its card says, and its timelines of real calls are sane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Timeline

from sed.audio import Recording
from sed.corpora import Corpus
from sed.corpora.simulation import Simulation, load_clips
from sed.decoding import Binarize
from sed.hub import PRETRAINED, WEIGHTS, embedded_models
from sed.pipeline import DEFAULT_MODEL, Pipeline
from sed.scoring import eder
from sed.vad import Silero

TEST_SPEAKERS = {
    "emodb": {"15", "16"},
    "emovo": {"f3", "m3"},
    "ravdess": {"21", "22", "23", "24"},
}
SAMPLE_RATE = 16_000


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.from_pretrained(DEFAULT_MODEL)


def test_every_embedded_model_is_small_and_has_a_card() -> None:
    assert DEFAULT_MODEL in embedded_models()
    for name in embedded_models():
        folder = PRETRAINED / name
        assert (folder / WEIGHTS).stat().st_size < 2 * 2**20
        card = (folder / "README.md").read_text(encoding="utf-8")
        for part in ("Intended use", "licence", "Limits", "EDER"):
            assert part in card


def test_emotions_of_unseen_speakers_are_found(pipeline: Pipeline, shared: Path) -> None:
    """On 90 recordings simulated from the test speakers, where saying nothing scores 0.6."""
    classes = pipeline.inference.model.specifications.classes
    said = [
        utterance
        for name, speakers in TEST_SPEAKERS.items()
        for utterance in Corpus.named(name).utterances(shared / "corpora" / name)
        if utterance.speaker in speakers and utterance.emotion in classes
    ]
    clips = load_clips(said, vad=Silero(), binarize=Binarize(), sample_rate=SAMPLE_RATE)
    simulation = Simulation(clips, classes=classes, sample_rate=SAMPLE_RATE)
    rates, nothing = [], []
    for recording in simulation.draw_set(90, seed=7):
        source = Recording.from_samples(recording.samples, SAMPLE_RATE)
        options = {"duration": recording.duration}
        rates.append(eder(recording.annotation, pipeline(source), **options).eder)
        nothing.append(eder(recording.annotation, recording.annotation.empty(), **options).eder)
    assert np.mean(nothing) > 0.55
    assert np.mean(rates) < 0.32


@pytest.mark.parametrize(
    "name",
    [
        "aws_call_center/Auto_Repairs_40_UTC_caller.flac",
        "google_speech_samples/commercial_mono.flac",
        "ami_pyannote_debug/trn00.flac",
    ],
)
def test_timelines_of_real_calls_do_not_flicker(
    pipeline: Pipeline, shared: Path, name: str
) -> None:
    """Emotions last a second at least, begin and end in speech, and are not all there is."""
    recording = Recording.open(shared / "corpora" / "conversational" / name)
    artifacts = {}
    annotation = pipeline(
        recording, hook=lambda step, artifact, **_: artifacts.setdefault(step, []).append(artifact)
    )
    [speech] = [artifact for artifact in artifacts["speech"] if isinstance(artifact, Timeline)]
    emotional = annotation.get_timeline()
    assert all(segment.duration > 0.99 for segment in emotional)
    for segment in emotional:
        assert speech.crop(segment).duration() > 0.0
        pauses = speech.gaps(support=segment)
        assert all(pause.duration < 0.55 for pause in pauses)
    assert emotional.duration() < 0.6 * speech.duration()
