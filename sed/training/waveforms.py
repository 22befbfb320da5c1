"""Training examples for models that are trained from the waveform on, encoder and all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from pyannote.core import Annotation
from torch import Tensor
from torch.utils.data import Dataset

from sed.corpora.simulation import SimulatedRecording, Simulation
from sed.specifications import Specifications
from sed.training.targets import frame_targets

Augment = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass
class Waveforms:
    """Waveforms and what is in them, one recording or several, padded behind their ends.

    Parameters
    ----------
    waveforms : (num_samples,) or (batch, num_samples) Tensor
    targets : (num_cells,) or (batch, num_cells) Tensor of int
        Class of every cell of the frame grid that holds a sample; -1 where there is padding.
    lengths : (batch,) Tensor of int
        True samples of each recording; they stay on the processor, which works with them.
    references : list of Annotation
        As simulated, before any augmentation.
    """

    waveforms: Tensor
    targets: Tensor
    lengths: Tensor
    references: list[Annotation]

    def to(self, device: str | torch.device) -> Waveforms:
        """Copy on a device."""
        return replace(
            self,
            waveforms=self.waveforms.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Waveforms:
        """Copy in memory from which a GPU reads at once; a `DataLoader` calls it."""
        return replace(
            self, waveforms=self.waveforms.pin_memory(), targets=self.targets.pin_memory()
        )

    @classmethod
    def batch(cls, examples: Sequence[Waveforms]) -> Waveforms:
        """Examples side by side; the padding never reaches network or loss."""
        pad = torch.nn.utils.rnn.pad_sequence
        return cls(
            pad([example.waveforms for example in examples], batch_first=True),
            pad([example.targets for example in examples], batch_first=True, padding_value=-1),
            torch.tensor([len(example.waveforms) for example in examples]),
            [reference for example in examples for reference in example.references],
        )


class SimulatedWaveforms(Dataset[Waveforms]):
    """Endless examples; the one at an index is always the same.

    Parameters
    ----------
    simulation : Simulation
    specifications : Specifications
        Of the model that is trained.
    seed : int
    augmentation : callable, optional
        Changes the waveform; none for validation. Speed perturbation changes its length, and the
        labels with it.
    """

    def __init__(
        self,
        simulation: Simulation,
        specifications: Specifications,
        *,
        seed: int,
        augmentation: Augment | None = None,
    ) -> None:
        self.simulation, self.specifications = simulation, specifications
        self.seed, self.augmentation = seed, augmentation

    def __getitem__(self, index: int) -> Waveforms:
        """Example of an index."""
        rng = self._generator(index)
        return self.example(self.simulation.draw(rng), rng)

    def numbered(self, index: int) -> Waveforms:
        """Example of a fixed set, which takes the corpora in turn and is never augmented."""
        return self._plain(self.simulation.numbered(index, self.seed))

    def length_of(self, index: int) -> int:
        """Samples of speech of an example, before any augmentation; the example is not made."""
        return self.simulation.speech_samples(self._generator(index))

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, index))

    def example(self, recording: SimulatedRecording, rng: np.random.Generator) -> Waveforms:
        """Waveform and targets of a recording, augmented."""
        made = self._plain(recording)
        if self.augmentation is None:
            return made
        samples = self.augmentation(recording.samples, recording.sample_rate, rng)
        cells = torch.arange(self.specifications.grid.num_frames(len(samples)))
        position = ((cells + 0.5) * (len(made.targets) / len(cells))).long()
        return replace(
            made,
            waveforms=torch.from_numpy(samples),
            targets=made.targets[position.clamp(max=len(made.targets) - 1)],
            lengths=torch.tensor([len(samples)]),
        )

    def _plain(self, recording: SimulatedRecording) -> Waveforms:
        """Waveform and targets of a recording as it is."""
        specifications, samples = self.specifications, recording.samples
        targets = frame_targets(
            recording.annotation,
            specifications.grid,
            len(samples),
            specifications.classes,
            specifications.neutral,
        )
        return Waveforms(
            torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)),
            torch.from_numpy(targets),
            torch.tensor([len(samples)]),
            [recording.annotation],
        )
