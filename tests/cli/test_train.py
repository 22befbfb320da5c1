"""`sed train`: a recipe's settings through the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Command
from running import RECIPES, ZED, make_corpora, start
from typer.main import get_command

from sed.cli import app
from sed.hub import CARD, CONFIG, WEIGHTS

DEBUG = ZED / "hparams" / "debug.yaml"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def trained(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run of the command, and what it printed."""
    pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    folder = tmp_path_factory.mktemp("train")
    arguments = ["train", DEBUG, "--data-folder", corpora, "--output-folder", folder / "out"]
    arguments += ["--num-epochs", "1", "--seeds", "2", "--device", "cpu", "--noprogressbar"]
    arguments += ["--decoding={path: viterbi, switch_penalty: 1e-1}"]
    return folder / "out", start("sed", *arguments, folder=folder, log=folder / "log").end()


def test_a_training_leaves_models_and_scores(trained: tuple[Path, str]) -> None:
    """Options of the help, settings with hyphens, and values of either spelling."""
    output, printed = trained
    assert sorted(path.name for path in output.iterdir()) == ["78", "79", "seeds.json"]
    assert "mean ± std" in printed and "Traceback" not in printed
    config = json.loads((output / "78" / "model" / CONFIG).read_text())
    assert "| seed | 78 |" in (output / "78" / "model" / CARD).read_text()
    assert config["decoding"]["path"] == "viterbi"
    assert config["decoding"]["switch_penalty"] == 0.1


def test_its_experiment_is_converted_to_a_model(
    sed: Command, trained: tuple[Path, str], tmp_path: Path
) -> None:
    """Whether it was finished or not; the folder is that of the training itself."""
    experiment = trained[0] / "79"
    outcome = sed("models", "convert", experiment, tmp_path / "model")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{tmp_path / 'model'}\n", "")
    for name in (CONFIG, WEIGHTS):
        own = experiment / "model" / name
        assert (tmp_path / "model" / name).read_bytes() == own.read_bytes()
    assert "simulated recordings" in sed("models", "show", tmp_path / "model").out
    again = sed("models", "convert", experiment, tmp_path / "model")
    assert again.code == 2 and "is not an empty folder" in again.error


def test_an_experiment_without_a_whole_checkpoint_is_called_so(
    sed: Command, trained: tuple[Path, str], tmp_path: Path
) -> None:
    description = (trained[0] / "79" / "experiment.json").read_text()
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "experiment.json").write_text(description)
    outcome = sed("models", "convert", tmp_path / "early", tmp_path / "model")
    assert outcome.code == 2
    assert outcome.error.endswith("holds no whole checkpoint; train for an epoch at least")
    for damaged in ("{", "{}", description.replace("linear", "square")):
        (tmp_path / "early" / "experiment.json").write_text(damaged)
        outcome = sed("models", "convert", tmp_path / "early", tmp_path / "model")
        assert outcome.code == 2
        assert f"{tmp_path / 'early' / 'experiment.json'} describes no experiment" in outcome.error
    assert not (tmp_path / "model").exists()


