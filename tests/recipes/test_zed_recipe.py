"""The ZED recipe, run for real with a tiny encoder on folders in the corpora's layout."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

RECIPE = Path(__file__).resolve().parents[2] / "recipes/ZaionEmotionDataset/emotion_diarization"
TONES = {"W": 300, "F": 1000, "T": 2500, "N": 5000}  # of anger, happiness, sadness and neutral


def tone(frequency: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (0.1 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EmoDB with four speakers who whistle, and ZED with three recordings."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "emodb" / "wav").mkdir(parents=True)
    for speaker in ("03", "08", "09", "10"):
        for code, frequency in TONES.items():
            path = folder / "emodb" / "wav" / f"{speaker}a01{code}a.wav"
            soundfile.write(path, tone(frequency, 0.6), 16_000)
    items = {}
    (folder / "ZED" / "wavs").mkdir(parents=True)
    for name, code in (("angry", "W"), ("happy", "F"), ("sad", "T")):
        samples = np.concatenate([tone(TONES["N"], 0.5), tone(TONES[code], 1.0)])
        soundfile.write(folder / "ZED" / "wavs" / f"{name}.wav", samples, 16_000)
        items[name] = {
            "wav": f"datafolder/wavs/{name}.wav",
            "duration": 1.5,
            "emotion": [{"emo": name, "start": 0.5, "end": 1.5}],
        }
    (folder / "ZED" / "ZED.json").write_text(json.dumps(items))
    return folder


def start(
    corpora: Path,
    output: Path,
    *options: str,
    script: str = "train.py",
    settings: str = "debug",
) -> subprocess.Popen[bytes]:
    command = [sys.executable, script, f"hparams/{settings}.yaml", f"--data_folder={corpora}"]
    command += [f"--output_folder={output}", *options]
    with open(f"{output}.log", "ab") as log:
        return subprocess.Popen(command, cwd=RECIPE, stdout=log, stderr=subprocess.STDOUT)


def run(corpora: Path, output: Path, *options: str, code: int = 0, **choices: str) -> str:
    found = start(corpora, output, *options, **choices).wait(timeout=300)
    log = Path(f"{output}.log").read_text(encoding="utf-8")
    assert found == code, log[-2000:]
    return log


@pytest.fixture(scope="module")
def whole(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run that nobody interrupted, and what it printed."""
    output = tmp_path_factory.mktemp("zed") / "whole"
    return output, run(corpora, output)


def test_a_run_trains_saves_and_scores(whole: tuple[Path, str]) -> None:
    """The model loads, the log has both learning rates, the table is that of `sed score`."""
    from sed.model import EmotionModel

    output, printed = whole
    model = EmotionModel.from_pretrained(output / "model")
    assert model.specifications.classes == ("neutral", "happy", "sad", "angry")
    assert model.decoding["path"] == "argmax"
    assert (output / "model" / "README.md").is_file()
    assert "encoder_lr" in (output / "train_log.txt").read_text()
    assert "EDER" in printed and "3 recordings" in printed
    assert len((output / "evaluation" / "reference.json").read_text().splitlines()) >= 3
    assert "sed score --ref" in printed


def test_the_evaluation_alone_prints_the_same_table(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    output, printed = whole
    alone = run(
        corpora, tmp_path / "again", f"--evaluated={output / 'model'}", script="evaluate.py"
    )
    numbers = re.compile(r"\d+\.\d+")
    table = alone[alone.index("EDER") :].partition("more:")[0]
    assert numbers.findall(table) and numbers.findall(table) == numbers.findall(
        printed[printed.index("EDER") :].partition("more:")[0]
    )


def test_a_killed_run_goes_on_to_the_same_weights(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    process = start(corpora, output)
    deadline = time.monotonic() + 240
    while not list(output.glob("save/CKPT*/WHOLE")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "model").exists()
    run(corpora, output)
    expected = load_file(whole[0] / "model" / "model.safetensors")
    resumed = load_file(output / "model" / "model.safetensors")
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--corpora=[emodb, iemocap]"], "holds no iemocap"),
        (["--complete_corpora=true"], "of the 535 recordings of emodb"),
        (["--corpora=[nosuch]"], "unknown corpus 'nosuch'"),
        (["--head={name: lstm}"], "unknown head 'lstm'"),
    ],
)
def test_what_is_missing_is_one_line_before_anything_starts(
    corpora: Path, tmp_path: Path, options: list[str], complaint: str
) -> None:
    log = run(corpora, tmp_path / "out", *options, code=1)
    [line] = [line for line in log.splitlines() if line.startswith("train.py: ")]
    assert complaint in line and "Traceback" not in log
    assert not (tmp_path / "out").exists()


def test_the_published_settings_train_a_published_encoder(corpora: Path, tmp_path: Path) -> None:
    """`train.yaml` itself, with few steps and small ones in the place of encoder and corpora."""
    from tiny_encoders import LARGE
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    from sed.model import EmotionModel

    HubertModel(HubertConfig(**LARGE)).save_pretrained(tmp_path / "encoder")
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path / "encoder")
    run(
        corpora,
        tmp_path / "out",
        f"--encoder_source={tmp_path / 'encoder'}",
        *("--corpora=[emodb]", "--complete_corpora=false", "--vad=none", "--valid_share=0.25"),
        *("--num_epochs=1", "--steps_per_epoch=1", "--num_valid=2", "--num_workers=0"),
        settings="train",
    )
    model = EmotionModel.from_pretrained(tmp_path / "out" / "model")
    assert model.config["frontend"]["name"] == "hubert"
    assert model.config["frontend"]["waveform_norm"] == "standard"


@pytest.mark.parametrize("name", ["train", "debug"])
def test_every_setting_is_used(name: str) -> None:
    """By the recipe's scripts, the brain, or another setting."""
    text = (RECIPE / "hparams" / f"{name}.yaml").read_text()
    keys = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    code = "".join(path.read_text() for path in RECIPE.glob("*.py"))
    root = RECIPE.parents[2] / "sed" / "training"
    code += (root / "finetuning.py").read_text()
    for key in keys:
        patterns = (rf'"{key}"', rf"hparams\.{key}\b", rf"<{key}>")
        derived = key.endswith(("_opt_class", "_schedule"))  # read for each part of the model
        used = any(re.search(pattern, code + text) for pattern in patterns)
        assert used or derived or key.startswith("__"), f"{key} is used nowhere"
