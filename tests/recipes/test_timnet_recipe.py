"""The TIM-Net recipe, run for real on folders in the corpora's layout."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from running import RECIPES, Run, make_corpora, start

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.corpora import Corpus  # noqa: E402
from sed.scoring import uar, war  # noqa: E402
from sed.training import protocols  # noqa: E402
from sed.training.runs import main  # noqa: E402
from sed.training.settings import load_settings, read_settings  # noqa: E402
from sed.training.together import Fitting  # noqa: E402

TIMNET = RECIPES / "TIMNet"
SETTINGS = sorted(path.stem for path in (TIMNET / "hparams").glob("*.yaml"))

SMALL = ["--complete_corpora=false", "--num_folds=2", "--num_epochs=2", "--batch_size=4"]
SMALL += ["--channels=4", "--num_blocks=2", "--compiled=false", "--noprogressbar", "--device=cpu"]
LENGTH = "--num_samples=20000"
ACROSS = ["--corpora=[emodb, emovo]", "--num_samples={emodb: 20000, emovo: 9000}", "--num_runs=2"]
ACROSS += ["--classes=[angry, happy, neutral, sad]"]
LONG = ["--num_epochs=50", "--num_together=1"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


def command(name: str, corpora: Path, output: Path, *options: str) -> list[str]:
    """Arguments of the recipe."""
    own = ACROSS if name == "cross-corpus" else [LENGTH]
    folders = [f"--data_folder={corpora}", f"--output_folder={output}"]
    return [f"{TIMNET}/hparams/{name}.yaml", *SMALL, *own, *folders, *options]


def begin(name: str, corpora: Path, output: Path, *options: str) -> Run:
    """The recipe in a process of its own."""
    arguments = command(name, corpora, output, *options)
    return start("train.py", *arguments, folder=TIMNET, log=Path(f"{output}.log"))


def results(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a cross-validation that nobody interrupted, and what it printed."""
    output = tmp_path_factory.mktemp("timnet") / "whole"
    return output, begin("emodb", corpora, output).end()


def test_a_cross_validation_is_judged_in_both_protocols(whole: tuple[Path, str]) -> None:
    """Every number follows from the predictions that stand beside it."""
    output, printed = whole
    found = results(output)
    assert found["task"] == "cross-validation" and found["corpus"] == "emodb"
    assert (found["split"], found["features"], found["variant"]) == ("utterance", "code", "timnet")
    assert (found["precision"], found["device"], found["seed"]) == ("fp32", "cpu", 1)
    assert (found["num_epochs"], found["num_recordings"], found["num_folds"]) == (2, 16, 2)
    assert found["seconds"] > 0 and list(found["protocols"]) == ["*", "**"]
    predictions = rows(output / "predictions.csv")
    assert len({row["uri"] for row in predictions}) == len(predictions) == 16
    for protocol, which in (("*", "last"), ("**", "best")):
        for fold in range(2):
            tested = [row for row in predictions if row["fold"] == str(fold)]
            pair = [row["emotion"] for row in tested], [row[which] for row in tested]
            measures = found["protocols"][protocol]
            assert (measures["uar"][fold], measures["war"][fold]) == (uar(*pair), war(*pair))
        mean = 100 * np.mean(measures["uar"])
        assert (
            f"emodb {protocol}{' (leaking)' * (protocol == '**')}: UAR/WAR {mean:.2f}/" in printed
        )
    best = np.array(found["protocols"]["**"]["war"])
    assert (best >= found["protocols"]["*"]["war"]).all()
    assert f"wrote {output}/results.json\n" in printed and printed.count("\n") == 3


