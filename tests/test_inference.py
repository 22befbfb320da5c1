"""Posteriors of a recording do not depend on how it is cut into windows, nor memory on length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from pyannote.core import Segment, Timeline
from tiny_model import tiny_model

from sed.audio import Recording
from sed.inference import Inference
from sed.segmentation import Segmentation

SAMPLE_RATE = 16_000


def bursts(rng: np.random.Generator, seconds: float) -> tuple[Recording, Timeline]:
    """Noise that comes and goes like speech, and when it is there."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    speech, time = Timeline(), 0.3
    while time < seconds:
        end = min(seconds, time + rng.uniform(0.4, 4.0))
        part = samples[round(time * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        part[:] = np.cumsum(rng.standard_normal(len(part))) % 1.0 * rng.uniform(0.01, 0.3)
        speech.add(Segment(time, end))
        time = end + rng.uniform(0.05, 2.0)
    return Recording.from_samples(samples, SAMPLE_RATE, uri="bursts"), speech


def posteriors(recording: Recording, speech: Timeline, max_duration: float) -> np.ndarray:
    windows = Segmentation(max_duration)(speech)
    return Inference(tiny_model())(recording, speech, windows).data


def test_windows_are_invisible(rng: np.random.Generator) -> None:
    """Three minutes in windows of 3 s, of 10 s, and in one piece."""
    recording, speech = bursts(rng, 180.0)
    whole = posteriors(recording, speech, 1_000.0)
    for max_duration in (3.0, 10.0):
        np.testing.assert_allclose(posteriors(recording, speech, max_duration), whole, atol=1e-5)
    assert len(set(whole.argmax(axis=1))) > 2  # not the same everywhere, which would prove nothing


def test_the_network_hears_speech_with_its_pauses_cut_out(rng: np.random.Generator) -> None:
    """As in one call of the model on nothing but the frames of speech."""
    recording, speech = bursts(rng, 40.0)
    model = tiny_model()
    grid = model.specifications.grid
    heard = grid.mask(speech, grid.num_frames(recording.num_samples(SAMPLE_RATE)))
    packed = recording.samples(SAMPLE_RATE).reshape(-1, grid.hop)[heard].reshape(1, -1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(packed))[0].numpy()
    found = posteriors(recording, speech, 5.0)
    np.testing.assert_allclose(found[heard], expected, atol=1e-5)


def test_silence_is_neutral_and_every_frame_sums_to_one(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 20.0)
    model = tiny_model()
    feature = Inference(model)(recording, speech, Segmentation(5.0)(speech))
    heard = model.specifications.grid.mask(speech, len(feature.data))
    neutral = feature.data[~heard]
    assert len(neutral) and (neutral == [1.0, 0.0, 0.0, 0.0]).all()
    np.testing.assert_allclose(feature.data.sum(axis=1), 1.0, atol=1e-5)
    assert feature.labels == list(model.specifications.classes)
    assert feature.sliding_window.step == feature.sliding_window.duration == 0.02


@pytest.mark.parametrize("num_samples", [1, 100, 319, 320, 321, 16_001, 16_319])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_any_length_has_a_posterior_for_every_frame(num_samples: int, sample_rate: int) -> None:
    """Shorter than a frame, and no whole number of frames."""
    recording = Recording.from_samples(np.full(num_samples, 0.1), sample_rate)
    everything = Timeline([Segment(0, recording.duration)])
    found = posteriors(recording, everything, 0.3)
    assert len(found) == -(-recording.num_samples(SAMPLE_RATE) // 320)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    if recording.duration > 1e-4:  # what is shorter is no segment in pyannote
        assert (found[:, 0] < 1.0).all()  # the last frame is heard, however little it holds


def test_a_recording_without_speech_is_not_computed(rng: np.random.Generator) -> None:
    recording, _ = bursts(rng, 2.0)
    assert (posteriors(recording, Timeline(), 5.0)[:, 0] == 1.0).all()


def test_progress_grows_to_the_end_of_speech(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 30.0)
    told: list[tuple[float, float]] = []

    def hook(step: str, artifact: object, *, completed: float, total: float) -> None:
        assert (step, artifact) == ("emotions", None)
        told.append((completed, total))

    Inference(tiny_model())(recording, speech, Segmentation(3.0)(speech), hook=hook)
    assert len(told) > 5
    assert [completed for completed, _ in told] == sorted(completed for completed, _ in told)
    assert {total for _, total in told} == {recording.duration}
    assert told[-1][0] == pytest.approx(speech.extent().end)


class Endless:
    """Blocks of a recording that is nowhere in memory."""

    def __init__(self, seconds: float) -> None:
        self.duration = seconds
        self._samples = np.random.default_rng(0).standard_normal(30 * SAMPLE_RATE) * 0.1

    def num_samples(self, sample_rate: int) -> int:
        return round(self.duration * sample_rate)

    def blocks(self, *, sample_rate: int, duration: float):
        for _ in range(round(self.duration / duration)):
            yield self._samples.astype(np.float32)


def peak(seconds: float) -> int:
    """Most bytes that Python and numpy hold at once, scores of frames aside."""
    recording = Endless(seconds)
    speech = Timeline([Segment(0, seconds)])
    windows = Segmentation(5.0)(speech)
    inference = Inference(tiny_model())
    tracemalloc.start()
    try:
        scores = inference(recording, speech, windows).data
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    frames = len(scores) * (scores.itemsize * scores.shape[1] + 8 + 1)  # posteriors, index, mask
    return most - frames


def test_memory_does_not_grow_with_the_recording() -> None:
    assert peak(480.0) < 1.1 * peak(120.0)
