"""Cepstra that are noise around a mean of their emotion, and tiny networks that learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sed.corpora import Utterance
from sed.heads import TIMNet
from sed.heads.timnet import DilatedConvolution
from sed.training.together import Fitting
from sed.training.utterances import Cepstra

CLASSES = ("angry", "happy", "sad")
NUM_FEATURES, NUM_FRAMES = 5, 12


def tiny_cepstra(num_recordings: int = 32, *, distance: float = 0.3) -> Cepstra:
    """Recordings of four speakers; always the same."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(num_recordings) % len(CLASSES)
    means = distance * torch.randn(NUM_FEATURES, 1, len(CLASSES), generator=generator)
    noise = torch.randn(NUM_FEATURES, NUM_FRAMES, num_recordings, generator=generator)
    utterances = [
        Utterance(f"{number:02}", Path(f"{number:02}.wav"), "abcd"[number % 4], "toy", CLASSES[k])
        for number, k in enumerate(targets.tolist())
    ]
    return Cepstra(utterances, noise + means[:, :, targets], targets, CLASSES)


def tiny_fitting(**changes: Any) -> Fitting:
    """Three batches in an epoch, the last one not full."""
    small: dict[str, Any] = {"num_epochs": 3, "batch_size": 8, "channels": 4, "num_blocks": 2}
    return Fitting(**{**small, **changes})


def trained(network: TIMNet) -> TIMNet:
    """A network with weights and running statistics as after a training."""
    for module in network.modules():
        if isinstance(module, DilatedConvolution):
            module.bias.data.normal_()
            module.norm.running_mean.normal_()
            module.norm.running_var.uniform_(0.3, 3.0)
            module.norm.weight.data.uniform_(0.5, 2.0)
            module.norm.bias.data.normal_()
    network.fusion.data.normal_()
    return network
