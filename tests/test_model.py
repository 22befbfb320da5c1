"""The model: saved and loaded unchanged, foreign folders refused, windows without seams."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sed.model import EmotionModel
from sed.specifications import Specifications

SETTINGS: dict[str, Any] = {
    "classes": ["neutral", "happy", "sad", "angry"],
    "frontend": {
        "name": "mfcc",
        "sample_rate": 16_000,
        "hop": 320,
        "window_length": 512,
        "fft_size": 512,
        "normalization": 0.2,
    },
    "head": {"name": "timnet", "channels": 5, "num_blocks": 2},
    "window": 60.0,
}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def model() -> EmotionModel:
    """Tiny random model in inference, whose normalisations have seen something."""
    model = EmotionModel(**SETTINGS)
    with torch.no_grad():
        model.head.train()(torch.randn(2, 50, 39))
        model.head.fusion.normal_()
    return model.eval()


@pytest.fixture
def folder(model: EmotionModel, tmp_path: Path) -> Path:
    """Folder of the saved model."""
    model.save_pretrained(tmp_path / "model", decoding={"path": "viterbi"})
    return tmp_path / "model"


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the config on disk."""
    content = json.loads((folder / "config.json").read_text())
    replaced = change(content)
    (folder / "config.json").write_text(json.dumps(content if replaced is None else replaced))


def refusal(folder: Path | str) -> str:
    """The one line that says why there is no model."""
    with pytest.raises(ValueError) as caught:
        EmotionModel.from_pretrained(folder)
    assert type(caught.value) is ValueError and "\n" not in str(caught.value)
    return str(caught.value)


@torch.no_grad()
def test_a_loaded_model_is_the_saved_one(model: EmotionModel, folder: Path) -> None:
    loaded = EmotionModel.from_pretrained(folder)
    assert not loaded.training
    assert loaded.specifications == model.specifications
    waveform = 0.1 * torch.randn(2, 16_000)
    assert torch.equal(loaded(waveform), model(waveform))
    assert EmotionModel.from_pretrained(str(folder)).specifications == model.specifications


def test_a_model_that_is_saved_again_is_the_same_to_the_byte(folder: Path, tmp_path: Path) -> None:
    EmotionModel.from_pretrained(folder).save_pretrained(
        tmp_path / "twin", decoding={"path": "viterbi"}
    )
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "twin" / name).read_bytes() == (folder / name).read_bytes()


def test_a_folder_holds_three_files_that_others_may_read(
    model: EmotionModel, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        model.save_pretrained(tmp_path / "new" / "model")
        model.save_pretrained(tmp_path / "new" / "model")  # over what is there
    finally:
        os.umask(before)
    files = sorted((tmp_path / "new" / "model").iterdir())
    assert [file.name for file in files] == ["README.md", "config.json", "model.safetensors"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o644] * 3


def test_training_state_is_not_stored(folder: Path) -> None:
    names = load_file(folder / "model.safetensors").keys()
    assert not [name for name in names if "tracked" in name or name.startswith("frontend")]


@pytest.mark.parametrize("name", ["no-such-model", "", "/", "a/../b", "two words"])
def test_an_unknown_name_is_refused(name: str) -> None:
    assert name in refusal(name)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert str(folder) in refusal(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"model": {}}', "\ufeff{}", "[" * 100_000, "\xff"]
)
def test_a_config_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="latin-1", errors="replace")
    assert str(folder / "config.json") in refusal(folder)


