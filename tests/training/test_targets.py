"""What a model shall say: the class that lasts longest, also where speech is slower or faster."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from torch.nn.utils.rnn import pad_sequence

from sed.frames import FrameGrid
from sed.training.targets import frame_targets, stretch

CLASSES = ["happy", "neutral", "sad"]
GRID = FrameGrid(16_000, 320)


@settings(deadline=None)  # a busy machine
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


@settings(deadline=None)  # a busy machine
@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.floats(1.01, 2.0))
def test_stretched_targets_stay_with_their_features(lengths: list[int], factor: float) -> None:
    """Each feature is its frame's number, and so is each target; padding is neither."""
    numbers = [torch.arange(length) for length in lengths]
    features = pad_sequence([row[:, None].float() for row in numbers], batch_first=True)
    targets = pad_sequence(numbers, batch_first=True, padding_value=-1)
    features[targets == -1] = 1e6
    stretched, labels, counts = stretch(features, targets, torch.tensor(lengths), factor)
    assert stretched.shape == (*labels.shape, 1) == (len(lengths), int(counts.max()), 1)
    for row, label, count, length in zip(stretched, labels, counts.tolist(), lengths, strict=True):
        assert max(1, round(length / factor)) <= count <= round(length * factor)
        assert float((row[:count, 0] - label[:count]).abs().max()) <= 0.5 + 1e-4
        assert bool((label[:count].diff() >= 0).all())
        assert not row[count:].any() and bool((label[count:] == -1).all())


def test_a_stretch_by_one_changes_nothing() -> None:
    features, targets = torch.randn(2, 9, 4), torch.arange(18).reshape(2, 9)
    lengths = torch.tensor([9, 9])
    same_features, same_targets, same_lengths = stretch(features, targets, lengths, 1.0)
    torch.testing.assert_close(same_features, features)
    assert torch.equal(same_targets, targets) and torch.equal(same_lengths, lengths)


def test_speech_is_slower_as_often_as_faster() -> None:
    """Each sequence of a batch in its own way, from one bound to the other."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        num_frames = torch.full((500,), 1000)
        features, targets = torch.zeros(500, 1000, 1), torch.zeros(500, 1000, dtype=torch.long)
        changes = (stretch(features, targets, num_frames, 1.25)[2] / 1000).log() / np.log(1.25)
    assert float(changes.min()) < -0.98 and float(changes.max()) > 0.98
    assert float(changes.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(changes.std()) == pytest.approx(1 / np.sqrt(3), rel=0.1)  # even odds
