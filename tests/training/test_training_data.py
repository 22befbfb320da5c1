"""Training examples: features and targets of the same frames, the same in every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment

from sed.corpora import Utterance
from sed.corpora.augmentation import Augmentation
from sed.corpora.simulation import Clip, SimulatedRecording, Simulation
from sed.frames import FrameGrid
from sed.frontends import MFCC, SlidingNormalization
from sed.training.data import (
    Augment,
    EpochSampler,
    Example,
    SimulatedExamples,
    frame_targets,
    stretch,
)

CLASSES = ["happy", "neutral", "sad"]
GRID = FrameGrid(16_000, 320)


@given(st.lists(st.tuples(st.integers(1, 900), st.sampled_from(CLASSES)), min_size=1, max_size=8))
def test_a_frame_has_the_class_that_lasts_longest_in_it(stretches: list[tuple[int, str]]) -> None:
    """Counted sample by sample, the last and perhaps partial frame included."""
    annotation, samples = Annotation(), []
    for track, (length, emotion) in enumerate(stretches):
        start = len(samples)
        samples += [CLASSES.index(emotion)] * length
        if emotion != "neutral":
            segment = Segment(start / 16_000, len(samples) / 16_000)
            annotation[segment, track] = emotion
    found = frame_targets(annotation, GRID, len(samples), CLASSES, CLASSES.index("neutral"))
    assert len(found) == GRID.num_frames(len(samples))
    for frame, target in enumerate(found):
        counts = np.bincount(samples[frame * 320 : (frame + 1) * 320], minlength=len(CLASSES))
        assert counts[target] == counts.max()


def test_a_boundary_within_a_frame_goes_to_the_larger_part() -> None:
    annotation = Annotation()
    annotation[Segment(0.030, 0.0699)] = "happy"  # half of frame 1, all but 2 samples of frame 3
    annotation[Segment(0.091, 0.100)] = "sad"  # less than half of frame 4
    targets = frame_targets(annotation, GRID, 1600, CLASSES, 1)
    assert targets[2:].tolist() == [0, 1, 1]


@given(st.integers(1, 50), st.integers(1, 80))
def test_stretched_targets_stay_with_their_features(num_frames: int, longer: int) -> None:
    """Each feature is its frame's number, and so is each target."""
    targets = torch.arange(num_frames)
    features, stretched = stretch(targets[None, :, None].float(), targets, longer)
    assert features.shape == (1, longer, 1) and stretched.shape == (longer,)
    assert float((features[0, :, 0] - stretched).abs().max()) <= 0.5 + 1e-4
    assert bool((stretched.diff() >= 0).all())


def test_a_stretch_to_the_same_length_changes_nothing() -> None:
    features, targets = torch.randn(1, 9, 4), torch.arange(9)
    same_features, same_targets = stretch(features, targets, 9)
    torch.testing.assert_close(same_features, features)
    assert torch.equal(same_targets, targets)


def test_padding_is_no_class() -> None:
    examples = [
        Example(torch.ones(length, 2), torch.full((length,), index))
        for index, length in enumerate((3, 5, 1))
    ]
    batch = Example.batch(examples)
    assert batch.lengths is not None and batch.lengths.tolist() == [3, 5, 1]
    assert batch.features.shape == (3, 5, 2)
    assert batch.targets.tolist() == [[0, 0, 0, -1, -1], [1] * 5, [2, -1, -1, -1, -1]]
    copy = batch.to("cpu")
    assert copy.lengths is not None and torch.equal(copy.targets, batch.targets)
    assert examples[0].to("cpu").lengths is None


def test_no_epoch_sees_an_example_of_another() -> None:
    sampler = EpochSampler(4)
    seen = []
    for epoch in (1, 2, 3):
        sampler.epoch = epoch
        assert len(list(sampler)) == len(sampler) == 4
        seen += list(sampler)
    assert len(set(seen)) == 12
    sampler.epoch = 2  # resumed
    assert list(sampler) == seen[4:8]


