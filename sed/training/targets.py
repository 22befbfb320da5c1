"""What a model shall say of every frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pyannote.core import Annotation
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from sed.frames import FrameGrid


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


def stretch(
    features: Tensor, targets: Tensor, lengths: Tensor, factor: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Features and targets of the same speech, each sequence slower or faster by chance.

    Parameters
    ----------
    features : (batch, num_frames, num_features) Tensor
    targets : (batch, num_frames) Tensor of int
        -1 where there is padding.
    lengths : (batch,) Tensor of int
        True frames of each sequence.
    factor : float
        Largest change of tempo: 1.25 for 0.8 to 1.25 times as many frames, at even odds on a
        logarithmic scale.

    Returns
    -------
    features, targets, lengths
        As above, for the new numbers of frames.
    """
    changes = torch.rand(len(lengths)) * 2.0 - 1.0
    rows, labels = [], []
    for row, label, length, change in zip(
        features, targets, lengths.tolist(), changes.tolist(), strict=True
    ):
        count = max(1, round(length * factor**change))
        rows.append(F.interpolate(row[None, :length].mT, size=count, mode="linear")[0].mT)
        position = (torch.arange(count, device=label.device) + 0.5) * (length / count)
        labels.append(label[position.long().clamp(max=length - 1)])
    return (
        pad_sequence(rows, batch_first=True),
        pad_sequence(labels, batch_first=True, padding_value=-1),
        lengths.new_tensor([len(row) for row in rows]),
    )
