"""Which encoders there are, and what of their published configs is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ARCHITECTURES = {
    "hubert": ("HubertConfig", "HubertModel"),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "wavlm": ("WavLMConfig", "WavLMModel"),
}
"""Model types of transformers, with the names of their classes."""

_OF_OTHER_PARTS = (
    *("adapter_kernel", "adapter_stride", "apply_spec_augment", "bos_", "classifier_"),
    *("codevector_", "contrastive_", "ctc_", "diversity_", "eos_", "feat_quantizer_"),
    *("final_dropout", "num_adapter_", "num_codevector", "num_ctc_", "num_feat_extract_layers"),
    *("num_negatives", "output_hidden_size", "pad_", "proj_codevector_", "tdnn_"),
    *("use_weighted_", "vocab_", "xvector_"),
)
"""Beginnings of the settings that transformers keeps beside those of the encoder: of its heads,
losses and tokens, and one that `Encoder` sets itself."""


def check_architecture(architecture: str) -> None:
    """Refuse what is no such encoder.

    Raises
    ------
    ValueError
        If it is none of `ARCHITECTURES`.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown encoder architecture {architecture!r}; known are {known}")


def encoder_config(architecture: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults of transformers, of the settings that are the encoder's.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    published : mapping
        Content of a ``config.json`` of transformers.

    Examples
    --------
    >>> encoder_config("wavlm", {"hidden_size": 1024, "num_attention_heads": 12, "vocab_size": 5})
    {'hidden_size': 1024}
    """
    import transformers

    config_class = getattr(transformers, ARCHITECTURES[architecture][0])
    common = transformers.PreTrainedConfig().to_dict()
    return {
        name: published[name]
        for name, default in config_class().to_dict().items()
        if name in published and published[name] != default
        if name not in common and not name.startswith(_OF_OTHER_PARTS)
    }
