"""Published SpeechBrain models of speech emotion diarization, read as data."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sed.architectures import ARCHITECTURES, encoder_config
from sed.encoders import Encoder
from sed.heads import head_named
from sed.interop.hyperparams import Hyperparams, read_small
from sed.interop.tensors import fitted, load_tensors
from sed.labels import NEUTRAL, canonical
from sed.repository import fetch_files

HYPERPARAMS, LABELS = "hyperparams.yaml", "label_encoder.txt"
ENCODER_WEIGHTS, HEAD_WEIGHTS = "wav2vec2.ckpt", "model.ckpt"

ENCODER_FILES = ("config.json", "preprocessor_config.json")
"""What a checkpoint leaves to the encoder that it was trained from."""

WINDOW = 20.0
"""Seconds that go through the network at once; SpeechBrain has no bound."""

DECODING = {
    "path": "argmax",
    "smoothing": "none",
    "neutral_weight": 1.0,
    "threshold": 0.0,
    "min_duration_on": 0.0,
    "min_duration_off": 0.0,
}
"""Best class frame by frame and nothing else, as SpeechBrain decodes."""


def read_checkpoint(
    folder: str | Path,
    *,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and weights of a model from a published checkpoint, of which nothing is executed.

    ::

        hyperparams.yaml ── encoder, norms, pooling ──┐
        config.json of the encoder, from its source ──┼─▶ config
        label_encoder.txt ── classes in order ────────┘      │
        wav2vec2.ckpt, model.ckpt ── every name and shape ───┴─▶ weights

    Parameters
    ----------
    folder : str or Path
        With ``hyperparams.yaml``, ``wav2vec2.ckpt``, ``model.ckpt`` and ``label_encoder.txt``, such
        as ``speechbrain/emotion-diarization-wavlm-large``.
    token, cache_dir, local_files_only
        As in ``huggingface_hub``, for the config of the encoder if that is on the hub.

    Returns
    -------
    content : dict
        What ``config.json`` of a model holds, see `sed.model.EmotionModel`.
    weights : dict of str to Tensor
        Named as in the state of that model, in float32; they stay in their file until used.

    Raises
    ------
    ValueError
        If a file is missing, damaged, says something unknown, or does not fit the others.
    OSError
        If a file cannot be read.
    """
    folder = Path(folder)
    checkpoint = (HYPERPARAMS, LABELS, ENCODER_WEIGHTS, HEAD_WEIGHTS)
    _refuse_missing(folder, checkpoint, "a published checkpoint of SpeechBrain")
    hyperparams = Hyperparams(folder / HYPERPARAMS)
    model = {
        "classes": read_classes(folder / LABELS),
        "frontend": _frontend(
            hyperparams, token=token, cache_dir=cache_dir, local_files_only=local_files_only
        ),
        "head": _head(hyperparams),
        "window": WINDOW,
    }
    encoder, layer = _networks(model, hyperparams.path)
    weights = _encoder_weights(folder / ENCODER_WEIGHTS, encoder)
    weights |= _layer_weights(folder / HEAD_WEIGHTS, layer)
    return {"model": model, "decoding": dict(DECODING)}, weights


def encoder_source(folder: str | Path) -> str:
    """Name on the hub, or folder, of the encoder that a checkpoint was trained from.

    Raises
    ------
    ValueError
        If ``hyperparams.yaml`` does not say.
    OSError
        If it cannot be read.
    """
    source: str = _encoder(Hyperparams(Path(folder) / HYPERPARAMS))["source"]
    return source


def read_classes(path: Path) -> list[str]:
    r"""Full emotion names in the order of the network's output.

    Parameters
    ----------
    path : Path
        ``label_encoder.txt``: a line for each class, then a rule and settings of no use here.

    Raises
    ------
    ValueError
        If it is no such file, or a label is no known emotion.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "label_encoder.txt"
    >>> _ = path.write_text("'n' => 1\n'a' => 0\n=====\n'starting_index' => 0\n")
    >>> read_classes(path)
    ['angry', 'neutral']
    """
    classes: dict[int, str] = {}
    lines = list(takewhile(lambda line: line[:2] != "==", read_small(path).splitlines()))
    for line in lines:
        literal, _, index = line.rpartition(" => ")
        try:
            label, number = ast.literal_eval(literal), int(index)
        except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
            raise ValueError(f"{path}: {line[:40]!r} is not of the form 'label' => 0") from None
        try:
            classes[number] = canonical(str(label))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    names = [classes[number] for number in sorted(classes)]
    if sorted(classes) != list(range(len(lines))) or len(set(names)) < len(names):
        raise ValueError(f"{path}: every class has a number of its own from 0 on, not {classes}")
    if NEUTRAL not in names:
        raise ValueError(f"{path}: one class must be {NEUTRAL}; there are {', '.join(names)}")
    return names


