"""Encoders: transformers' own outputs, the same alone and in a batch, nothing else trained."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from fake_hub import fill_cache
from safetensors.torch import load_file
from tiny_encoders import ARCHITECTURES, BASE, LARGE, SIZES, stir
from torch import Tensor
from torch.nn import functional as F

from sed.encoders import Encoder
from sed.model import EmotionModel

both_norms = pytest.mark.parametrize("config", [LARGE, BASE], ids=["layer-norm", "group-norm"])
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)
LENGTHS = [400, 719, 720, 16_000, 16_001, 48_123]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def genuine(architecture: str, config: dict[str, Any]) -> Any:
    """The model of transformers itself."""
    names = {"wavlm": "WavLM", "hubert": "Hubert", "wav2vec2": "Wav2Vec2"}
    settings = getattr(transformers, f"{names[architecture]}Config")(**config)
    return stir(getattr(transformers, f"{names[architecture]}Model")(settings))


def pair(architecture: str, config: dict[str, Any], **options: Any) -> tuple[Any, Encoder]:
    """Ours and theirs, with the same weights."""
    theirs = genuine(architecture, config)
    ours = Encoder(architecture, config, **{"waveform_norm": "none", **options}).eval()
    ours.model.load_state_dict(theirs.state_dict())  # strict: every name is theirs
    return theirs, ours


@pytest.mark.parametrize("gradients", [False, True])
@both_norms
@every_architecture
def test_features_are_those_of_transformers(
    architecture: str, config: dict[str, Any], gradients: bool
) -> None:
    """In inference, where our own kernels run, and in training, where torch's do."""
    theirs, ours = pair(architecture, config)
    with torch.set_grad_enabled(gradients):
        for num_samples in LENGTHS:
            waveform = torch.randn(2, num_samples)
            expected = theirs(waveform).last_hidden_state
            found = ours(waveform)
            assert found.shape[1] == ours.num_frames(num_samples)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@both_norms
