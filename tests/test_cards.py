"""A card says what a model is and how to use it, and what it says holds."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import safetensors
from huggingface_hub import ModelCard
from typer.main import get_command

from sed.cards import card_of, count_parameters, model_card
from sed.cli import app
from sed.hub import CARD, CHECKPOINT, CONFIG, WEIGHTS, locate, read_config

EMBEDDED = locate("timnet-mfcc")
ENCODER: dict[str, Any] = {
    "specifications": {
        "classes": ["neutral", "happy", "sad", "angry"],
        "sample_rate": 16_000,
        "hop": 320,
        "context": None,
        "window": 20.0,
        "edge_padding": 40,
    },
    "model": {
        "frontend": {
            "name": "wavlm",
            "config": {"hidden_size": 1024, "num_hidden_layers": 24, "conv_dim": [512] * 7},
            "output_norm": True,
        },
        "head": {"name": "linear", "bias": False},
    },
    "decoding": {"threshold": {"sad": 0.5, "happy": 0.25}},
}


def block(card: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", card, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_hub_reads_the_front_matter() -> None:
    """By the hub's own reader of cards."""
    data = ModelCard(model_card("x", ENCODER, num_parameters=1, license="cc-by-nc-4.0")).data
    assert data.library_name == "speech-emotion-diarization"
    assert data.pipeline_tag == "audio-classification"
    assert data.license == "cc-by-nc-4.0"
    assert data.tags == ["speech-emotion-diarization", "speech", "emotion", "wavlm", "linear"]
    odd = ModelCard(model_card("x", ENCODER, num_parameters=1, license="my: own\n---\n")).data
    assert odd.license == "my: own\n---\n"
    assert ModelCard(model_card("x", ENCODER, num_parameters=1)).data.license is None


def test_a_card_tells_what_the_config_says() -> None:
    card = model_card("wavlm-large", ENCODER, num_parameters=315_000_000)
    for line in (
        "# wavlm-large",
        "Frame-wise emotions of speech: neutral, happy, sad, angry.",
        "| input | one channel, 16 kHz |",
        "| frames | one every 20 ms |",
        "| a frame depends on | the whole input |",
        "| window | 20 s of speech at once |",
        "| front-end | WavLM (number of hidden layers 24, hidden size 1024, output norm) |",
        "| head | Linear layer (no bias) |",
        "| edge padding | 40 samples on each side |",
        "| parameters | 315,000,000 |",
        "| threshold | sad 0.5, happy 0.25 |",
        "What it learned from is not recorded.",
        "How good it is has not been stated.",
    ):
        assert line in card.splitlines()
    card = model_card("timnet-mfcc", read_config(EMBEDDED), num_parameters=None)
    assert "| a frame depends on | 15.12 s on each side |" in card
    assert "edge padding" not in card and "| parameters |" not in card


def test_training_and_results_are_tables() -> None:
    content = {**ENCODER, "training": {"corpora": ["EmoDB", "EMOVO"], "num_steps": 5600}}
    rows = [{"corpus": "a|b", "EDER": 9.7}, {"corpus": "two\nlines", "EDER": 40.7}]
    lines = model_card("x", content, num_parameters=None, results=rows).splitlines()
    assert "| corpora | EmoDB, EMOVO |" in lines and "| number of steps | 5600 |" in lines
    start = lines.index("| corpus | EDER |")
    assert lines[start + 2 : start + 5] == ["| a\\|b | 9.7 |", "| two lines | 40.7 |", ""]


def test_the_python_of_a_card_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.symlink(Path(__file__).parents[1] / "examples" / "call.wav", tmp_path / "call.wav")
    monkeypatch.chdir(tmp_path)
    code = block(model_card("timnet-mfcc", read_config(EMBEDDED), num_parameters=1), "python")
    exec(compile(code, "<card>", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 3
    assert all(re.fullmatch(r"\d+\.\d\d to \d+\.\d\d s: (happy|sad|angry)", s) for s in printed)


@pytest.mark.parametrize("name", ["org/name", "my model", 'it\'s "mine"; {x} $HOME `id`', "ü"])
def test_any_name_can_be_copied_from_a_card(name: str) -> None:
    """No character of it means anything to a shell or to Python."""
    card = model_card(name, ENCODER, num_parameters=1)
    sed, word, _, *arguments = shlex.split(block(card, "bash"))
    assert (sed, arguments) == ("sed", ["--model", name])
    assert "--model" in {o for p in get_command(app).commands[word].params for o in p.opts}
    strings = {
        node.value
        for node in ast.walk(ast.parse(block(card, "python")))
        if isinstance(node, ast.Constant)
    }
    assert name in strings


def test_a_folders_own_card_is_the_card(tmp_path: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        os.symlink(EMBEDDED / name, tmp_path / name)
    number = count_parameters(EMBEDDED / WEIGHTS)
    generated = model_card("mine", read_config(tmp_path), num_parameters=number)
    assert card_of(tmp_path, "mine") == generated
    (tmp_path / CARD).write_text("# My own")
    assert card_of(tmp_path, "mine") == "# My own"


def test_a_checkpoint_does_not_describe_itself(tmp_path: Path) -> None:
    for name in CHECKPOINT:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="^org/x has no card; sed models convert org/x FOLDER wri"):
        card_of(tmp_path, "org/x")
    (tmp_path / CARD).write_text("# Theirs")
    assert card_of(tmp_path, "org/x") == "# Theirs"


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}},
        {"model": {"frontend": "wavlm", "head": "linear"}},
        {"model": {"frontend": {"name": "wavlm", "config": 3}, "head": {"name": "linear"}}},
        {"specifications": {}},
        {"specifications": {**ENCODER["specifications"], "sample_rate": 0}},
        {"specifications": {**ENCODER["specifications"], "window": "long"}},
        {"specifications": None},
        {"decoding": 3},
    ],
)
def test_a_config_that_describes_no_model_is_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^org/x: its config describes no model") as error:
        model_card("org/x", {**ENCODER, **change}, num_parameters=1)
    assert "\n" not in str(error.value)


def test_parameters_are_counted_as_by_safetensors() -> None:
    with safetensors.safe_open(EMBEDDED / WEIGHTS, framework="numpy") as weights:
        number = sum(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118
    assert count_parameters(EMBEDDED / WEIGHTS) == number > 100_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 100,
        (2).to_bytes(8, "little") + b"[]",
        (8).to_bytes(8, "little") + b'{"a": 3}',
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (40).to_bytes(8, "little") + json.dumps({"a": {"shape": "large"}}).encode(),
    ],
)
def test_what_is_no_safetensors_file_is_named(tmp_path: Path, content: bytes) -> None:
    """Even where it claims a header of exabytes."""
    path = tmp_path / WEIGHTS
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path} is no safetensors file$"):
        count_parameters(path)
