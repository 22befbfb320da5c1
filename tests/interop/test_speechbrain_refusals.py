from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published_checkpoint import copied, save_checkpoint

from sed.interop.speechbrain import read_checkpoint
from sed.model import EmotionModel

# transformers says so of SpeechBrain
pytestmark = pytest.mark.filterwarnings("ignore:`gradient_checkpointing_disable`:FutureWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def checkpoint(saved: Path, tmp_path: Path) -> Path:
    """One to change, beside its encoder."""
    return copied(saved, tmp_path)


def refused(checkpoint: Path, *parts: str) -> str:
    """Message of a checkpoint that is refused: one line that holds the parts."""
    with pytest.raises(ValueError) as caught:
        EmotionModel.from_pretrained(checkpoint)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


class Malicious:
    """Whoever unpickles it touches a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.sentinel,)


@pytest.mark.parametrize("name", ["wav2vec2.ckpt", "model.ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_does_nothing(
    name: str, zipped: bool, checkpoint: Path, tmp_path: Path
) -> None:
    sentinel, path = tmp_path / "sentinel", checkpoint / name
    tensors = torch.load(path, weights_only=True)
    torch.save(
        tensors | {"model.evil": Malicious(sentinel)}, path, _use_new_zipfile_serialization=zipped
    )
    refused(checkpoint, str(path), "more than tensors")
    path.write_bytes(pickle.dumps(Malicious(sentinel)))
    refused(checkpoint, str(path))
    assert not sentinel.exists()
    pickle.loads(path.read_bytes())
    assert sentinel.exists()  # it would have worked


@pytest.mark.parametrize(
    "name", ["hyperparams.yaml", "wav2vec2.ckpt", "model.ckpt", "label_encoder.txt"]
)
def test_a_missing_or_damaged_file_is_named(name: str, checkpoint: Path) -> None:
    path = checkpoint / name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(ValueError, match=f"{checkpoint} lacks {name}, which"):
        read_checkpoint(checkpoint)
    for damaged in (b"", b"\x80\x02garbage", b"\xff\xfe\x00", bytes(300_000), content[:20]):
        path.write_bytes(damaged)
        refused(checkpoint, str(path))


@pytest.mark.parametrize("name", ["wav2vec2.ckpt", "model.ckpt"])
def test_every_name_and_shape_is_checked(name: str, checkpoint: Path) -> None:
    path = checkpoint / name
    tensors = torch.load(path, weights_only=True)
    key = next(key for key in tensors if key.endswith("weight"))
    weight, shape = tensors[key], tuple(tensors[key].shape)
    others = {other: tensor for other, tensor in tensors.items() if other != key}
    # torch warns of sparse tensors, which counts as damage where warnings are errors
    wrong: list[tuple[object, str]] = [
        (others, f"{key} is absent, not {shape} float32"),
        (tensors | {"model.evil": weight}, f"model.evil is {shape} float32, not absent"),
        (tensors | {key: weight[None]}, f"{key} is {(1, *shape)} float32, not {shape} float32"),
        (tensors | {key: weight.long()}, f"{key} is {shape} int64, not {shape} float32"),
        (tensors | {key: weight.to_sparse()}, ""),
        (tensors | {key: weight.to("meta")}, key),
        (tensors | {key: "text"}, "no tensors by name"),
        ([weight], "no tensors by name"),
    ]
    for content, reason in wrong:
        torch.save(content, path)
        refused(checkpoint, str(path), reason)


def test_the_first_odd_names_are_told(checkpoint: Path) -> None:
    path = checkpoint / "wav2vec2.ckpt"
    torch.save({"evil": torch.zeros(1)}, path)
    message = refused(checkpoint, "evil is (1,) float32, not absent; model.encoder.layer_norm.bias")
    assert message.endswith(" others") and len(message) < 500


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("WavLM\n", "Whisper\n", "wav2vec2: Whisper is no known encoder"),
        ("source: !ref", "name: !ref", "wav2vec2: 'name' is not understood"),
        ("source: !ref <wav2vec2_hub>", "freeze: False", "it needs a source"),
        (
            "output_norm: True",
            "output_norm: 1",
            "wav2vec2: output_norm must be of type bool, not 1",
        ),
        ("output_norm: True", "output_all_hiddens: True", "last hidden states"),
        ("norm_type: sentence", "norm_type: global", "input_norm: only the mean"),
        ("    norm_type: sentence\n", "", "input_norm: only the mean"),
        ("std_norm: False", "std_norm: True", "input_norm: only the mean"),
        ("input_norm: !new", "normalizer: !new", "<input_norm> refers to nothing"),
        ('pool_type: "avg"', "pool_type: max", "avg_pool: pool_type must be avg"),
        ("ceil_mode: True", "padding: 2", "avg_pool: 'padding' is not understood"),
        ("Pooling1d", "Pooling2d", "not Pooling2d, Linear"),
        ("nnet.linear.Linear", "nnet.linear.Bilinear", "not Pooling1d, Bilinear"),
        ("bias: False", "max_norm: 1.0", "output_mlp: 'max_norm' is not understood"),
        ("stride: 1", "stride: 3", "1 frames every 3 leaves gaps"),
        ("window_length: 1", "window_length: 0", "leaves gaps"),
        (
            "window_length: 1",
            "window_length: !ref <stride> * 2",
            "kernel_size must be of type int, not '1 * 2'",
        ),
        ("output_mlp: !new:speechbrain.nnet.linear.Linear", "mlp:", "<output_mlp> refers to"),
        ("avg_pool: !new", "avg_pool: !name", "avg_pool is no !new: object"),
        ("\navg_pool:", "\npool:", "describes no avg_pool"),
    ],
)
def test_hyperparams_that_are_not_understood_are_told(
    old: str, new: str, reason: str, checkpoint: Path
) -> None:
    path = checkpoint / "hyperparams.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    refused(checkpoint, str(path), reason)


def test_a_bias_must_be_where_the_hyperparams_say(checkpoint: Path) -> None:
    path = checkpoint / "hyperparams.yaml"
    path.write_text(path.read_text().replace("bias: False", "bias: True"))
    refused(checkpoint, str(checkpoint / "model.ckpt"), "0.w.bias is absent, not (4,) float32")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "bert"}, "model_type is none of hubert, wav2vec2, wavlm"),
        ({"model_type": ["wavlm"]}, "is none of"),
        ({"hidden_size": "wide"}, "describe no model"),
        ({"num_attention_heads": 3}, "describe no model"),
        ({"hidden_act": "evil"}, "describe no model"),
        ({"conv_dim": [8]}, "describe no model"),
        ({"add_adapter": True}, "adapter"),
        ({"hidden_size": 16}, "wav2vec2.ckpt"),
        ({"num_hidden_layers": 3}, "model.encoder.layers.2.attention.gru_rel_pos_const is absent"),
        ({"model_type": "hubert"}, "wav2vec2.ckpt"),
    ],
)
def test_an_encoder_of_another_kind_is_told(
    changes: dict[str, Any], reason: str, checkpoint: Path
) -> None:
    path = checkpoint.parent / "encoder" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    refused(checkpoint, reason)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_an_encoder_without_its_files_is_told(name: str, checkpoint: Path) -> None:
    path = checkpoint.parent / "encoder" / name
    for content in ("[]", "{", "[" * 100_000):
        path.write_text(content)
        refused(checkpoint, str(path), "JSON")
    path.unlink()
    refused(checkpoint, f"encoder lacks {name}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("'n' => 0\n'h' => 1\n", "0.w.weight is (4, 32) float32, not (2, 32)"),
        ("'n' => 0\n'x' => 1\n", "unknown emotion 'x'"),
        ("'n' => 0\n5 => 1\n", "unknown emotion '5'"),
        ("'h' => 0\n's' => 1\n", "one class must be neutral"),
        ("'n' => 0\n'neutral' => 1\n", "a number of its own"),
        ("'n' => 0\n'h' => 0\n", "a number of its own"),
        ("'n' => 0\n'h' => 2\n", "a number of its own"),
        ("'n' => -1\n'h' => 0\n", "a number of its own"),
        ("'n' 0\n", "not of the form"),
        ("open('x') => 0\n", "not of the form"),
        ("'n' => zero\n", "not of the form"),
        ("(" * 5000 + " => 0\n", "not of the form"),
        ("", "one class must be neutral"),
    ],
)
def test_label_encoders_that_do_not_fit_are_told(text: str, reason: str, checkpoint: Path) -> None:
    (checkpoint / "label_encoder.txt").write_text(
        f"{text}================\n'starting_index' => 0\n"
    )
    refused(checkpoint, reason)