@every_architecture
@torch.inference_mode()
def test_a_layer_gives_the_hidden_states_of_transformers(
    architecture: str, config: dict[str, Any]
) -> None:
    waveform = torch.randn(1, 8_000)
    for layer in (0, 1, 2, 3):
        theirs, ours = pair(architecture, config, layer=layer)
        output = theirs(waveform, output_hidden_states=True)
        expected = output.last_hidden_state if layer == 3 else output.hidden_states[layer]
        torch.testing.assert_close(ours(waveform), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_layers_behind_the_chosen_one_are_not_computed() -> None:
    _, ours = pair("wavlm", LARGE, layer=1)
    before = ours(torch.randn(1, 4_000).fill_(0.1))
    for parameter in ours.model.encoder.layers[1].parameters():
        parameter.fill_(torch.nan)
    assert torch.equal(ours(torch.full((1, 4_000), 0.1)), before)


@torch.inference_mode()
def test_the_weighted_sum_starts_as_the_mean_of_all_layers_and_can_choose_one() -> None:
    _, ours = pair("hubert", BASE, layer="weighted")
    waveform = torch.randn(1, 4_000)
    states = list(ours._hidden_states(ours._convolved(waveform), None))
    torch.testing.assert_close(ours(waveform), torch.stack(states).mean(dim=0), atol=1e-5, rtol=0)
    ours.layer_weights[2] = 50.0
    torch.testing.assert_close(ours(waveform), states[2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("output_norm", [False, True])
@both_norms
@every_architecture
def test_a_recording_has_the_same_features_alone_and_beside_a_longer_one(
    architecture: str, config: dict[str, Any], output_norm: bool
) -> None:
    """Padding is not seen, not even by group norms, nor by the norm over the output."""
    _, ours = pair(architecture, config, output_norm=output_norm, waveform_norm="standard")
    lengths = torch.tensor([9_000, 20_000, 500])
    waveforms = torch.randn(3, 20_000) + 0.3
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            together = ours(waveforms, lengths)
            for row, length, features in zip(waveforms, lengths, together, strict=True):
                alone = ours(row[None, :length])[0]
                torch.testing.assert_close(features[: len(alone)], alone, atol=2e-5, rtol=0)
                assert not features[len(alone) :].any()


def normalized(waveform: Tensor, norm: str) -> Tensor:
    if norm == "mean":
        return waveform - waveform.mean(dim=-1, keepdim=True)
    return F.layer_norm(waveform, waveform.shape[1:]) if norm == "standard" else waveform


@pytest.mark.parametrize("norm", ["none", "mean", "standard"])
@torch.inference_mode()
def test_waveform_and_output_are_normalised_as_asked(norm: str) -> None:
    theirs, ours = pair("wavlm", LARGE, waveform_norm=norm, output_norm=True)
    waveform = 0.2 * torch.randn(2, 5_000) + 0.1
    expected = theirs(normalized(waveform, norm)).last_hidden_state
    expected = F.layer_norm(expected, expected.shape[1:])
    torch.testing.assert_close(ours(waveform), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_edge_padding_gives_a_frame_for_every_whole_cell() -> None:
    theirs, ours = pair("wavlm", LARGE, edge_padding=40)
    for num_samples in (320, 16_000, 16_319):
        waveform = torch.randn(1, num_samples)
        features = ours(waveform)
        assert features.shape[1] == num_samples // 320 == ours.num_frames(num_samples)
        expected = theirs(F.pad(waveform, (40, 40))).last_hidden_state
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 399])
@torch.inference_mode()
def test_less_than_a_receptive_field_is_one_frame(num_samples: int) -> None:
    _, ours = pair("wav2vec2", BASE)
    features = ours(torch.randn(1, num_samples))
    assert features.shape == (1, 1, 32) and bool(features.isfinite().all())


def learning(encoder: Encoder) -> set[str]:
    """Parts of the network with parameters that get a gradient."""
    encoder.train()(torch.randn(1, 4_000)).square().sum().backward()
    named = encoder.named_parameters()
    return {name.split(".")[1] for name, p in named if p.grad is not None and p.grad.any()}


def test_what_is_frozen_does_not_learn() -> None:
    config = {**LARGE, "layerdrop": 0.0}
    everything = {"feature_extractor", "feature_projection", "encoder"}
    assert learning(Encoder("wavlm", config)) == everything
    assert learning(Encoder("wavlm", config, trainable="transformer")) == everything - {
        "feature_extractor"
    }
    frozen = Encoder("wavlm", config, trainable="none")
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_every_parameter_that_may_learn_does() -> None:
    """None is left without a gradient, which distributed training would wait for."""
    encoder = Encoder("wavlm", {**LARGE, "layerdrop": 0.0}, layer="weighted").train()
    encoder(torch.randn(1, 4_000)).square().sum().backward()
    idle = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize("architecture", ["wavlm", "hubert"])
def test_checkpointed_gradients_are_the_same(architecture: str) -> None:
    config = {**LARGE, "layerdrop": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0,
              "activation_dropout": 0.0, "feat_proj_dropout": 0.0}  # fmt: skip
    plain = stir(Encoder(architecture, config))
    checkpointed = Encoder(architecture, config, gradient_checkpointing=True)
    checkpointed.load_state_dict(plain.state_dict())
    waveform = torch.randn(1, 4_000)
    for encoder, num_runs in ((plain, 1), (checkpointed, 2)):
        runs: list[object] = []
        projection = encoder.model.encoder.layers[1].attention.q_proj
        projection.register_forward_hook(lambda *_, runs=runs: runs.append(None))
        encoder.train()(waveform).square().mean().backward()
        assert len(runs) == num_runs  # computed anew in the backward pass
    for (name, one), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)


def test_masking_frames_is_a_choice() -> None:
    config = {**LARGE, "layerdrop": 0.0, "hidden_dropout": 0.0, "mask_time_prob": 0.5,
              "attention_dropout": 0.0, "activation_dropout": 0.0}  # fmt: skip
    waveform = torch.randn(1, 16_000)
    for masked in (False, True):
        encoder = Encoder("hubert", {**config, "feat_proj_dropout": 0.0}, spec_augment=masked)
        trained = encoder.train()(waveform)
        assert torch.allclose(trained, encoder.eval()(waveform), atol=1e-4) != masked


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Folder of a published encoder, as transformers writes it."""
    genuine("hubert", LARGE).save_pretrained(tmp_path / "tiny hubert")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(
        tmp_path / "tiny hubert"
    )
    return tmp_path / "tiny hubert"


@torch.inference_mode()
def test_published_weights_are_read_from_a_folder(published: Path) -> None:
    theirs = transformers.HubertModel.from_pretrained(published).eval()
    ours = Encoder.from_pretrained(published, config={"layerdrop": 0.3}).eval()
    assert ours.waveform_norm == "none" and ours.model.config.layerdrop == 0.3
    waveform = torch.randn(1, 8_000)
    expected = theirs(waveform).last_hidden_state
    torch.testing.assert_close(ours(waveform), expected, atol=1e-4, rtol=0)
    normalizing = Encoder.from_pretrained(published, waveform_norm="standard", layer="weighted")
    assert normalizing.waveform_norm == "standard" and not normalizing.layer_weights.any()


@torch.inference_mode()
def test_a_model_on_a_published_encoder_is_saved_whole(published: Path, tmp_path: Path) -> None:
    """With the encoder's weights and what of its config matters, not how it was to be trained."""
    encoder = Encoder.from_pretrained(
        published, trainable="transformer", layer=2, gradient_checkpointing=True
    )
    model = EmotionModel.from_encoder(
        encoder, classes=["neutral", "happy"], head={"name": "timnet", "num_blocks": 2}
    ).eval()
    model.save_pretrained(tmp_path / "model")
    loaded = EmotionModel.from_pretrained(tmp_path / "model")
    waveform = torch.randn(1, 8_000)
    assert torch.equal(loaded(waveform), model(waveform))
    convolutions = loaded.frontend.model.feature_extractor
    assert all(parameter.requires_grad for parameter in convolutions.parameters())
    config = loaded.config["frontend"]["config"]
    assert config["hidden_size"] == 32 and not {"vocab_size", "architectures"} & config.keys()


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_cached_encoder_loads_without_a_single_attempt_to_connect(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    if weights == "pytorch_model.bin":
        tensors = load_file(published / "model.safetensors")
        torch.save(tensors, published / weights)
    names = ("config.json", "preprocessor_config.json", weights)
    files = {name: (published / name).read_bytes() for name in names}
    fill_cache(tmp_path / "cache", "org/tiny-hubert", files)
    asked: list[object] = []
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: asked.append(arguments))
    encoder = Encoder.from_pretrained("org/tiny-hubert", cache_dir=tmp_path / "cache").eval()
    expected = Encoder.from_pretrained(published).eval()
    waveform = torch.randn(1, 4_000)
    assert torch.equal(encoder(waveform), expected(waveform)) and asked == []


def test_an_encoder_that_is_not_here_is_named_with_the_command_that_fetches_it(
    tmp_path: Path,
) -> None:
    place = {"cache_dir": tmp_path, "local_files_only": True}
    with pytest.raises(
        ValueError, match=r"hf download org/none config.json .*safetensors"
    ) as error:
        Encoder.from_pretrained("org/none", **place)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="'two words' is no repository of the hub"):
        Encoder.from_pretrained("two words", **place)
    with pytest.raises(ValueError, match=f"{tmp_path} holds no encoder that is read here") as error:
        Encoder.from_pretrained(tmp_path)
    assert "\n" not in str(error.value)


