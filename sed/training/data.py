"""Training examples: features and frame labels of recordings simulated on the fly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pyannote.core import Annotation
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sed.corpora.simulation import SimulatedRecording, Simulation
from sed.frames import FrameGrid

Augment = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass
class Example:
    """Features and class indices of one recording, or of several, padded behind their ends.

    Parameters
    ----------
    features : (num_frames, num_features) or (batch, num_frames, num_features) Tensor
    targets : (num_frames,) or (batch, num_frames) Tensor of int
        -1 where there is padding.
    lengths : (batch,) Tensor of int, optional
    """

    features: Tensor
    targets: Tensor
    lengths: Tensor | None = None

    def to(self, device: str | torch.device) -> Example:
        """Copy on a device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Example(self.features.to(device), self.targets.to(device), lengths)

    @classmethod
    def batch(cls, examples: Sequence[Example]) -> Example:
        """Examples side by side; the padding never reaches network or loss."""
        return cls(
            torch.nn.utils.rnn.pad_sequence([e.features for e in examples], batch_first=True),
            torch.nn.utils.rnn.pad_sequence(
                [e.targets for e in examples], batch_first=True, padding_value=-1
            ),
            torch.tensor([len(e.targets) for e in examples]),
        )


def frame_targets(
    annotation: Annotation, grid: FrameGrid, num_samples: int, classes: Sequence[str], neutral: int
) -> np.ndarray:
    """Class of every frame: what lasts longest in it (Wang et al. 2023, section 5.2).

    ::

        emotion            |==== happy ====|
        frames     |-------|----|----|----|-------|     boundaries inside a frame: more than half
        targets     n    n   h    h    h    n   n       of it decides

    Parameters
    ----------
    annotation : Annotation
    grid : FrameGrid
    num_samples : int
    classes : sequence of str
    neutral : int
        Index of the neutral class.

    Returns
    -------
    (num_frames,) np.ndarray of int
    """
    num_frames = grid.num_frames(num_samples)
    samples_of = np.zeros((num_frames, len(classes)), dtype=np.int64)
    edges = np.arange(num_frames) * grid.hop
    ends = np.minimum(edges + grid.hop, num_samples)
    for segment, _, label in annotation.itertracks(yield_label=True):
        start = round(segment.start * grid.sample_rate)
        end = round(segment.end * grid.sample_rate)
        covered = np.minimum(ends, end) - np.maximum(edges, start)
        samples_of[:, classes.index(label)] += np.maximum(covered, 0)
    samples_of[:, neutral] += (ends - edges) - samples_of.sum(axis=1)
    return samples_of.argmax(axis=1)


class SimulatedExamples(Dataset[Example]):
    """Endless examples; the one at an index is always the same.

    Parameters
    ----------
    simulation : Simulation
    frontend : callable
        (1, num_samples) waveform to (1, num_frames, num_features) features.
    normalization : callable
        Features to normalised features of the same shape.
    grid : FrameGrid
    classes : sequence of str
    neutral : int
    seed : int
    augmentation : callable, optional
        Changes the waveform; none for validation.
    tempo : float
        Largest factor by which a recording is slowed down or sped up.
    """

    def __init__(
        self,
        simulation: Simulation,
        *,
        frontend: Callable[[Tensor], Tensor],
        normalization: Callable[[Tensor], Tensor],
        grid: FrameGrid,
        classes: Sequence[str],
        neutral: int,
        seed: int,
        augmentation: Augment | None = None,
        tempo: float = 1.0,
    ) -> None:
        self.simulation, self.augmentation = simulation, augmentation
        self.frontend, self.normalization = frontend, normalization
        self.grid, self.classes, self.neutral = grid, list(classes), neutral
        self.seed, self.tempo = seed, tempo

    def __getitem__(self, index: int) -> Example:
        """Example of an index."""
        rng = np.random.default_rng((self.seed, index))
        return self.example(self.simulation.draw(rng), rng)

    @torch.no_grad()
    def example(self, recording: SimulatedRecording, rng: np.random.Generator) -> Example:
        """Features and targets of a recording."""
        samples = recording.samples
        if self.augmentation is not None:
            samples = self.augmentation(samples, recording.sample_rate, rng)
        features = self.frontend(torch.from_numpy(samples)[None])
        targets = torch.from_numpy(
            frame_targets(
                recording.annotation, self.grid, len(recording.samples), self.classes, self.neutral
            )
        )
        if self.augmentation is not None:
            tempo = self.tempo ** rng.uniform(-1.0, 1.0)
            features, targets = stretch(features, targets, round(features.shape[1] * tempo))
        return Example(self.normalization(features)[0], targets)


def stretch(features: Tensor, targets: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
    """Features and targets of the same speech, both `num_frames` long.

    Parameters
    ----------
    features : (1, any, num_features) Tensor
    targets : (any,) Tensor
    num_frames : int
    """
    resized = torch.nn.functional.interpolate(
        features.transpose(1, 2), size=num_frames, mode="linear"
    )
    position = (torch.arange(num_frames) + 0.5) * (len(targets) / num_frames)
    return resized.transpose(1, 2), targets[position.long().clamp(max=len(targets) - 1)]


class EpochSampler(Sampler[int]):
    """Indices of one epoch after the other, so that no epoch sees an example twice.

    Parameters
    ----------
    num_examples : int
        Examples in an epoch.
    """

    def __init__(self, num_examples: int) -> None:
        self.num_examples, self.epoch = num_examples, 0

    def __len__(self) -> int:
        """Examples in an epoch."""
        return self.num_examples

    def __iter__(self) -> Iterator[int]:
        """Indices of the current epoch."""
        first = self.epoch * self.num_examples
        return iter(range(first, first + self.num_examples))