def test_curves_and_embeddings_are_written(whole: tuple[Path, str]) -> None:
    output, _ = whole
    curves = rows(output / "curves.csv")
    assert [(row["fold"], row["epoch"]) for row in curves] == [(f, e) for f in "01" for e in "12"]
    for fold, row in enumerate(curves[1::2]):
        assert all(float(row[name]) > 0 for name in ("train_loss", "test_loss"))
        accuracy = results(output)["protocols"]["*"]["war"][fold]
        assert float(row["test_accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    stored = np.load(output / "embeddings.npz")
    predictions = rows(output / "predictions.csv")
    assert stored["embeddings"].shape == (16, 4) and np.isfinite(stored["embeddings"]).all()
    for name in ("uri", "emotion", "fold"):
        assert stored[f"{name}s"].astype(str).tolist() == [row[name] for row in predictions]


def test_what_is_done_is_not_done_again(
    corpora: Path, whole: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(whole[0])
    main(command("emodb", corpora, whole[0]))
    assert capsys.readouterr() == (f"{whole[0]} is done\n", "")
    assert contents(whole[0]) == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--dropout=0.2", "--seed=3"], "began with another dropout, seed; name another"),
        (["--precision=bf16"], "began with another precision; name another"),
        (["--num_epochs=1"], "began with num_epochs 2, and goes on to no fewer; name another"),
    ],
)
def test_other_settings_do_not_go_into_the_same_folder(
    corpora: Path, whole: tuple[Path, str], options: list[str], complaint: str
) -> None:
    before = contents(whole[0])
    with pytest.raises(SystemExit) as end:
        main(command("emodb", corpora, whole[0], *options))
    assert f"train.py: {whole[0]} {complaint}" in str(end.value)
    assert "\n" not in str(end.value) and contents(whole[0]) == before


def test_by_speaker_nobody_is_known_from_the_training(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    main(command("emodb", corpora, output, "--split=speaker", "--num_folds=10"))
    found = results(output)
    assert list(found["protocols"]) == ["speaker-independent"] and found["split"] == "speaker"
    assert found["num_folds"] == 4 == len(found["protocols"]["speaker-independent"]["uar"])
    folds = {(row["speaker"], row["fold"]) for row in rows(output / "predictions.csv")}
    assert len(folds) == 4 == len({speaker for speaker, _ in folds})
    assert "emodb speaker-independent: UAR/WAR " in capsys.readouterr().out


def test_more_epochs_go_on_and_are_not_done_before_they_are(
    corpora: Path, whole: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted on the way to more epochs, a folder's old results do not pass for the new."""
    output, fresh = tmp_path / "more", tmp_path / "fresh"
    shutil.copytree(whole[0], output)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(protocols, "fit_folds", interrupted)
        with pytest.raises(SystemExit) as end:
            main(command("emodb", corpora, output, "--num_epochs=3"))
    assert end.value.code == 130 and not (output / "results.json").exists()
    for folder in (output, fresh):
        main(command("emodb", corpora, folder, "--num_epochs=3"))
    assert results(output)["num_epochs"] == 3
    assert {**results(output), "seconds": 0} == {**results(fresh), "seconds": 0}
    assert results(output)["seconds"] > results(whole[0])["seconds"]
    for name in ("curves.csv", "predictions.csv"):
        assert (output / name).read_text() == (fresh / name).read_text()


@pytest.fixture(scope="module")
def long(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with several checkpoints that nobody interrupted."""
    output = tmp_path_factory.mktemp("long") / "whole"
    main(command("emodb", corpora, output, *LONG))
    return output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_to_the_same_results(
    corpora: Path, long: Path, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "stopped"
    run = begin("emodb", corpora, output, *LONG)
    deadline = time.monotonic() + 240
    while not (output / "folds-0.pt").exists():
        assert run.process.is_alive() and time.monotonic() < deadline, run.printed[-3000:]
        time.sleep(0.002)
    os.kill(run.process.pid or 0, number)
    run.process.join(timeout=60)
    if number == signal.SIGINT:
        line = "interrupted; start it again to go on from the last checkpoint"
        assert (run.process.exitcode, run.printed) == (130, f"train.py: {line}\n")
    stopped = {path.name for path in output.iterdir() if not path.name.startswith(".")}
    assert stopped == {"hyperparams.yaml", "folds-0.pt"}
    before = torch.load(output / "folds-0.pt", weights_only=True)["seconds"]
    main(command("emodb", corpora, output, *LONG))
    assert {**results(output), "seconds": 0} == {**results(long), "seconds": 0}
    assert results(output)["seconds"] > before > 0
    for name in ("curves.csv", "predictions.csv"):
        assert (output / name).read_text() == (long / name).read_text()
    ours, theirs = (np.load(folder / "embeddings.npz") for folder in (output, long))
    np.testing.assert_array_equal(ours["embeddings"], theirs["embeddings"])


def test_a_damaged_checkpoint_is_one_line(corpora: Path, long: Path, tmp_path: Path) -> None:
    output = tmp_path / "damaged"
    shutil.copytree(long, output)
    (output / "results.json").unlink()
    (output / "folds-1.pt").write_bytes(b"PK")
    with pytest.raises(SystemExit) as end:
        main(command("emodb", corpora, output, *LONG))
    line = str(end.value)
    assert line.startswith(f"train.py: {output}/folds-1.pt cannot be gone on from (")
    assert line.endswith("; remove it") and "\n" not in line


def test_from_corpus_to_corpus(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each teaches networks that are tested on the other, at the length of the one that teaches."""
    output = tmp_path / "out"
    main(command("cross-corpus", corpora, output))
    printed = capsys.readouterr().out
    assert sorted(path.stem for path in output.iterdir()) == ["emodb", "emovo"]
    for source, target in (("emodb", "emovo"), ("emovo", "emodb")):
        found = results(output / source)
        assert (found["task"], found["source"]) == ("cross-corpus", source)
        assert found["seeds"] == [1, 2] and list(found["targets"]) == [target]
        measures = found["targets"][target]
        for name in ("uar", "war"):
            assert len(measures[name]) == 2
        accuracies = [
            float(row["test_accuracy"])
            for row in rows(output / source / "curves.csv")
            if row["epoch"] == "2"
        ]
        assert measures["war"] == pytest.approx(accuracies, abs=1e-6)
        assert f"{source} to {target}: UAR/WAR {100 * np.mean(measures['uar']):.2f}/" in printed
    both = {source: results(output / source) for source in ("emodb", "emovo")}
    main(command("cross-corpus", corpora, output, "--sources=[emovo]"))  # other ones may be chosen
    assert results(output / "emovo")["targets"] == both["emovo"]["targets"]
    assert results(output / "emodb") == both["emodb"]
    with pytest.raises(SystemExit, match="began with another num_runs"):
        main(command("cross-corpus", corpora, output, "--num_runs=3"))


def test_seeds_have_folders_of_their_own(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "seeds"
    main(command("emodb", corpora, output, "--seeds", "2", "--seed=5"))
    assert sorted(path.stem for path in output.iterdir()) == ["5", "6"]
    assert [results(output / seed)["seed"] for seed in "56"] == [5, 6]
    first, second = (rows(output / seed / "predictions.csv") for seed in "56")
    assert [row["uri"] for row in first] != [row["uri"] for row in second]
    assert capsys.readouterr().out.count("wrote ") == 2


def test_a_trial_keeps_nothing(
    corpora: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    main(command("emodb", corpora, tmp_path / "out", "--debug", "--num_epochs=500"))
    printed = capsys.readouterr().out
    assert "emodb *: UAR/WAR" in printed
    assert printed.endswith("that was a trial; nothing was kept\n")
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_is_kept_says_how_long_it_was(corpora: Path, tmp_path: Path) -> None:
    """A training of as many epochs as the settings say is not done with it."""
    output = tmp_path / "out"
    main(command("emodb", corpora, output, "--debug_persistently", "--debug", "--num_epochs=3"))
    assert results(output)["num_epochs"] == 2
    main(command("emodb", corpora, output, "--num_epochs=3"))
    assert results(output)["num_epochs"] == 3


@pytest.fixture
def refusal(
    corpora: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Why the recipe does not begin; it says and writes nothing else."""

    def run(name: str, *options: str) -> str:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as end:
            main(command(name, corpora, tmp_path / "out", *options))
        assert isinstance(end.value.code, str)  # which Python prints, leaving with exit code 1
        name, _, line = end.value.code.partition(": ")
        assert (name, line.count("\n")) == ("train.py", 0)
        assert capfd.readouterr() == ("", "")
        assert list(tmp_path.iterdir()) == []
        return line

    return run


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        # the protocol
        (["--task=guessing"], "task is 'guessing'; known are cross-validation, cross-corpus"),
        (["--split=sentence"], "by utterance or speaker, not by 'sentence'"),
        (["--num_folds=17"], "16 utterances are too few for 17 folds"),
        (["--num_folds=1"], "num_folds is 1; a cross-validation has 2 folds at least"),
        (["--num_folds=ten"], "num_folds is 'ten', no whole number"),
        (["--seed=-1"], "seed is -1, no whole number from 0 on"),
        # the recordings
        (["--features=deep"], "features is 'deep'; known are code, paper"),
        (["--num_samples=0"], "num_samples is 0, no whole number from 1 on"),
        (["--num_samples={emodb: 9}"], "num_samples is "),
        (["--corpus=iemocap"], "holds no iemocap"),
        (["--corpus=nosuch"], "unknown corpus 'nosuch'"),
        (["--complete_corpora=true"], "of the 535 recordings of emodb"),
        (["--data_folder=/no/such"], "/no/such is no folder; download"),
        (["--classes=[happy, bored]"], "emodb has no recording that is bored; change classes"),
        (["--classes=happy"], "classes is 'happy', no list such as [a, b]"),
        (["--relabelled=sad"], "relabelled is 'sad', no mapping such as {a: b}"),
        # the network and its training
        (["--variant=lstm"], "unknown variant 'lstm'; known are timnet, tcn"),
        (["--num_epochs=0"], "num_epochs is 0, no whole number from 1 on"),
        (["--batch_size=x"], "batch_size is 'x', no whole number"),
        (["--dropout=1.0"], "dropout is 1.0, no number from 0 to below 1"),
        (["--learning_rate=-1"], "learning_rate is -1, no number above 0"),
        (["--num_together=0.5"], "num_together is 0.5, no whole number from 1 on"),
        (["--num_together=0"], "num_together is 0, no whole number from 1 on"),
        (["--compiled=perhaps"], "compiled is 'perhaps', neither true nor false"),
        (["--batch_sise=3"], "no setting or option 'batch_sise'; did you mean batch_size"),
        # the machine, and what SpeechBrain has
        (["--precision=fp16"], "a processor does not train in fp16"),
        (["--device=cuda:9"], "--device=cuda:9: "),
        (["--test_only"], "--test_only means nothing here"),
        (["--max_grad_norm=1.0"], "--max_grad_norm means nothing here"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_starts(
    refusal: Callable[..., str], options: list[str], complaint: str
) -> None:
    assert complaint in refusal("emodb", *options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--corpora=[emodb]"], "corpora is ['emodb']; it takes two at least"),
        (["--corpora=[emodb, emodb]"], "it takes two at least, each of them once"),
        (["--corpora=emodb"], "corpora is 'emodb', no list"),
        (["--corpora=[emodb, savee]", "--num_samples={emodb: 9, savee: 9}"], "holds no savee"),
        (["--sources=[tess]"], "sources holds 'tess', which is not among the corpora"),
        (["--sources=emodb"], "sources is 'emodb', no list"),
        (["--corpora=[emodb, tess]"], "num_samples of tess is None, no whole number"),
        (["--num_samples=20000"], "num_samples is 20000, no mapping"),
        (["--num_runs=0"], "num_runs is 0, no whole number from 1 on"),
        (["--classes=null"], "classes is None, no list"),
        (["--classes=[angry, fearful]"], "emodb has no recording that is fearful"),
        (["--seeds=2"], "--seeds 2: here --num_runs says how many there are"),
    ],
)
def test_corpora_that_do_not_match_are_one_line(
    refusal: Callable[..., str], options: list[str], complaint: str
) -> None:
    assert complaint in refusal("cross-corpus", *options)


def test_without_a_compiler_nothing_is_to_be_compiled(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "there is no C++ compiler" in refusal("emodb", "--compiled=true")


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"timnet", "cross-corpus"}))
def test_settings_train_as_they_stand(corpora: Path, tmp_path: Path, name: str) -> None:
    """But for the corpus, and for two folds and an epoch."""
    output = tmp_path / "out"
    options = [f"--data_folder={corpora}", f"--output_folder={output}", "--corpus=emodb"]
    options += ["--complete_corpora=false", "--num_folds=2", "--num_epochs=1", "--compiled=false"]
    main([f"{TIMNET}/hparams/{name}.yaml", *options, "--noprogressbar", "--device=cpu"])
    assert results(output)["num_recordings"] == 16
    assert np.load(output / "embeddings.npz")["embeddings"].shape == (16, 39)
    settings = load_settings(read_settings(TIMNET / "hparams" / f"{name}.yaml"), "data_folder: x")
    assert settings["corpus"] == name
    assert Corpus.named(name).label == name


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_used(name: str) -> None:
    """By the protocols, by what is fitted, or by another setting."""
    text = read_settings(TIMNET / "hparams" / f"{name}.yaml")
    names = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    assert len(names) > 20
    code = Path(protocols.__file__).read_text(encoding="utf-8")
    fitted = {field.name for field in fields(Fitting)}
    for setting in names:
        assert setting in fitted or f'"{setting}"' in code or f"<{setting}>" in text, setting


def test_the_report_takes_the_results(whole: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "runs" / "emodb")
    command = [sys.executable, "report.py", tmp_path / "runs", f"--output={tmp_path / 'report'}"]
    done = subprocess.run(command, cwd=TIMNET, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr[-3000:]
    text = (tmp_path / "report" / "report.md").read_text()
    measures = results(whole[0])["protocols"]["*"]
    assert f"{100 * np.mean(measures['uar']):.2f}" in text


def test_the_real_emodb(shared: Path, tmp_path: Path) -> None:
    """535 recordings, all seven emotions."""
    options = [f"--data_folder={shared / 'corpora'}", f"--output_folder={tmp_path / 'out'}"]
    options += [option for option in SMALL if option != "--complete_corpora=false"]
    main([f"{TIMNET}/hparams/emodb.yaml", *options, "--num_epochs=1", "--batch_size=64"])
    assert results(tmp_path / "out")["num_recordings"] == 535
    emotions = {row["emotion"] for row in rows(tmp_path / "out" / "predictions.csv")}
    assert emotions == {"angry", "bored", "disgusted", "fearful", "happy", "neutral", "sad"}
