"""`sed models`: what is here, what is fetched, shown, exported and converted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Command, Outcome
from fake_hub import FakeHub, Files, closed_address, fill_cache, model_files, run_with_hub
from huggingface_hub import constants

from sed.cli.models import _print_card
from sed.hub import CARD, CHECKPOINT, CONFIG, ONNX, WEIGHTS, kind_of, locate

EMBEDDED = locate("timnet-mfcc")
OURS = model_files(EMBEDDED)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual cache of the hub's client, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def models(sed: Command, cache: Path) -> Command:
    def run(*arguments: str | Path) -> Outcome:
        return sed("models", *arguments)

    return run


@pytest.fixture
def online(tmp_path: Path) -> Callable[..., Outcome]:
    """`sed models` in a Python of its own, with a hub at an address."""

    def run(address: str, *arguments: str, command: tuple[str, ...] = ("-m", "sed")) -> Outcome:
        result = run_with_hub(address, tmp_path, *command, "models", *arguments)
        return Outcome(result.returncode, result.stdout, result.stderr)

    return run


def checkpoint() -> Files:
    """Files of a checkpoint of SpeechBrain that is only looked at."""
    return {
        **dict.fromkeys(CHECKPOINT, b"data"),
        "hyperparams.yaml": b"wav2vec2: !new:package.WavLM\n    source: org/encoder\n",
        "label_encoder.txt": b"'a' => 0\n'n' => 1\n=====\n",
    }


def test_embedded_and_cached_models_are_listed(models: Command, cache: Path) -> None:
    fill_cache(cache, "org/exported", {CONFIG: OURS[CONFIG], ONNX: b"graph"})
    fill_cache(cache, "org/large", checkpoint())
    fill_cache(cache, "org/older", OURS, revision="v1")
    fill_cache(cache, "org/another", {CONFIG: b"{}", WEIGHTS: b"large"})
    outcome = models("list")
    assert (outcome.code, outcome.err) == (0, "")
    heading, _, *rows = (line.split("  ") for line in outcome.out.strip().splitlines())
    cells = [[cell.strip() for cell in row if cell.strip()] for row in [heading, *rows]]
    classes = "neutral, happy, sad, angry"
    assert [row[:5] for row in cells] == [
        ["name", "where", "front-end", "head", "classes"],
        ["timnet-mfcc", "embedded", "MFCC", "TIM-Net", classes],
        ["org/exported", "cached, ONNX", "MFCC", "TIM-Net", classes],
        ["org/large", "cached, SpeechBrain", "org/encoder", "Linear layer", "angry, neutral"],
        ["org/older (v1)", "cached", "MFCC", "TIM-Net", classes],
    ]
    assert cells[1][5] == "1.0 MB"
    assert models().out == outcome.out


def test_the_list_can_be_read_by_programs(models: Command, cache: Path) -> None:
    folder = fill_cache(cache, "org/name", OURS)
    fill_cache(cache, "org/name", {**OURS, CARD: b""}, revision="v1")
    assert models("list", "--quiet").out == "timnet-mfcc\norg/name\n"
    embedded, main, tagged = json.loads(models("list", "--json").out)["models"]
    assert embedded == {
        "name": "timnet-mfcc",
        "where": "embedded",
        "revision": "",
        "kind": "sed",
        "frontend": "mfcc",
        "head": "timnet",
        "classes": ["neutral", "happy", "sad", "angry"],
        "size": sum(map(len, OURS.values())),
        "folder": str(EMBEDDED),
    }
    moved = {"name": "org/name", "where": "cached", "revision": "main", "folder": str(folder)}
    assert main == {**embedded, **moved}
    assert tagged["revision"] == "v1"


def test_another_cache_is_listed_on_demand(models: Command, tmp_path: Path) -> None:
    fill_cache(tmp_path / "other", "org/name", OURS)
    assert models("list", "-q", "--cache-dir", tmp_path / "other").out.endswith("\norg/name\n")
    assert models("list", "-q").out == "timnet-mfcc\n"


@pytest.mark.parametrize("config", [b'{"specifications": 3}', b'{"specifications": {}}'])
def test_a_model_that_does_not_tell_leaves_the_list_whole(
    models: Command, cache: Path, config: bytes
) -> None:
    """Whoever loads it is told; brackets of a name are no markup."""
    fill_cache(cache, "org/odd", {**OURS, CONFIG: config})
    odd = json.loads(OURS[CONFIG])
    odd["model"]["head"]["name"] = "[red]bold"
    fill_cache(cache, "org/red", {**OURS, CONFIG: json.dumps(odd).encode()})
    outcome = models()
    assert outcome.code == 0
    assert "org/odd" in outcome.out and "[red]bold" in outcome.out


def test_download_prints_the_folder_and_the_rest_goes_on(
    online: Callable[..., Outcome], tmp_path: Path
) -> None:
    with FakeHub({"org/name": OURS}) as hub:
        outcome = online(hub.address, "download", "org/nosuch", "org/name", "timnet-mfcc")
        assert outcome.code == 1
        assert outcome.error.startswith("org/nosuch cannot be downloaded: the hub has none")
        folder, embedded = map(Path, outcome.out.splitlines())
        assert model_files(folder) == OURS
        assert folder.is_relative_to(tmp_path / "hub")
        assert embedded == EMBEDDED
        outcome = online(hub.address, "download", "org/name", "--quiet")
        assert outcome == Outcome(0, "", "")
        other = tmp_path / "other"
        outcome = online(hub.address, "download", "org/name", "--cache-dir", str(other))
        assert Path(outcome.out.strip()).is_relative_to(other)
    outcome = online(closed_address(), "download", "org/name", "--revision", "main")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.error.startswith("org/name cannot be downloaded: the hub cannot be reached (")


LIGHT = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules, file=sys.stderr))
from sed.__main__ import main
main()
"""


