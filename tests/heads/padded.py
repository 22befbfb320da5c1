"""Sequences alone and side by side, for the tests of heads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

NUM_FEATURES = 6


def padded(lengths: list[int], filling: float) -> tuple[list[Tensor], Tensor, Tensor]:
    """Sequences, the same side by side with `filling` behind their ends, and their lengths."""
    sequences = [torch.randn(length, NUM_FEATURES) for length in lengths]
    batch = pad_sequence(sequences, batch_first=True, padding_value=filling)
    return sequences, batch, torch.tensor(lengths)
