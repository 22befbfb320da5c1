"""WavLM-large with random weights, which cost the time of trained ones, for the benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_encoder(folder: Path, num_layers: int = 24, **changes: Any) -> Any:
    """Write the model as transformers publishes it, and return it.

    Parameters
    ----------
    folder : Path
    num_layers : int
        Fewer than 24 to try something out.
    **changes
        To its config.
    """
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    config = WavLMConfig(
        hidden_size=1024, num_hidden_layers=num_layers, num_attention_heads=16,
        intermediate_size=4096, feat_extract_norm="layer", do_stable_layer_norm=True, **changes,
    )  # fmt: skip
    torch.manual_seed(0)
    encoder = WavLMModel(config)
    encoder.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return encoder
