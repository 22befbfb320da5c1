"""The ZED recipe, run for real with a tiny encoder on folders in the corpora's layout."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import ZED, Run, make_corpora, start
from safetensors.torch import load_file

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.model import EmotionModel  # noqa: E402
from sed.training.runs import main  # noqa: E402

SMALL = ["hparams/debug.yaml", "--num_epochs=3", "--corpora=[emodb, emovo]", "--noprogressbar"]
SMALL += ["--test=0.25", "--num_test=4"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


def command(corpora: Path, output: Path, *options: str) -> list[str]:
    """Arguments of the recipe."""
    return [*SMALL, f"--data_folder={corpora}", f"--output_folder={output}", *options]


def begin(corpora: Path, output: Path, *options: str) -> Run:
    """The recipe, started."""
    arguments = command(corpora, output, *options)
    return start("train.py", *arguments, folder=ZED, log=Path(f"{output}.log"))


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "model.safetensors")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run that nobody interrupted, and what it printed."""
    output = tmp_path_factory.mktemp("zed") / "whole"
    done = subprocess.run(
        [sys.executable, "train.py", *command(corpora, output)],
        cwd=ZED,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return output, done.stdout


def test_a_run_trains_saves_and_scores(whole: tuple[Path, str]) -> None:
    """The model loads, the log has both learning rates, the table is that of `sed score`."""
    output, printed = whole
    model = EmotionModel.from_pretrained(output / "model")
    assert model.specifications.classes == ("neutral", "happy", "sad", "angry")
    assert model.decoding["path"] == "argmax"
    assert "3, by frame_error" in (output / "model" / "README.md").read_text()
    lines = (output / "train_log.txt").read_text().splitlines()
    assert len(lines) == 3 and all("encoder_lr" in line and "eder" in line for line in lines)
    assert list((output / "tensorboard").iterdir())
    results = json.loads((output / "results.json").read_text())
    assert {name: found["recordings"] for name, found in results.items()} == {
        "zed": 3,
        "simulated": 4,
    }
    assert 0 < results["zed"]["all_neutral_macro_eder"] < 1
    for name in results:
        folder = output / "evaluation" / name
        assert (folder / "reference.json").is_file() and (folder / "hypothesis.rttm").is_file()
        assert "all neutral" in (folder / "report.md").read_text()
        assert f"sed score --ref {folder}/reference.json" in printed


def test_recordings_of_several_corpora_are_scored_by_corpus_too(whole: tuple[Path, str]) -> None:
    output, printed = whole
    for text in (printed, (output / "evaluation" / "simulated" / "report.md").read_text()):
        assert "emodb (2 recordings)" in text and "emovo (2 recordings)" in text
    assert "Each corpus" not in (output / "evaluation" / "zed" / "report.md").read_text()


def test_the_evaluation_alone_finds_the_same_numbers(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    """It needs none of the corpora that the model was trained on."""
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "ZED").symlink_to(corpora / "ZED")
    options = ("--test-only", f"--judged={whole[0] / 'model'}", "--num-test=0")
    printed = begin(tmp_path / "only", tmp_path / "again", *options).end()
    [again] = (tmp_path / "again" / "judged").iterdir()
    assert sorted(path.name for path in again.iterdir()) == ["evaluation", "results.json"]
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["judged"]
    tables = [
        re.findall(r"\d+\.\d+", text[text.index("Parts of the pooled") :].partition("more:")[0])
        for text in (printed, whole[1][whole[1].rindex("pooled EDER %") :])
    ]
    assert tables[0] == tables[1] and len(tables[0]) > 20
    folders = (whole[0], again)
    results = [json.loads((each / "results.json").read_text())["zed"] for each in folders]
    assert results[0] == results[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "stopped"
    run = begin(corpora, output)
    run.stop_after_an_epoch(number, output)
    assert not (output / "model").exists()
    if number == signal.SIGINT:
        assert run.process.exitcode == 130
        assert run.printed.endswith(
            "train.py: interrupted; start it again to go on from the last checkpoint\n"
        )
        assert "Traceback" not in run.printed
    printed = begin(corpora, output).end()
    assert "Loading a checkpoint" in printed and "Going into epoch 1" not in printed
    expected, resumed = weights(whole[0]), weights(output)
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_what_is_done_is_not_done_again(
    corpora: Path, whole: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(whole[0])
    main([str(ZED / "hparams" / "debug.yaml"), *command(corpora, whole[0])[1:]])
    assert capsys.readouterr().out == f"{whole[0]} is done; --test_only judges it again\n"
    assert contents(whole[0]) == before


def test_other_settings_do_not_go_into_the_same_folder(
    corpora: Path, whole: tuple[Path, str]
) -> None:
    before = contents(whole[0])
    options = command(corpora, whole[0], "--batch_size=3", "--head={bias: true}")[1:]
    with pytest.raises(SystemExit) as end:
        main([str(ZED / "hparams" / "debug.yaml"), *options])
    assert f"{whole[0]} began with another batch_size, head; name another" in str(end.value)
    assert contents(whole[0]) == before


def test_more_epochs_go_on_where_the_others_ended(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    """Also where the folder was moved, and with other questions at the end."""
    output = tmp_path / "more"
    shutil.copytree(whole[0], output)
    printed = begin(corpora, output, "--num_epochs=4", "--num_test=0").end()
    assert re.findall(r"Going into epoch (\d)", printed) == ["4"]
    assert list(json.loads((output / "results.json").read_text())) == ["zed"]


def test_a_longer_training_that_was_interrupted_is_not_done(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the folder still holds the model of the shorter one."""
    output = tmp_path / "longer"
    shutil.copytree(whole[0], output)
    arguments = [str(ZED / "hparams" / "debug.yaml"), *command(corpora, output)[1:]]

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sed.training.experiment.train", interrupted)
        main([*arguments, "--num_epochs=4"])
    assert not (output / "results.json").exists()
    assert "is done" not in begin(corpora, output, "--num_epochs=4", "--num_test=0").end()


def test_seeds_are_trained_one_after_the_other(corpora: Path, tmp_path: Path) -> None:
    output = tmp_path / "seeds"
    options = ("--seeds=2", "--seed=5", "--num_epochs=1", "--num_test=0")
    printed = begin(corpora, output, *options).end()
    assert "mean ± std" in printed and printed.count("wrote") == 3
    found = [json.loads((output / seed / "results.json").read_text())["zed"] for seed in "56"]
    assert not torch.equal(*(weights(output / seed)["head.classify.weight"] for seed in "56"))
    summary = json.loads((output / "seeds.json").read_text())["zed"]["macro_eder"]
    assert summary["mean"] == pytest.approx(sum(each["macro_eder"] for each in found) / 2)
    assert summary["std"] == pytest.approx(
        abs(found[0]["macro_eder"] - found[1]["macro_eder"]) / 2**0.5
    )


def test_a_trial_keeps_nothing(corpora: Path, tmp_path: Path) -> None:
    """`--debug` runs everything, a few steps of it, whatever stands in the output's place."""
    output = tmp_path / "out"
    printed = begin(corpora, output, "--debug", "--num-epochs=9", "--steps-per-epoch=5").end()
    assert re.findall(r"Going into epoch (\d)", printed) == ["1", "2"]
    assert "2 recordings, 3.00 s scored" in printed
    assert printed.endswith("that was a trial; nothing was kept\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.log"]


def test_two_processes_train_one_model(corpora: Path, tmp_path: Path) -> None:
    """Under torchrun: the first one writes and judges, once."""
    output = tmp_path / "two"
    arguments = command(corpora, output, "--num_epochs=1", "--num_test=0")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node=2", "train.py"]
    done = subprocess.run(
        [*launcher, *arguments, "--distributed_backend=gloo", "--device=cpu"],
        cwd=ZED,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("wrote") == 1 and done.stdout.count("3 recordings, 4.50 s scored") == 1
    assert EmotionModel.from_pretrained(output / "model")
    assert len((output / "train_log.txt").read_text().splitlines()) == 1
    assert "| 8 |" in next(  # two steps of two recordings in each process
        line
        for line in (output / "model" / "README.md").read_text().splitlines()
        if "simulated recordings" in line
    )


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def test_two_processes_try_the_settings(corpora: Path, tmp_path: Path) -> None:
    """What one of them writes, the other must find, and nothing of it stays."""
    arguments = command(corpora, tmp_path / "out", "--debug", "--num_test=0")
    arguments += ["--distributed_backend=gloo", "--device=cpu"]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    runs = [
        start(
            "train.py",
            *arguments,
            folder=ZED,
            log=tmp_path / rank,
            **{**place, "RANK": rank, "LOCAL_RANK": rank, "TMPDIR": str(tmp_path)},
        )
        for rank in "01"
    ]
    printed = [run.end() for run in runs]
    assert printed[0].endswith("that was a trial; nothing was kept\n")
    assert "nothing was kept" not in printed[1] and "Traceback" not in printed[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_a_process_without_a_gpu_of_its_own_says_so(corpora: Path, tmp_path: Path) -> None:
    rank = str(torch.cuda.device_count())
    arguments = command(corpora, tmp_path / "out")
    place = {"RANK": rank, "LOCAL_RANK": rank}
    printed = start("train.py", *arguments, folder=ZED, log=tmp_path / "log", **place).end(1)
    assert printed.count("\n") == 1 and "--distributed-backend=gloo --device=cpu" in printed
    assert not (tmp_path / "out").exists()
