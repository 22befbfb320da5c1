"""The recipe of the embedded model, run for real on one corpus with few steps."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

RECIPE = Path(__file__).resolve().parents[2] / "recipes/EmoDB_EMOVO_RAVDESS/emotion_diarization"
OPTIONS = [
    "--corpora=[emodb]",
    "--num_epochs=3",
    "--steps_per_epoch=2",
    "--batch_size=2",
    "--num_valid=2",
    "--num_test=6",
    "--num_workers=0",
]


def start(script: str, shared: Path, output: Path) -> subprocess.Popen[bytes]:
    """Run a script of the recipe on the real corpus, its output into a log beside the results."""
    command = [sys.executable, script, "hparams/timnet-mfcc.yaml", *OPTIONS]
    command += [f"--data_folder={shared / 'corpora'}", f"--output_folder={output}"]
    with open(f"{output}.log", "ab") as log:
        return subprocess.Popen(command, cwd=RECIPE, stdout=log, stderr=subprocess.STDOUT)


def run(script: str, shared: Path, output: Path) -> str:
    """Run a script to its end and give what it printed."""
    code = start(script, shared, output).wait(timeout=300)
    log = Path(f"{output}.log").read_text(encoding="utf-8")
    assert code == 0, log[-2000:]
    return log


@pytest.fixture(scope="module")
def whole(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that nobody interrupted."""
    output = tmp_path_factory.mktemp("recipe") / "whole"
    run("train.py", shared, output)
    return output


def test_a_killed_run_goes_on_to_the_same_weights(
    whole: Path, shared: Path, tmp_path: Path
) -> None:
    """A run that is killed after its first epoch and started again ends like one that was not."""
    output = tmp_path / "killed"
    process = start("train.py", shared, output)
    deadline = time.monotonic() + 240
    while not list(output.glob("save/CKPT*/average.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "model").exists()
    run("train.py", shared, output)
    expected = load_file(whole / "model" / "model.safetensors")
    resumed = load_file(output / "model" / "model.safetensors")
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_the_trained_model_is_evaluated_by_the_whole_pipeline(whole: Path, shared: Path) -> None:
    """Evaluation writes both sides and a table with the score of saying nothing beside it."""
    printed = run("evaluate.py", shared, whole)
    assert "all neutral" in printed and "emodb" in printed
    for side in ("reference", "hypothesis"):
        assert (whole / "evaluation" / f"{side}.json").stat().st_size > 100
