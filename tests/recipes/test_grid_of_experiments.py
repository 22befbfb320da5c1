"""Grids of real experiments, tiny ones: in one process after the other, side by side, on Ray."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from running import RECIPES, ZED, make_corpora, start

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.training.arguments import parse_arguments  # noqa: E402
from sed.training.kinds import TRAINING  # noqa: E402
from sed.training.runs import main  # noqa: E402

TINY = f"""\
extends: {RECIPES}/TIMNet/hparams/emodb.yaml
complete_corpora: false
num_folds: 2
num_epochs: 1
num_samples: 20000
channels: 4
num_blocks: 2
compiled: false
"""

GRID = "output_folder: results\ngrid: {variant: [timnet, tcn], seed: [1, 2]}\n"
NAMES = [f"variant={variant},seed={seed}" for variant in ("timnet", "tcn") for seed in (1, 2)]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


def written(folder: Path, text: str = GRID) -> str:
    path = folder / "grid.yaml"
    path.write_text(TINY + text)
    return str(path)


def command(corpora: Path, settings: str, output: Path, *options: str) -> list[str]:
    """Arguments of a recipe."""
    folders = [f"--data_folder={corpora}", f"--output_folder={output}"]
    return [settings, *folders, "--device=cpu", "--noprogressbar", *options]


def results(output: Path) -> dict[str, Any]:
    """What was found, but for how long it took."""
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    assert found.pop("seconds") > 0
    return found


def same(first: Path, second: Path) -> None:
    """Two grids have found the same in all that they found."""
    for name in NAMES:
        assert results(first / name) == results(second / name)
        for table in ("curves.csv", "predictions.csv"):
            assert (first / name / table).read_text() == (second / name / table).read_text()


@pytest.fixture(scope="module")
def whole(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a grid that ran one experiment after the other; it may be moved."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(command(corpora, written(folder), Path("out"), "--grid"))
    return folder / "out"


@pytest.fixture
def copy(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to go on in."""
    shutil.copytree(whole, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return Path("out")


def test_each_experiment_has_its_folder(whole: Path, corpora: Path, tmp_path: Path) -> None:
    """And is what it would be on its own."""
    assert sorted(path.name for path in whole.iterdir()) == sorted([*NAMES, "grid.json"])
    listed = json.loads((whole / "grid.json").read_text())
    assert listed[NAMES[3]] == {"variant": "tcn", "seed": 2}
    for name in NAMES:
        found = results(whole / name)
        assert f"variant={found['variant']},seed={found['seed']}" == name
        assert "emodb *: UAR/WAR" in (whole / name / "log.txt").read_text()
        assert "\ngrid:" not in (whole / name / "hyperparams.yaml").read_text()
    settings = written(tmp_path, "")
    main(command(corpora, settings, tmp_path / "alone", "--variant=tcn", "--seed=2"))
    assert results(tmp_path / "alone") == results(whole / NAMES[3])
    assert results(whole / NAMES[2]) != results(whole / NAMES[3])


def test_side_by_side_they_find_the_same(corpora: Path, whole: Path, tmp_path: Path) -> None:
    main(command(corpora, written(tmp_path), tmp_path / "out", "--grid", "--jobs=2"))
    same(tmp_path / "out", whole)


def test_on_ray_they_find_the_same(corpora: Path, whole: Path, tmp_path: Path) -> None:
    """Two workers of a cluster that is started for them, from another folder."""
    pytest.importorskip("ray", reason="a cluster needs the extra 'cluster'")
    arguments = command(corpora, written(tmp_path), Path("out"), "--grid", "--jobs=2")
    arguments += ["--engine=ray"]
    script = str(RECIPES / "TIMNet" / "train.py")
    printed = start(script, *arguments, folder=tmp_path, log=tmp_path / "log").end()
    assert printed.endswith("out: 4 done\n")
    same(tmp_path / "out", whole)


def test_what_is_done_is_skipped_and_what_is_lost_is_found_again(
    corpora: Path, whole: Path, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(corpora, written(tmp_path), copy, "--grid")
    (copy / NAMES[1] / "results.json").unlink()
    shutil.rmtree(copy / NAMES[2])
    before = {name: (copy / name / "results.json").stat().st_mtime_ns for name in NAMES[::3]}
    main([*arguments, "--dry-run"])
    states = dict(zip(NAMES, ("done ", "begun", "to do", "done "), strict=True))
    lines = [f"{state}   {name}" for name, state in states.items()]
    lines.append("out: 2 done, 1 begun, 1 to do")
    assert capsys.readouterr() == ("\n".join([*lines, ""]), "")
    assert not (copy / NAMES[2]).exists()
    main(arguments)
    lines = [*(f"done    {name}" for name in NAMES), "out: 4 done"]
    assert capsys.readouterr() == ("\n".join([*lines, ""]), "")
    same(copy, whole)
    for name, stamp in before.items():
        assert (copy / name / "results.json").stat().st_mtime_ns == stamp


def test_a_grid_that_grows_keeps_what_it_has(
    corpora: Path, whole: Path, copy: Path, tmp_path: Path
) -> None:
    grown = written(tmp_path, GRID.replace("[1, 2]", "[1, 2, 3]").replace(", tcn", ""))
    main(command(corpora, grown, copy, "--grid"))
    assert results(copy / "variant=timnet,seed=3")["seed"] == 3
    for name in NAMES:
        assert (copy / name / "log.txt").read_text() == (whole / name / "log.txt").read_text()
    same(copy, whole)


def test_one_that_fails_stops_no_other(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found wrong only when its recordings are read; mended, it alone runs again."""
    mine, output = tmp_path / "corpora", tmp_path / "out"
    shutil.copytree(corpora, mine)
    broken = mine / "emovo" / "f1" / "rab-f1-b1.wav"
    whole_file = broken.read_bytes()
    broken.write_bytes(b"RIFF")
    settings = written(tmp_path, "output_folder: results\ngrid: {corpus: [emovo, emodb]}\n")
    with pytest.raises(SystemExit) as end:
        main(command(mine, settings, output, "--grid"))
    assert end.value.code == 1
    printed = capsys.readouterr()
    failed, done, last = printed.out.splitlines()
    assert failed.startswith(f"failed  corpus=emovo: {broken}")
    assert failed.endswith(f"; see {output}/corpus=emovo/log.txt")
    assert done == "done    corpus=emodb"
    assert last == f"{output}: 1 failed, 1 done"
    assert printed.err.startswith(f"failed: corpus=emovo: {broken}")
    assert "Traceback" in (output / "corpus=emovo" / "log.txt").read_text()
    broken.write_bytes(whole_file)
    main(command(mine, settings, output, "--grid"))
    assert capsys.readouterr().out.endswith(f"{output}: 2 done\n")


def session(number: int) -> list[str]:
    """Processes of a session that are still there."""
    listed = subprocess.run(["ps", "-A", "-o", "sid=,stat=,args="], capture_output=True, text=True)
    lines = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [line[2] for line in lines if line[0] == str(number) and line[1][0] != "Z"]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux lists them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_grid_that_was_stopped_leaves_nothing_running_and_goes_on(
    corpora: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C goes to the whole group, as from a terminal; a kill to the first process alone."""
    output = tmp_path / "out"
    settings = written(tmp_path, "num_together: 1\ngrid: {seed: [1, 2, 3]}\n")
    long = "--num_epochs=30"
    arguments = command(corpora, settings, output, "--grid", "--jobs=2")
    process = subprocess.Popen(
        [sys.executable, "-m", "sed", "train", *arguments, long],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 240
    while not list(output.glob("*/folds-0.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=120)
    if number == signal.SIGINT:
        assert process.returncode == 130
        counted, last = errors.splitlines()
        assert re.fullmatch("[012] of 3 experiments are done", counted)
        assert last.startswith("sed: interrupted; start it again to go on from the last")
    while left := session(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert len(list(output.glob("*/results.json"))) < 3
    main([*arguments, long])
    assert [results(output / f"seed={seed}")["seed"] for seed in (1, 2, 3)] == [1, 2, 3]


def test_each_combination_has_each_seed(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And where it trains a model, mean and deviation."""
    path = tmp_path / "grid.yaml"
    path.write_text(f"extends: {ZED}/hparams/debug.yaml\noutput_folder: out\n")
    with open(path, "a") as stream:
        stream.write(f"speech_folder: {tmp_path}/speech\nnum_epochs: 1\ntensorboard: false\n")
        stream.write("grid: {head_learning_rate: [1e-2]}\n")
    arguments = command(corpora, str(path), tmp_path / "out", "--grid", "--seeds=2", "--jobs=2")
    main(arguments)
    printed = capsys.readouterr().out
    folder = tmp_path / "out" / "head_learning_rate=0.01"
    assert sorted(path.name for path in folder.iterdir()) == ["78", "79", "seeds.json"]
    found = [json.loads((folder / seed / "results.json").read_text()) for seed in ("78", "79")]
    mean = np.mean([each["zed"]["macro_eder"] for each in found])
    summary = json.loads((folder / "seeds.json").read_text())
    assert summary["zed"]["macro_eder"]["mean"] == pytest.approx(mean)
    assert f"done    {folder.name}/78\ndone    {folder.name}/79\n" in printed


def test_a_trial_of_all_keeps_nothing(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = written(tmp_path, "output_folder: results\ngrid: {seed: [1]}\n")
    main(command(corpora, settings, tmp_path / "out", "--grid", "--debug"))
    assert capsys.readouterr().out.endswith("1 done\nthat was a trial; nothing was kept\n")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]


@pytest.fixture
def refusal(corpora: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Why a grid does not begin; nothing is said or written besides."""

    def run(grid: str, *options: str) -> str:
        settings = written(tmp_path, f"output_folder: results\ngrid: {grid}\n")
        with pytest.raises(SystemExit) as end:
            main(command(corpora, settings, tmp_path / "out", "--grid", *options))
        assert isinstance(end.value.code, str)  # which Python prints, leaving with exit code 1
        assert "\n" not in end.value.code and capfd.readouterr() == ("", "")
        assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]
        return end.value.code.removeprefix("train.py: ")

    return run


@pytest.mark.parametrize(
    ("grid", "options", "complaint"),
    [
        ("{seed: [1], variant: [tcn, lstm]}", [], "seed=1,variant=lstm: unknown variant 'lstm'"),
        ("{corpus: [emodb, iemocap]}", [], "corpus=iemocap: "),
        ("{corpus: [emodb, nosuch]}", [], "corpus=nosuch: unknown corpus 'nosuch'"),
        ("{classes: [[happy, sad], [happy, bored]]}", [], "emodb has no recording that is bored"),
        ("{num_folds: [2, 99]}", [], "num_folds=99: 16 utterances are too few for 99 folds"),
        ("{dropout: [0.1, 2]}", [], "dropout=2: dropout is 2, no number from 0 to below 1"),
        ("{seed: [1, 2, 1]}", [], "two combinations would have the folder seed=1"),
        ("{seed: [1, '1']}", [], "two combinations would have the folder seed=1"),
        ("{seed: [1, 2]}", ["--seeds=2"], "--seeds 2: the grid has values of seed already"),
        ("{seed: [1]}", ["--device=cuda:9"], "--device=cuda:9: "),
        ("{seed: [1]}", ["--test_only"], "seed=1: --test_only means nothing here"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_runs(
    refusal: Callable[..., str], grid: str, options: list[str], complaint: str
) -> None:
    """It names the combination, also where it is the last one."""
    assert complaint in refusal(grid, *options)


def test_one_folder_holds_them_all(corpora: Path, tmp_path: Path) -> None:
    """Settings that lead to several are refused, as the file of EmoDB does without an own one."""
    settings = written(tmp_path, "grid: {variant: [timnet, tcn]}\n")
    with pytest.raises(SystemExit) as end:
        main([settings, f"--data_folder={corpora}", "--grid", "--device=cpu", "--noprogressbar"])
    assert "output_folder is results/emodb/utterance-code-timnet/1 and results/emodb/" in str(
        end.value.code
    )


def test_a_folder_that_began_otherwise_is_named(corpora: Path, copy: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(command(corpora, written(tmp_path), copy, "--grid", "--dropout=0.3"))
    assert f"{NAMES[0]}: out/{NAMES[0]} began with another dropout; " in str(end.value.code)


def test_a_disk_too_small_for_all_together_is_noticed_first(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there would be room for each of them."""
    path = tmp_path / "grid.yaml"
    text = f"extends: {ZED}/hparams/debug.yaml\noutput_folder: out\ngrid: {{seed: [1, 2, 3]}}\n"
    path.write_text(text)
    arguments = command(corpora, str(path), tmp_path / "out", "--grid", "--dry-run")
    given = parse_arguments(arguments)
    room = TRAINING.check(given.text, given.changes, given.run_opts).room
    for times in (3.5, 2.5):
        usage = SimpleNamespace(free=times * room)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, usage=usage: usage)
        if times > 3:
            main(arguments)
        else:
            with pytest.raises(SystemExit, match="checkpoints need 0.0 GB, the disk has less"):
                main(arguments)


def test_processes_that_train_together_run_no_grid(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    line = refusal("{seed: [1]}", "--distributed_backend=gloo")
    assert line == "--grid runs experiments in processes of their own; leave torchrun out"


def test_without_the_extra_it_says_how_to_get_it(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = refusal("{seed: [1]}", "--engine=ray")
    assert line == "--engine=ray needs ray: pip install 'speech-emotion-diarization[cluster]'"
