"""Encoders small enough for tests, with random weights in which every part makes a difference."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}

LARGE = {**SIZES, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""As the large models: layer norms in the convolutions, and before attention."""

BASE = {**SIZES, "feat_extract_norm": "group", "do_stable_layer_norm": False}
"""As the base models: a group norm over time, and layer norms behind attention."""

ARCHITECTURES = ("wavlm", "hubert", "wav2vec2")


def stir(module: nn.Module) -> nn.Module:
    """Give every parameter a random value: many start as zero or one, which hides mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.add_(torch.randn_like(parameter) * 0.5 / max(1, fan_in) ** 0.5)
    return module.eval()