def _set(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """Change of the value under a path of keys."""

    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("model", to=[]),
        _set("model", to=None),
        _set("model", to="__import__('os').system('touch executed')"),
        _set("model", "__reduce__", to=["os.system", ["touch executed"]]),
        _set("model", "frontend", to={"py/object": "os.system"}),
        _set("model", "head", to="!new:os.system"),
        _set("model", "classes", to=["neutral", 5]),
        _set("model", "classes", to=["happy", "sad"]),
        _set("model", "classes", to=["neutral", "hapy"]),
        _set("model", "classes", to=["neutral", "happy", "joy"]),
        _set("model", "window", to=-1),
        _set("model", "window", to=None),
        _set("model", "frontend", "normalization", to="long"),
        _set("model", "frontend", "normalization", to=1e999),
        _set("model", "frontend", "normalization", to=0),
        _set("model", "frontend", "hop", to=0),
        _set("model", "frontend", "hop", to=-320),
        _set("model", "frontend", "hop", to="320"),
        _set("model", "frontend", "window", to="kaiser"),
        _set("model", "frontend", "secret", to=1),
        _set("model", "head", "channels", to=-1),
        _set("model", "head", "channels", to=10**15),
        _set("model", "head", "num_blocks", to=1.5),
        _set("model", "head", to=None),
        _set("specifications", to=None),
        _set("specifications", to=[1, 2]),
        _set("specifications", "secret", to=1),
        _set("specifications", "hop", to=160),
        _set("specifications", "context", to="all"),
        _set("specifications", "classes", to=["neutral", "sad", "happy", "angry"]),
    ],
)
def test_a_config_that_describes_no_model_is_refused(
    folder: Path,
    change: Callable[[dict[str, Any]], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nothing in it is executed."""
    monkeypatch.chdir(tmp_path)
    edited(folder, change)
    assert str(folder / "config.json") in refusal(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:20],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: b"\x80\x04cos\nsystem\n(S'touch executed'\ntR.",  # a pickle
    ],
)
def test_damaged_weights_are_refused(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert str(path) in refusal(folder)


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    fewer = {name: tensor for name, tensor in weights.items() if name != "head.fusion"}
    more = {**weights, "head.extra": torch.zeros(1)}
    other = {**weights, "head.fusion": torch.zeros(3)}
    for wrong, name in ((fewer, "head.fusion"), (more, "head.extra"), (other, "head.fusion")):
        save_file(wrong, path)
        message = refusal(folder)
        assert str(path) in message and name in message


def test_a_config_of_another_width_does_not_fit_the_weights(folder: Path) -> None:
    edited(folder, _set("model", "head", "channels", to=6))
    assert "head.ahead.blocks.0.first.bias" in refusal(folder)


def test_a_saved_model_may_be_moved(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    EmotionModel.from_pretrained(tmp_path / "elsewhere")


SPECTRUM = {"name": "log-spectrum", "sample_rate": 8_000, "hop": 128, "window_length": 512}
SPECTRUM |= {"fft_size": 512}


def attentive(block: str, pooling: str, **settings: Any) -> EmotionModel:
    """Tiny random model of a temporal block and local attention, in inference."""
    sizes = {"num_layers": 2} if block == "tdnn" else {"num_cells": 4}
    head = {"name": "attentive", "block": block, "pooling": pooling, "num_units": 5, **sizes}
    head |= settings
    return EmotionModel(
        classes=["neutral", "happy"], frontend=SPECTRUM, head=head, window=4.0
    ).eval()


@torch.no_grad()
@pytest.mark.parametrize("block", ["lstm", "blstm", "tdnn"])
@pytest.mark.parametrize("pooling", ["mean", "mean-variance"])
def test_attentive_models_are_saved_and_loaded(block: str, pooling: str, tmp_path: Path) -> None:
    tasks = {"emodb": ["happy", "sad", "neutral"], "ravdess": ["neutral", "happy"]}
    model = attentive(block, pooling, tasks=tasks, task="ravdess")
    model.save_pretrained(tmp_path)
    loaded = EmotionModel.from_pretrained(tmp_path)
    waveform = 0.1 * torch.randn(2, 8_000)
    assert torch.equal(loaded(waveform), model(waveform))
    expected = 2 + 2 if (block, pooling) == ("tdnn", "mean") else None
    assert loaded.specifications == model.specifications
    assert loaded.specifications.context == expected
    features = loaded.frontend(waveform)
    assert torch.equal(
        loaded.head.utterance(features, task="emodb"), model.head.utterance(features, task="emodb")
    )
    card = (tmp_path / "README.md").read_text()
    assert "Log-spectrum" in card and "Temporal block and local attention" in card


@torch.no_grad()
def test_a_window_of_a_time_delay_network_has_the_posteriors_of_the_whole() -> None:
    """With the context that its layers and the spectra reach into."""
    model = attentive("tdnn", "mean", num_layers=6)
    for layer in model.head.block.layers:
        layer.bias.fill_(5.0)  # no ReLU stops what comes from afar
    context = model.specifications.context
    assert context == 2 + 6
    waveform = 0.1 * torch.randn(1, 128 * 100)
    whole, window = model(waveform), model(waveform[:, (40 - context) * 128 : (50 + context) * 128])
    torch.testing.assert_close(window[:, context:-context], whole[:, 40:50], atol=1e-5, rtol=0)


@pytest.mark.parametrize("classes", [["happy", "neutral"], ["neutral", "sad"]])
def test_the_classes_of_a_task_are_those_of_the_model_in_their_order(classes: list[str]) -> None:
    with pytest.raises(ValueError, match=f"has the classes {', '.join(classes)}"):
        attentive("tdnn", "mean", tasks={"emodb": classes}, task="emodb")


@torch.no_grad()
def test_posteriors_sum_to_one_from_the_first_sample_on(model: EmotionModel) -> None:
    for num_samples in (1, 320, 16_001):
        posteriors = model(0.1 * torch.randn(2, num_samples))
        assert posteriors.shape == (2, model.specifications.grid.num_frames(num_samples), 4)
        torch.testing.assert_close(posteriors.sum(dim=-1), torch.ones(posteriors.shape[:2]))
        assert bool((posteriors >= 0).all())


@torch.no_grad()
def test_posteriors_do_not_depend_on_the_level(model: EmotionModel) -> None:
    waveform = 0.01 * torch.randn(1, 16_000)
    torch.testing.assert_close(model(8 * waveform), model(waveform), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_window_with_its_context_has_the_posteriors_of_the_whole(model: EmotionModel) -> None:
    hop, context = model.specifications.hop, model.specifications.context
    first, end = context + 7, context + 30
    waveform = 0.1 * torch.randn(1, (2 * context + 40) * hop)
    waveform *= 1 + 0.9 * torch.sin(torch.arange(waveform.shape[1]) / 4000)
    whole = model(waveform)[:, first:end]
    window = model(waveform[:, (first - context) * hop : (end + context) * hop])
    torch.testing.assert_close(window[:, context:-context], whole, atol=1e-5, rtol=0)
    # and the context is needed: with a quarter of it the posteriors differ
    few = context // 4
    narrow = model(waveform[:, (first - few) * hop : (end + few) * hop])[:, few:-few]
    assert float((narrow - whole).abs().max()) > 1e-4


@torch.no_grad()
def test_specifications_take_aliases_and_know_their_grid() -> None:
    specifications = Specifications(("anger", "N"), 16_000, 320, context=3, window=10.0)
    assert specifications.classes == ("angry", "neutral") and specifications.neutral == 1
    assert specifications.grid.seconds(50) == 1.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classes": ("happy", "sad")}, "hold 'neutral', not happy, sad"),
        ({"classes": ("neutral", "happy", "joy")}, "must be distinct"),
        ({"classes": ("neutral", "hapy")}, "unknown emotion 'hapy'"),
        ({"context": -1}, "must not be negative"),
        ({"window": 0.0}, "must not be negative"),
    ],
)
def test_specifications_without_meaning_are_refused(
    changes: dict[str, Any], complaint: str
) -> None:
    good: dict[str, Any] = {"classes": ("neutral", "happy"), "sample_rate": 16_000, "hop": 320,
                            "context": 3, "window": 10.0}  # fmt: skip
    with pytest.raises(ValueError, match=complaint):
        Specifications(**{**good, **changes})
