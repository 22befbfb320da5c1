"""A published checkpoint in miniature, made with SpeechBrain and transformers alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}

LARGE = {**TINY, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
"""Layer norms where the large models have them; the base models are as the defaults."""

LOBES = {
    "hubert": ("HubertModel", "HubertConfig", "hubert.HuBERT"),
    "wav2vec2": ("Wav2Vec2Model", "Wav2Vec2Config", "wav2vec2.Wav2Vec2"),
    "wavlm": ("WavLMModel", "WavLMConfig", "wavlm.WavLM"),
}
"""Classes of transformers, and SpeechBrain's around them, by architecture."""

HYPERPARAMS = """\
# Model: a tiny encoder for emotion diarization
wav2vec2_hub: {source}
pretrained_path: {folder}
save_folder: {save_folder}
wav2vec2_folder: !ref <save_folder>/wav2vec2_checkpoint

window_length: {window} # in frames of 0.02 s
stride: {stride}
encoder_dim: 32
out_n_neurons: 4

input_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False

wav2vec2: !new:speechbrain.integrations.huggingface.{lobe}
    source: !ref <wav2vec2_hub>
    output_norm: {output_norm}
    freeze: True
    save_path: !ref <wav2vec2_folder>

avg_pool: !new:speechbrain.nnet.pooling.Pooling1d
    pool_type: "avg"
    kernel_size: !ref <window_length>
    stride: !ref <stride>
    ceil_mode: True

output_mlp: !new:speechbrain.nnet.linear.Linear
    input_size: !ref <encoder_dim>
    n_neurons: !ref <out_n_neurons>
    bias: {bias}

model: !new:torch.nn.ModuleList
    - [!ref <output_mlp>]

log_softmax: !new:speechbrain.nnet.activations.Softmax
    apply_log: True

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

modules:
    input_norm: !ref <input_norm>
    wav2vec2: !ref <wav2vec2>
    output_mlp: !ref <output_mlp>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        wav2vec2: !ref <wav2vec2>
        model: !ref <model>
        label_encoder: !ref <label_encoder>
    paths:
        wav2vec2: !ref <pretrained_path>/wav2vec2.ckpt
        model: !ref <pretrained_path>/model.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def save_encoder(
    folder: Path, architecture: str = "wavlm", *, do_normalize: bool = True, **config: Any
) -> None:
    """An encoder as transformers publishes it."""
    import transformers

    model_class, config_class, _ = LOBES[architecture]
    network = getattr(transformers, model_class)(
        getattr(transformers, config_class)(**(LARGE | config))
    )
    network.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)


def save_checkpoint(
    folder: Path,
    architecture: str = "wavlm",
    *,
    do_normalize: bool = True,
    output_norm: bool = True,
    window: int = 1,
    stride: int = 1,
    bias: bool = False,
    labels: str = "ahns",
    **config: Any,
) -> Path:
    """A fine-tuned model as SpeechBrain publishes it; its encoder lies beside it."""
    import importlib

    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.nnet.linear import Linear
    from speechbrain.utils.checkpoints import torch_save

    torch.manual_seed(0)
    published, tuned, checkpoint = folder / "encoder", folder / "tuned", folder / "checkpoint"
    save_encoder(published, architecture, do_normalize=do_normalize, **config)
    save_encoder(tuned, architecture, do_normalize=do_normalize, **config)  # with other weights
    lobe = LOBES[architecture][2]
    module, _, name = lobe.partition(".")
    lobes = importlib.import_module(f"speechbrain.integrations.huggingface.{module}")
    encoder = getattr(lobes, name)(source=str(tuned), save_path=str(folder / "saved"))
    layer = Linear(input_size=32, n_neurons=len(labels), bias=bias)
    encoder_of_labels = CategoricalEncoder()
    encoder_of_labels.update_from_iterable(labels)
    checkpoint.mkdir()
    torch_save(encoder, checkpoint / "wav2vec2.ckpt")
    torch_save(nn.ModuleList([layer]), checkpoint / "model.ckpt")
    encoder_of_labels.save(checkpoint / "label_encoder.txt")
    (checkpoint / "hyperparams.yaml").write_text(
        HYPERPARAMS.format(
            source=published,
            folder=checkpoint,
            save_folder=folder / "saved",
            lobe=lobe,
            window=window,
            stride=stride,
            output_norm=output_norm,
            bias=bias,
        )
    )
    return checkpoint


def copied(checkpoint: Path, folder: Path) -> Path:
    """A checkpoint with the encoder beside it, in a folder where it may be changed."""
    source = checkpoint.parent
    shutil.copytree(source, folder, dirs_exist_ok=True)
    copy = folder / checkpoint.name
    hyperparams = copy / "hyperparams.yaml"
    hyperparams.write_text(hyperparams.read_text().replace(str(source), str(folder)))
    return copy


def recording(num_samples: int) -> np.ndarray:
    """Noise of changing loudness and colour, a quarter of a second each, off the zero line."""
    rng = np.random.default_rng(num_samples)
    noise = rng.standard_normal(num_samples + 1)
    turns = np.arange(num_samples) // 4000
    colour, loudness = rng.uniform([[-1], [0.01]], [[1], [0.3]], (2, turns[-1] + 1))
    samples = (noise[1:] + colour[turns] * noise[:-1]) * loudness[turns]
    return (samples + 0.05).astype(np.float32)
