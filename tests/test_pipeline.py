"""From a recording to an annotation: the stages, their order and what they tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, SlidingWindowFeature, Timeline
from tiny_model import tiny_model

from sed.audio import Recording
from sed.decoding import Binarize, Decoding
from sed.inference import Inference
from sed.labels import Emotion
from sed.pipeline import Pipeline
from sed.segmentation import Segmentation
from sed.vad import Energy, Everything

LIVELY = Decoding(switch_penalty=0.0, min_duration_on=0.1)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The tiny model on all of a recording, in windows of a second."""
    return Pipeline(Inference(tiny_model()), Segmentation(1.0), vad=Everything(), decoding=LIVELY)


@pytest.fixture
def samples(rng: np.random.Generator) -> np.ndarray:
    """(num_channels, num_samples) chords at 16 kHz, new ones five times a second."""
    pitches = np.repeat(rng.uniform(0.02, 0.6, (2, 8, 20)), 3_200, axis=2)
    return (0.05 * np.sin(np.cumsum(pitches, axis=2)).sum(axis=1)).astype(np.float32)


def rows(annotation: Annotation) -> list[tuple[float, float, str]]:
    return [
        (segment.start, segment.end, str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]


def test_a_path_a_name_and_a_recording_are_the_same(
    pipeline: Pipeline, samples: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, samples.T, 16_000, subtype="FLOAT")
    expected = pipeline(Recording.from_samples(samples, 16_000, uri="call"))
    assert len(expected) > 3
    for source in (path, str(path), Recording.open(path)):
        annotation = pipeline(source)
        assert annotation.uri == "call"
        assert rows(annotation) == rows(expected)


def test_labels_are_emotions_that_know_their_confidence(
    pipeline: Pipeline, samples: np.ndarray
) -> None:
    annotation = pipeline(Recording.from_samples(samples, 16_000))
    for _, _, label in annotation.itertracks(yield_label=True):
        assert isinstance(label, Emotion)
        assert label in {"happy", "sad", "angry"}
        assert 0.25 <= label.confidence <= 1.0


def test_a_channel_of_a_call_is_diarized_as_if_alone(
    pipeline: Pipeline, samples: np.ndarray
) -> None:
    call = Recording.from_samples(samples, 16_000)
    for side, alone in zip(call.split(), samples, strict=True):
        expected = pipeline(Recording.from_samples(alone, 16_000))
        assert rows(pipeline(side)) == rows(expected)
    assert rows(pipeline(call.split()[0])) != rows(pipeline(call.split()[1]))


@pytest.mark.parametrize("num_samples", [1, 100, 319, 320, 321, 5_000, 16_001])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("with_neutral", [True, False])
def test_segments_end_with_the_recording(
    samples: np.ndarray, num_samples: int, sample_rate: int, with_neutral: bool
) -> None:
    """A recording shorter than a frame, and one that is no whole number of them."""
    decoding = Decoding(min_duration_on=0.0, with_neutral=with_neutral)
    pipeline = Pipeline(
        Inference(tiny_model()), Segmentation(1.0), vad=Everything(), decoding=decoding
    )
    recording = Recording.from_samples(samples[0, :num_samples], sample_rate)
    found = sorted(rows(pipeline(recording)))
    for start, end, _ in found:
        assert 0.0 <= start < end <= recording.duration
    if with_neutral and recording.duration > 1e-4:  # what is shorter has no segment in pyannote
        assert found[0][0] == 0.0
        assert found[-1][1] == recording.duration


def test_silence_has_no_emotion(pipeline: Pipeline) -> None:
    silence = Recording.from_samples(np.zeros(32_000), 16_000)
    quiet = Pipeline(pipeline.inference, pipeline.segmentation, vad=Energy(), decoding=LIVELY)
    assert len(quiet(silence)) == 0


def test_the_hook_hears_every_stage_in_order(pipeline: Pipeline, samples: np.ndarray) -> None:
    told: list[tuple[str, object, float | None, float | None]] = []

    def hook(
        step: str,
        artifact: object,
        *,
        completed: float | None = None,
        total: float | None = None,
    ) -> None:
        told.append((step, artifact, completed, total))

    recording = Recording.from_samples(samples, 16_000)
    annotation = pipeline(recording, hook=hook)
    artifacts = [(step, type(artifact)) for step, artifact, _, _ in told if artifact is not None]
    assert artifacts == [
        ("speech", Timeline),
        ("emotions", SlidingWindowFeature),
        ("segments", Annotation),
    ]
    assert told[-1][1] is annotation
    steps = [step for step, _, _, _ in told]
    assert steps == sorted(steps, key=["speech", "emotions", "segments"].index)
    for name in ("speech", "emotions"):
        progress = [(done, total) for step, _, done, total in told if step == name and done]
        assert progress == sorted(progress)
        assert all(done <= total == recording.duration for done, total in progress)
        assert progress[-1][0] == pytest.approx(recording.duration)


def test_the_front_end_is_a_chain_applied_in_order(samples: np.ndarray) -> None:
    """Each stage takes a recording and gives one, before the VAD hears it."""
    calls: list[str] = []

    def first(recording: Recording) -> Recording:
        calls.append("first")
        return recording.split()[1]

    def second(recording: Recording) -> Recording:
        calls.append(f"second on channel {recording.channel}")
        return recording.through(lambda blocks, sample_rate: (0.5 * block for block in blocks))

    heard: list[float] = []

    def vad(recording: Recording, *, hook: object = None) -> SlidingWindowFeature:
        heard.append(float(np.abs(recording.samples(16_000)).max()))
        return Everything()(recording, hook=hook)

    inference, segmentation = Inference(tiny_model()), Segmentation(1.0)
    chained = Pipeline(inference, segmentation, vad, decoding=LIVELY, front_end=(first, second))
    recording = Recording.from_samples(samples, 16_000)
    found = chained(recording)
    assert calls == ["first", "second on channel 2"]
    assert heard == [pytest.approx(0.5 * np.abs(samples[1]).max(), rel=1e-5)]
    alone = Pipeline(inference, segmentation, Everything(), decoding=LIVELY)
    expected = alone(Recording.from_samples(0.5 * samples[1], 16_000))
    assert rows(found) == rows(expected)


def test_a_model_brings_its_window_and_its_decoding(tmp_path: Path) -> None:
    tiny_model(window=7.0).save_pretrained(tmp_path, decoding={"min_duration_on": 0.7})
    pipeline = Pipeline.from_pretrained(tmp_path)
    assert pipeline.segmentation == Segmentation(7.0)
    assert pipeline.decoding == Decoding(min_duration_on=0.7)
    changed = Pipeline.from_pretrained(tmp_path, decoding={"threshold": 0.4}, vad=Energy())
    assert changed.decoding == Decoding(min_duration_on=0.7, threshold=0.4)
    assert changed.vad == Energy()
    replaced = Pipeline.from_pretrained(tmp_path, decoding=Decoding(), binarize=Binarize(pad=0.0))
    assert replaced.decoding == Decoding()
    assert replaced.binarize.pad == 0.0


def test_what_does_not_exist_is_named(tmp_path: Path, pipeline: Pipeline) -> None:
    with pytest.raises(ValueError, match="no model 'timnet'"):
        Pipeline.from_pretrained("timnet")
    tiny_model().save_pretrained(tmp_path, decoding={"treshold": 0.5})
    with pytest.raises(ValueError, match=r"config\.json describes no decoding: .*treshold"):
        Pipeline.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
        pipeline("missing.wav")
    with pytest.raises(ValueError, match="'bored'; the model knows neutral, happy, sad, angry"):
        Pipeline(
            pipeline.inference, pipeline.segmentation, decoding=Decoding(threshold={"bored": 0.5})
        )
