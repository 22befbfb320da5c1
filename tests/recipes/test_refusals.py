"""What a recipe refuses: in one line, before anything is written or read for long."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from running import EMBEDDED, ZED, make_corpora
from tiny_model import tiny_model

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.training.checks import check_room, room_of  # noqa: E402
from sed.training.runs import main  # noqa: E402

DEBUG = ZED / "hparams" / "debug.yaml"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def refusal(
    corpora: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Why a recipe does not begin; it says and writes nothing else."""

    def run(*options: str, settings: Path | str = DEBUG) -> str:
        folder = tmp_path / "here"
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        with pytest.raises(SystemExit) as end:
            main([str(settings), f"--data_folder={corpora}", *options])
        assert isinstance(end.value.code, str)  # which Python prints, leaving with exit code 1
        name, _, line = end.value.code.partition(": ")
        assert (name, line.count("\n")) == ("train.py", 0)
        assert capfd.readouterr() == ("", "")
        assert list(folder.iterdir()) == []
        return line

    return run


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        # the corpora
        (["--corpora=[emodb, iemocap]"], "holds no iemocap"),
        (["--complete_corpora=true"], "of the 535 recordings of emodb"),
        (["--data_folder=/no/such"], "/no/such is no folder; download"),
        (["--corpora=[nosuch]"], "unknown corpus 'nosuch'"),
        (["--corpora=emodb"], "corpora is 'emodb', no list"),
        (["--test_corpus=iemocap"], "holds no iemocap"),
        (["--valid=0"], "nobody is left to valid on"),
        (["--num_test=2"], "nobody is left to test on"),
        (["--num_test=2", "--judged_part=exam"], "nobody is left to exam on"),
        (["--classes=[neutral]"], "no speaker has both neutral and emotional"),
        (["--left_out=emovo"], "left_out 'emovo' is none of emodb"),
        (["--sequences={NX: 1.0}"], "recordings to train on: 'NX': 1.0 is no sequence"),
        # the model
        (["--head={name: lstm}"], "unknown head 'lstm'"),
        (["--head={name: timnet}"], "make no model: TIMNet.__init__() got an unexpected"),
        (["--frontend={name: whisper}"], "unknown front-end 'whisper'"),
        (["--frontend={source: owner--name}"], "'owner--name' is no repository of the hub"),
        (["--decoding={path: crooked}"], "decoding: unknown path 'crooked'"),
        # the training
        (["--num_epochs=0"], "num_epochs is 0, no whole number from 1 on"),
        (["--batch_size=x"], "batch_size is 'x'"),
        (["--num_valid=0"], "num_valid is 0"),
        (["--keep_best_by=luck"], "it can be frame_error, eder, loss"),
        (["--loss={gamma: 2}"], "loss: summed_losses() got an unexpected keyword argument 'gamma'"),
        (["--calibrated=perhaps"], "calibrated is 'perhaps', neither true nor false"),
        (["--head_learning_rate=-1"], "head_opt_class: Invalid learning rate: -1"),
        (["--grad_accumulation_factor=3"], "steps_per_epoch 2 is no multiple"),
        (["--noise_folder=/no/such"], "of no use where augmentation is null"),
        (["--vad=ears"], "unknown voice activity detector 'ears'"),
        # the evaluation
        (["--judged=nosuch"], "no model 'nosuch'"),
        (["--test_only"], "no model 'results/debug/78/model'"),
        (["--judged_vad=ears"], "unknown voice activity detector 'ears'"),
        (["--judged_decoding={volume: 1}"], "judged_decoding: "),
        (
            ["--judged_conditions={loud: {volume: 1}}"],
            "got an unexpected keyword argument 'volume'",
        ),
        (["--judged_conditions={loud: {noise_probability: 1.0, snr: 5}}"], "judged_conditions: "),
        (["--judged_conditions={fast: {speed: 1.2}}"], "fast: another speed would move the"),
        (["--judged_conditions={../up: {}}"], "judged_conditions: '../up' is no name"),
        (["--judged_conditions=[noisy]"], "judged_conditions: "),
        # the machine
        (["--device=cuda:9"], "--device=cuda:9: "),
        (["--device=abacus"], "--device=abacus is none"),
        (["--device=cpu", "--precision=fp16"], "a processor does not train in fp16"),
        # the command line
        (["--batch_sise=3"], "no setting or option 'batch_sise'; did you mean batch_size"),
        (["--prec=bf16"], "no setting or option 'prec'; did you mean precision?"),
        (["--precision=fp4"], "argument --precision: invalid choice: 'fp4'"),
        (["--head={name: "], "argument --head: '{name: ' is no YAML"),
        (["--seeds=0"], "--seeds 0: train with one seed at least"),
        (["--seeds"], "argument --seeds: expected one argument"),
        (["--batch_size", "3", "4"], "'4' belongs to no option"),
        (["-v"], "'-v' belongs to no option"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_starts(
    refusal: Callable[..., str], options: list[str], complaint: str
) -> None:
    assert complaint in refusal(*options)


def test_sounds_that_are_missing_are_noticed_first(
    refusal: Callable[..., str], corpora: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    recipe = EMBEDDED / "hparams" / "timnet-mfcc.yaml"
    few = ("--corpora=[emodb]", "--complete_corpora=false")
    missing = refusal(f"--noise_folder={tmp_path}/none", *few, settings=recipe)
    assert missing == f"{tmp_path}/none: No such file or directory"
    empty = refusal(f"--room_folder={tmp_path}/empty", *few, settings=recipe)
    assert empty == f"augmentation: {tmp_path}/empty holds no audio files; name a folder with some"


def test_a_corpus_that_was_half_unpacked_is_not_trained_on(
    refusal: Callable[..., str], corpora: Path, tmp_path: Path
) -> None:
    """One that holds nothing, and one that was refused for what it lacks."""
    (tmp_path / "half" / "emodb").mkdir(parents=True)
    assert "emodb holds no recording" in refusal(f"--data_folder={tmp_path / 'half'}")
    shutil.copytree(corpora / "emodb" / "wav", tmp_path / "half" / "emodb" / "wav")
    line = refusal(f"--data_folder={tmp_path / 'half'}", "--complete_corpora=true")
    assert "holds 16 of the 535 recordings" in line and "none of speaker 11, 12" in line


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "none.yaml: No such file or directory"),
        ("seed: [", "none.yaml is no YAML"),
        ("- seed", "none.yaml holds no settings"),
        ("extends: other.yaml", "other.yaml: No such file or directory"),
    ],
)
def test_a_settings_file_that_is_none_is_named(
    refusal: Callable[..., str], tmp_path: Path, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / "none.yaml").write_text(text)
    assert complaint in refusal(settings=tmp_path / "none.yaml")


def test_the_settings_file_comes_first(refusal: Callable[..., str]) -> None:
    assert refusal(settings="--seeds=2").startswith("name a settings file first")


def test_an_output_that_is_a_file_is_named(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        assert refusal(f"--output_folder={output}") == f"{tmp_path / 'file'}: Not a directory"


@pytest.mark.usefixtures("permissions")
def test_an_output_that_must_not_be_written_is_named(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert refusal(f"--output_folder={closed}/out") == f"{closed}: Permission denied"


def test_a_disk_that_is_too_small_is_noticed_first(tmp_path: Path) -> None:
    """Weights without values, which take no memory; the checkpoints of real ones would."""
    huge = tiny_model()
    huge.head = torch.nn.Linear(10_000_000, 10_000_000, bias=False, device="meta")
    output = tmp_path / "new" / "out"
    for decay, size in ((None, "2800000.0"), (0.99, "3600000.0")):
        with pytest.raises(OSError, match=f"checkpoints need {size} GB") as error:
            check_room(output, room_of(huge, {"average_decay": decay}))
        assert error.value.filename == str(output)
    assert list(tmp_path.iterdir()) == []