@pytest.fixture
def simulation(rng: np.random.Generator) -> Simulation:
    """Noise for neutral, a low and a high tone for the emotions."""
    time = np.arange(12_000) / 16_000
    clips = [
        Clip(Utterance(emotion, Path(f"{emotion}.wav"), "a", "toy", emotion), samples)
        for emotion, samples in {
            "neutral": (0.05 * rng.standard_normal(12_000)).astype(np.float32),
            "happy": (0.05 * np.sin(2 * np.pi * 300 * time)).astype(np.float32),
            "sad": (0.05 * np.sin(2 * np.pi * 2000 * time)).astype(np.float32),
        }.items()
    ]
    return Simulation(clips, classes=CLASSES, sample_rate=16_000)


def examples_of(
    simulation: Simulation,
    seed: int = 0,
    augmentation: Augment | None = None,
    tempo: float = 1.0,
) -> SimulatedExamples:
    return SimulatedExamples(
        simulation,
        frontend=MFCC(sample_rate=16_000, hop=320, window_length=512, fft_size=512),
        normalization=SlidingNormalization(500),
        grid=GRID,
        classes=CLASSES,
        neutral=1,
        seed=seed,
        augmentation=augmentation,
        tempo=tempo,
    )


def test_the_example_at_an_index_is_always_the_same(simulation: Simulation) -> None:
    augmentation = Augmentation(speed=1.1)
    one, other = (examples_of(simulation, augmentation=augmentation, tempo=1.2) for _ in range(2))
    for index in (5, 0, 5):  # in any order
        expected, found = one[index], other[index]
        assert torch.equal(found.features, expected.features)
        assert torch.equal(found.targets, expected.targets)
    assert not torch.equal(one[1].features[:20], one[2].features[:20])
    assert not torch.equal(one[1].features[:20], examples_of(simulation, seed=1)[1].features[:20])


def test_an_example_has_the_features_of_the_recording(simulation: Simulation) -> None:
    examples = examples_of(simulation)
    recording = simulation.draw(np.random.default_rng(1))
    example = examples.example(recording, np.random.default_rng(1))
    waveform = torch.from_numpy(recording.samples)[None]
    expected = examples.normalization(examples.frontend(waveform))[0]
    assert torch.equal(example.features, expected) and not example.features.requires_grad
    assert len(example.targets) == len(example.features)


def slower(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Two thirds of the speed."""
    at = np.arange(0, len(samples) - 1, 2 / 3)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


SPEED_ALONE = Augmentation(
    noise_probability=0.0, colour=0.0, telephone_probability=0.0, gain=(0.0, 0.0), speed=1.5
)


@pytest.mark.parametrize("augmentation", [slower, SPEED_ALONE])
@pytest.mark.parametrize("tempo", [1.0, 1.5])
def test_targets_follow_a_recording_that_is_sped_up(
    simulation: Simulation, augmentation: Augment, tempo: float
) -> None:
    """The boundary of the targets stands where the features jump from tone to tone."""
    time = np.arange(24_000) / 16_000
    tones = np.sin(2 * np.pi * np.where(time < 0.5, 300, 2000) * time).astype(np.float32)
    annotation = Annotation()
    annotation[Segment(0.5, 1.5)] = "happy"
    recording = SimulatedRecording(tones, 16_000, annotation, "toy", "a", "NE")
    examples = examples_of(simulation, augmentation=augmentation, tempo=tempo)
    lengths = set()
    for seed in range(8):
        example = examples.example(recording, np.random.default_rng(seed))
        assert len(example.targets) == len(example.features)
        lengths.add(len(example.targets))
        jumps = example.features.diff(dim=0).abs().sum(dim=1)[3:-3]  # not those of the ends
        jump = int(jumps.argmax()) + 3 + 1
        [boundary] = (example.targets.diff() != 0).nonzero().flatten().tolist()
        assert abs(boundary + 1 - jump) <= 2
        assert example.targets[0] == 1 and example.targets[-1] == 0
    assert len(lengths) > 1 or (augmentation, tempo, lengths) == (slower, 1.0, {113})