def test_convert_needs_no_speechbrain(trained: tuple[Path, str], tmp_path: Path) -> None:
    code = """
import sys
sys.modules |= dict.fromkeys(["speechbrain", "hyperpyyaml", "ruamel", "tensorboard"])
from sed.cli import app
app()
"""
    arguments = ["models", "convert", str(trained[0] / "78"), str(tmp_path / "model")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    assert (tmp_path / "model" / WEIGHTS).is_file()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "missing argument 'SETTINGS'; see sed train --help"),
        (["none.yaml"], "none.yaml: no such file or directory"),
        (["--batch-size", "3"], "name a settings file first"),
        ([DEBUG, "--batch-sise", "3"], "no setting or option 'batch_sise'; did you mean"),
        ([DEBUG, "--batch-size", "0"], "batch_size is 0, no whole number from 1 on"),
        ([DEBUG, "--seeds", "two"], "invalid value for '--seeds'"),
        ([DEBUG, "--seeds=0"], "--seeds 0: train with one seed at least"),
        ([DEBUG, "--data-folder", "/no/such"], "/no/such is no folder"),
        ([DEBUG, "--data_folder=/no/such=1"], "/no/such=1 is no folder"),
        ([DEBUG, "--test-only", "--judged", "nosuch"], "no model 'nosuch'"),
        ([DEBUG, "--device", "cuda:9"], "--device=cuda:9: "),
        ([DEBUG, "--precision", "fp4"], "argument --precision: invalid choice: 'fp4'"),
        ([DEBUG, "--grid"], "debug.yaml has no grid; list values of settings under grid:"),
        ([DEBUG, "--jobs", "2"], "--jobs means nothing without --grid"),
        ([DEBUG, "4"], "'4' belongs to no option"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    sed: Command,
    corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str | Path],
    complaint: str,
) -> None:
    pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    monkeypatch.chdir(tmp_path)
    if DEBUG in arguments and not any("folder" in str(argument) for argument in arguments):
        arguments = [*arguments, "--data-folder", corpora]
    outcome = sed("train", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error
    assert list(tmp_path.iterdir()) == []


def test_a_grid_of_which_an_experiment_fails_has_exit_code_1(
    sed: Command, corpora: Path, tmp_path: Path
) -> None:
    """One line says why; how the others go is to be seen without it."""
    pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    (tmp_path / "corpora").mkdir()
    shutil.copytree(corpora / "emodb", tmp_path / "corpora" / "emodb")
    broken = tmp_path / "corpora" / "emodb" / "wav" / "03a01Wa.wav"
    broken.write_bytes(b"RIFF")
    settings = tmp_path / "grid.yaml"
    recipe = RECIPES / "TIMNet" / "hparams" / "emodb.yaml"
    settings.write_text(f"extends: {recipe}\ncomplete_corpora: false\ngrid: {{num_folds: [2]}}\n")
    arguments = ["train", settings, "--data-folder", tmp_path / "corpora", "--grid", "--jobs=2"]
    outcome = sed(*arguments, "--output-folder", tmp_path / "out", "--noprogressbar")
    assert outcome.code == 1
    assert outcome.err.startswith(f"failed: num_folds=2: {broken}") and outcome.err.count("\n") == 1
    assert outcome.out.endswith(f"\n{tmp_path / 'out'}: 1 failed\n")
    listed = sed(*arguments, "--output-folder", tmp_path / "out", "--dry-run", "--noprogressbar")
    assert (listed.code, listed.err) == (0, "") and listed.out.startswith("begun   num_folds=2\n")


@pytest.mark.parametrize("package", ["speechbrain", "ruamel.yaml"])
def test_without_the_extra_it_says_how_to_get_it(package: str) -> None:
    """In a Python that lacks the package: one line, of which no warning is a part."""
    code = f"""
import sys
sys.modules[{package!r}] = None
from sed.cli import app
app(prog_name="sed")
"""
    arguments = ["train", str(DEBUG)]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"sed: training needs {package}: pip install 'speech-emotion-diarization[train]'\n"
    )


def test_loading_what_trains_prints_nothing() -> None:
    """SpeechBrain warns of packages that it misses; that is not of interest to anybody here."""
    pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    result = subprocess.run(
        [sys.executable, "-m", "sed", "train", "none.yaml"], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "sed: none.yaml: no such file or directory\n"


def test_every_option_of_the_help_exists() -> None:
    """As a setting of the recipes, an option of SpeechBrain, or one of our own."""
    speechbrain = pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    from sed.training.arguments import OPTIONS
    from sed.training.settings import load_settings, read_settings

    _, options, _ = speechbrain.parse_arguments([str(DEBUG)])
    known = {*load_settings(read_settings(DEBUG), "data_folder: x"), *options.keys(), *OPTIONS}
    parameters = get_command(app).commands["train"].params
    assert {parameter.name for parameter in parameters} - known == {"settings"}


def test_ctrl_c_ends_it_in_one_line_and_it_goes_on(corpora: Path, tmp_path: Path) -> None:
    """Sent to the whole group, as a terminal does: also to the process that draws recordings."""
    pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    output = tmp_path / "out"
    arguments = ["train", str(DEBUG), "--data-folder", str(corpora), "--output-folder", str(output)]
    arguments += ["--num-workers", "1", "--noprogressbar", "--num-epochs", "500"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sed", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 240
    while not list(output.glob("save/CKPT*/WHOLE")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    *_, last = errors.decode().splitlines()
    assert last == "sed: interrupted; start it again to go on from the last checkpoint"
    assert b"Traceback" not in errors
    done = max(
        int(re.search(r"^epoch: (\d+)", path.read_text(), flags=re.MULTILINE)[1])
        for path in output.glob("save/*/CKPT.yaml")
    )
    arguments[-1] = str(done + 1)
    printed = start("sed", *arguments, folder=tmp_path, log=tmp_path / "log").end()
    assert f"Going into epoch {done + 1}" in printed and "Going into epoch 1\n" not in printed
    assert (output / "results.json").is_file()
