"""A model small enough for tests, with random weights that make up their mind."""

from __future__ import annotations

import torch

from sed.model import EmotionModel


def tiny_model(*, window: float = 20.0, normalization: float = 2.0) -> EmotionModel:
    """The same weights in every run, whatever the window."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EmotionModel(
            classes=["neutral", "happy", "sad", "angry"],
            frontend={
                "name": "mfcc",
                "sample_rate": 16_000,
                "hop": 320,
                "window_length": 512,
                "fft_size": 512,
                "normalization": normalization,
            },
            head={"name": "timnet", "channels": 8, "num_blocks": 3},
            window=window,
        ).eval()
    with torch.no_grad():
        model.head.classify.weight.mul_(50.0)  # nearly uniform posteriors hide every mistake
    return model