def _encoder(hyperparams: Hyperparams) -> dict[str, Any]:
    """Arguments of the encoder, its source among them."""
    part = hyperparams.part("wav2vec2", "wav2vec")
    # Before version 1.0 the names began so, and one class took encoders of every architecture.
    if part.kind.removeprefix("HuggingFace").lower() not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"{part.where}: {part.kind} is no known encoder; known are {known}")
    unused = ("save_path", "freeze", "freeze_feature_extractor", "apply_spec_augment")
    arguments = part.arguments(
        source="", output_norm=False, output_all_hiddens=False, **dict.fromkeys(unused)
    )
    if not arguments["source"] or arguments["output_all_hiddens"]:
        raise ValueError(f"{part.where}: it needs a source, and the last hidden states alone")
    return arguments


def _frontend(hyperparams: Hyperparams, **place: Any) -> dict[str, Any]:
    """Config of our front-end; `place` says how the hub is asked for the encoder's files."""
    part = hyperparams.part("input_norm")
    arguments = part.arguments(norm_type="global", mean_norm=True, std_norm=True)
    norm = (part.kind, *arguments.values())
    if norm != ("InputNormalization", "sentence", True, False):
        raise ValueError(
            f"{part.where}: only the mean of each sentence can be taken out, not {norm}"
        )
    encoder = _encoder(hyperparams)
    source = encoder["source"]
    folder = Path(source)
    if not folder.is_dir():
        try:
            folder = fetch_files(source, ENCODER_FILES, **place)
        except ValueError as error:
            raise ValueError(f"{hyperparams.path} builds on the encoder {error}") from None
    _refuse_missing(folder, ENCODER_FILES, f"the encoder that {hyperparams.path} builds on")
    published, extractor = (_json_object(folder / name) for name in ENCODER_FILES)
    architecture = published.get("model_type")
    if architecture not in list(ARCHITECTURES):  # it may be anything
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"{folder / ENCODER_FILES[0]}: the model_type is none of {known}")
    return {
        "name": architecture,
        "config": encoder_config(architecture, published),
        "waveform_norm": "standard" if extractor.get("do_normalize", True) else "mean",
        "output_norm": encoder["output_norm"],
    }


def _head(hyperparams: Hyperparams) -> dict[str, Any]:
    """Config of our head."""
    layer = hyperparams.part("output_mlp")
    pool = hyperparams.part("avg_pool")
    if (layer.kind, pool.kind) != ("Linear", "Pooling1d"):
        raise ValueError(
            f"{hyperparams.path}: a Pooling1d and a Linear are read, not {pool.kind}, {layer.kind}"
        )
    # Sizes are those of the weights. The last window is cut short there, and may be left out.
    linear = layer.arguments(input_size=None, input_shape=None, n_neurons=None, bias=True)
    pooling = pool.arguments(pool_type="", kernel_size=1, stride=0, ceil_mode=None)
    if pooling["pool_type"] != "avg":
        raise ValueError(f"{pool.where}: pool_type must be avg, not {pooling['pool_type']!r}")
    return {
        "name": "linear",
        "bias": linear["bias"],
        "pooling_window": pooling["kernel_size"],
        "pooling_stride": pooling["stride"] or pooling["kernel_size"],
    }


def _networks(model: dict[str, Any], path: Path) -> tuple[Encoder, nn.Linear]:
    """Encoder and layer of a config, without weights."""
    frontend = dict(model["frontend"])
    try:
        with torch.device("meta"):
            encoder = Encoder(frontend.pop("name"), **frontend)
            num_classes = len(model["classes"])
            head = head_named(
                num_features=encoder.num_features, num_classes=num_classes, **model["head"]
            )
    except Exception as error:  # from deep inside of transformers comes anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} and its encoder's config describe no model: {reason}") from None
    return encoder, head.classify


def _encoder_weights(path: Path, encoder: Encoder) -> dict[str, Tensor]:
    """Weights of the encoder, under the names that they have in a model."""
    tensors = {}
    for name, tensor in load_tensors(path).items():
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            if name.endswith(f".conv.{old}"):  # torch's name of it before 2.0
                name = f"{name.removesuffix(old)}parametrizations.weight.{new}"
        tensors[name] = tensor
    fit = fitted(tensors, encoder.state_dict(), path, "the config of its encoder")
    return {f"frontend.{name}": tensor for name, tensor in fit.items()}


def _layer_weights(path: Path, layer: nn.Linear) -> dict[str, Tensor]:
    """Weights of the linear layer, under the names that they have in a model."""
    first = "0.w."  # a list of modules, whose first is a layer around torch's
    expected = {first + name: tensor for name, tensor in layer.state_dict().items()}
    fit = fitted(load_tensors(path), expected, path, f"{HYPERPARAMS} and {LABELS}")
    return {f"head.classify.{name.removeprefix(first)}": tensor for name, tensor in fit.items()}


def _json_object(path: Path) -> dict[str, Any]:
    """Content of a file of settings."""
    try:
        content = json.loads(read_small(path))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no JSON object")
    return content


def _refuse_missing(folder: Path, names: Iterable[str], what: str) -> None:
    """Refuse a folder without these files; `what` says what it should be."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}, which {what} has")
