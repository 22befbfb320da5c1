"""The recipe of the embedded model, run for real on one real corpus with few steps."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from running import EMBEDDED, Run, start
from safetensors.torch import load_file

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

FEW = ["hparams/timnet-mfcc.yaml", "--corpora=[emodb]", "--noprogressbar"]
FEW += ["--num_epochs=3", "--steps_per_epoch=2", "--batch_size=2", "--num_valid=2", "--num_test=6"]


def begin(shared: Path, output: Path) -> Run:
    """The recipe, started; with a process beside it that draws the recordings."""
    options = [f"--data_folder={shared / 'corpora'}", f"--output_folder={output}"]
    options.append(f"--speech_folder={output.parent.parent / 'speech'}")
    options.append(f"--noise_folder={shared / 'corpora' / 'noise_rir'}")
    return start("train.py", *FEW, *options, folder=EMBEDDED, log=Path(f"{output}.log"))


@pytest.fixture(scope="module")
def whole(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that nobody interrupted."""
    output = tmp_path_factory.mktemp("recipe") / "whole"
    begin(shared, output).end()
    return output


def test_a_killed_run_goes_on_to_the_same_weights(
    whole: Path, shared: Path, tmp_path: Path
) -> None:
    """A run that is killed after its first epoch and started again ends like one that was not."""
    output = tmp_path / "killed"
    begin(shared, output).stop_after_an_epoch(signal.SIGKILL, output)
    assert not (output / "model").exists()
    printed = begin(shared, output).end()
    assert "Going into epoch 3" in printed and "Going into epoch 1" not in printed
    expected, resumed = (
        load_file(folder / "model" / "model.safetensors") for folder in (whole, output)
    )
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_the_trained_model_is_judged_by_the_whole_pipeline(whole: Path) -> None:
    """On recordings of the test speakers: the score of saying nothing stands beside its own."""
    found = json.loads((whole / "results.json").read_text())["simulated"]
    assert found["recordings"] == 6
    assert 0.3 < found["all_neutral_macro_eder"] < 0.9
    card = (whole / "model" / "README.md").read_text()
    assert f"| 6 simulated | {100 * found['macro_eder']:.1f} %" in card
    folder = whole / "evaluation" / "simulated"
    assert "all neutral" in (folder / "report.md").read_text()
    uris = [line.split()[1] for line in (folder / "hypothesis.rttm").read_text().splitlines()]
    assert {uri.split("-")[1] for uri in uris} <= {"15", "16"}
    reference = json.loads((folder / "reference.json").read_text())["recordings"]
    assert {each["uri"].split("-")[1] for each in reference} <= {"15", "16"}