@pytest.mark.parametrize("arguments", [(), ("show", "timnet-mfcc"), ("download", "org/name")])
def test_list_show_and_download_start_without_torch(
    online: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    fill_cache(tmp_path / "hub", "org/name", OURS)
    with FakeHub({"org/name": OURS}) as hub:
        outcome = online(hub.address, *arguments, command=("-c", LIGHT))
    text, _, loaded = outcome.err.partition("MODULES")
    assert (outcome.code, text) == (0, "")
    heavy = {"torch", "numpy", "pyannote.core", "transformers", "soundfile", "sed.model"}
    assert heavy & set(loaded.split()) == set()


def test_show_prints_the_card_as_it_is(models: Command, cache: Path) -> None:
    card = OURS[CARD].decode()
    assert models("show", "timnet-mfcc").out == card
    assert models("show", EMBEDDED).out == card
    fill_cache(cache, "org/name", {CONFIG: OURS[CONFIG], WEIGHTS: OURS[WEIGHTS]})
    generated = models("show", "org/name").out
    assert "sed diarize call.wav --model org/name" in generated.splitlines()
    outcome = models("show", "org/missing")
    assert outcome.code == 2
    assert outcome.error.endswith(
        "nor in the cache, and the hub must not be asked; where there is a network: "
        "sed models download org/missing"
    )


def test_a_card_on_a_terminal_holds_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What the hub reads is left out, and nothing reaches the terminal as an order to it."""
    _print_card("---\nlicense: mit\n---\n\n# Title\n\n\x1b]0;taken over\x07text\x9b2J\n")
    shown = capsys.readouterr().out
    assert "license" not in shown and "Title" in shown and "text" in shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b"}
    _print_card("---\nno end of it\n")
    assert "no end of it" in capsys.readouterr().out


def test_convert_writes_a_folder_of_ours(models: Command, tmp_path: Path) -> None:
    """With the decoding, and with the card that says what it was made from."""
    folder = tmp_path / "new" / "model"
    outcome = models("convert", "timnet-mfcc", folder)
    assert outcome == Outcome(0, f"{folder}\n", "")
    written = model_files(folder)
    assert json.loads(written[CONFIG]) == json.loads(OURS[CONFIG])
    assert written[CARD] == OURS[CARD]
    import torch

    from sed.model import EmotionModel

    state = EmotionModel.from_pretrained(folder).state_dict()
    for name, tensor in EmotionModel.from_pretrained("timnet-mfcc").state_dict().items():
        assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("word", ["convert", "export"])
def test_nothing_is_written_over(models: Command, tmp_path: Path, word: str) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    for folder in (tmp_path, tmp_path / "thesis.txt"):
        outcome = models(word, "timnet-mfcc", folder)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.error == f"{folder} is not an empty folder; name a new one"
    assert (tmp_path / "thesis.txt").read_text() == "dear"


def test_an_exported_model_diarizes_as_the_model_does(
    models: Command, diarize: Command, model_folder: Path, call: Path, tmp_path: Path
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    exported = tmp_path / "exported model"
    assert models("export", model_folder, exported) == Outcome(0, f"{exported}\n", "")
    assert kind_of(exported) == "onnx"
    assert (exported / CARD).read_text() == (model_folder / CARD).read_text()
    expected = diarize(call, "--rttm", "-")
    assert len(expected.out.splitlines()) > 2
    assert diarize(call, "--rttm", "-", "--model", exported) == expected


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_export_tells_what_to_install(
    models: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, package, None)
    outcome = models("export", "timnet-mfcc", tmp_path / "exported")
    assert (outcome.code, outcome.out) == (2, "")
    told = f"needs {package}; pip install 'speech-emotion-diarization[onnx]'"
    assert outcome.error.endswith(told) and not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("dance",), "no such command 'dance'; see sed models --help"),
        (("download",), "missing argument 'NAME'; see sed models download --help"),
        (("show", "nosuch"), "no model 'nosuch': neither embedded (timnet-mfcc) nor a folder"),
        (("convert", "nosuch", "new"), "no model 'nosuch'"),
        (("export", "nosuch", "new"), "no model 'nosuch'"),
        (("convert", "timnet-mfcc"), "missing argument 'FOLDER'"),
    ],
)
def test_wrong_use_is_one_line(models: Command, arguments: tuple[str, ...], complaint: str) -> None:
    outcome = models(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error


def test_debug_shows_the_traceback_before_the_line(models: Command) -> None:
    lines = models("show", "nosuch", "--debug").err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("sed: no model 'nosuch'")