def test_freezing_holds_for_published_weights(published: Path) -> None:
    encoder = Encoder.from_pretrained(published, trainable="transformer")
    free = {name.split(".")[1] for name, p in encoder.named_parameters() if p.requires_grad}
    assert free == {"feature_projection", "encoder"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"architecture": "whisper"}, "unknown encoder architecture 'whisper'; known are hubert"),
        ({"layer": 4}, "layer is last, weighted or 0 to 3, not 4"),
        ({"layer": True}, "not True"),
        ({"layer": "first"}, "not 'first'"),
        ({"waveform_norm": "peak"}, "waveform_norm is none, mean or standard, not 'peak'"),
        ({"trainable": "head"}, "trainable is all, transformer or none, not 'head'"),
        ({"edge_padding": -1}, "-1 is negative"),
    ],
)
def test_settings_without_meaning_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Encoder(**{"architecture": "hubert", "config": SIZES, **options})


def test_a_config_of_wrong_types_is_refused() -> None:
    with pytest.raises(ValueError, match="no config of hubert: .*num_hidden_layers"):
        Encoder("hubert", {**SIZES, "num_hidden_layers": "three"})


def test_an_encoder_with_an_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match="adapter"):
        Encoder("wav2vec2", {**SIZES, "add_adapter": True})
