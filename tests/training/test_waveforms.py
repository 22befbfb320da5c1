"""Training examples: waveform and targets of the same cells, the same in every run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pyannote.core import Annotation, Segment

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from tiny_training import CLASSES, tiny_simulation, untrained  # noqa: E402

from sed.corpora.augmentation import Augmentation  # noqa: E402
from sed.corpora.simulation import SimulatedRecording  # noqa: E402
from sed.frontends import MFCC  # noqa: E402
from sed.training.waveforms import Augment, SimulatedWaveforms, Waveforms  # noqa: E402

SPECIFICATIONS = untrained("cepstra").specifications


def examples_of(seed: int = 0, augmentation: Augment | None = None) -> SimulatedWaveforms:
    return SimulatedWaveforms(
        tiny_simulation(0.75), SPECIFICATIONS, seed=seed, augmentation=augmentation
    )


def test_the_example_at_an_index_is_always_the_same() -> None:
    one, other = (examples_of(augmentation=Augmentation(speed=1.1)) for _ in range(2))
    for index in (5, 0, 5):  # in any order
        expected, found = one[index], other[index]
        assert torch.equal(found.waveforms, expected.waveforms)
        assert torch.equal(found.targets, expected.targets)
        assert found.references == expected.references
    assert not torch.equal(one[1].waveforms[:9000], one[2].waveforms[:9000])
    assert not torch.equal(one[1].waveforms[:9000], examples_of(seed=1)[1].waveforms[:9000])


def test_an_example_is_the_recording_with_its_targets() -> None:
    examples = examples_of(seed=3)
    for index in range(6):
        recording = examples.simulation.draw(np.random.default_rng((3, index)))
        example = examples[index]
        assert torch.equal(example.waveforms, torch.from_numpy(recording.samples))
        assert example.references == [recording.annotation]
        for cell, target in enumerate(example.targets):  # clips are 37.5 cells long
            middle = Segment(0.02 * cell + 0.009, 0.02 * cell + 0.0095)
            said = recording.annotation.crop(middle).labels() or ["neutral"]
            assert said == [CLASSES[target]]


def test_an_examples_length_is_known_before_it_is_made() -> None:
    for examples in (examples_of(), examples_of(augmentation=Augmentation(speed=1.5))):
        plain = examples_of()
        for index in range(8):
            assert examples.length_of(index) == len(plain[index].waveforms)


def test_a_fixed_set_is_never_augmented() -> None:
    augmented = examples_of(seed=2, augmentation=Augmentation(speed=1.5))
    for index in range(4):
        recording = augmented.simulation.numbered(index, 2)
        found = augmented.numbered(index)
        assert torch.equal(found.waveforms, torch.from_numpy(recording.samples))
        assert found.references[0].uri == recording.annotation.uri


def test_targets_are_as_many_as_the_cells_of_what_is_heard() -> None:
    augmented = examples_of(seed=4, augmentation=Augmentation(speed=1.3))
    for index in range(6):
        example = augmented[index]
        assert len(example.targets) == SPECIFICATIONS.grid.num_frames(len(example.waveforms))
        assert example.lengths.tolist() == [len(example.waveforms)]
        assert example.waveforms.dtype == torch.float32


def slower(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Two thirds of the speed."""
    at = np.arange(0, len(samples) - 1, 2 / 3)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


SPEED_ALONE = Augmentation(
    noise_probability=0.0, colour=0.0, telephone_probability=0.0, gain=(0.0, 0.0), speed=1.5
)


@pytest.mark.parametrize("augmentation", [slower, SPEED_ALONE])
def test_targets_follow_a_recording_that_is_sped_up(augmentation: Augment) -> None:
    """The boundary of the targets stands where the features jump from tone to tone."""
    time = np.arange(24_000) / 16_000
    tones = np.sin(2 * np.pi * np.where(time < 0.5, 300, 2000) * time).astype(np.float32)
    annotation = Annotation()
    annotation[Segment(0.5, 1.5)] = "happy"
    recording = SimulatedRecording(tones, 16_000, annotation, "toy", "a", "NE")
    examples = examples_of(augmentation=augmentation)
    cepstra = MFCC(sample_rate=16_000, hop=320, window_length=512, fft_size=512)
    lengths = set()
    for seed in range(8):
        example = examples.example(recording, np.random.default_rng(seed))
        features = cepstra(example.waveforms[None])[0]
        assert len(example.targets) == len(features)
        lengths.add(len(features))
        jumps = features.diff(dim=0).abs().sum(dim=1)[3:-3]  # not those of the ends
        jump = int(jumps.argmax()) + 3 + 1
        [boundary] = (example.targets.diff() != 0).nonzero().flatten().tolist()
        assert abs(boundary + 1 - jump) <= 2
        assert example.targets[0] == 0 and example.targets[-1] == 1
    assert len(lengths) > 1 or (augmentation, lengths) == (slower, {113})


def test_padding_is_no_class() -> None:
    examples = [
        Waveforms(
            torch.ones(320 * cells),
            torch.full((cells,), index),
            torch.tensor([320 * cells]),
            [Annotation(uri=str(index))],
        )
        for index, cells in enumerate((3, 5, 1))
    ]
    batch = Waveforms.batch(examples)
    assert batch.lengths.tolist() == [960, 1600, 320]
    assert batch.waveforms.shape == (3, 1600)
    assert batch.waveforms.sum(dim=1).tolist() == [960, 1600, 320]
    assert batch.targets.tolist() == [[0, 0, 0, -1, -1], [1] * 5, [2, -1, -1, -1, -1]]
    assert [reference.uri for reference in batch.references] == ["0", "1", "2"]
    copy = batch.to("cpu")
    assert torch.equal(copy.targets, batch.targets) and copy.references == batch.references
