"""The multi-corpus study's recipe, one experiment of it, on small made corpora."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from running import RECIPES, make_corpora

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed import Pipeline  # noqa: E402
from sed.training.runs import main  # noqa: E402
from sed.vad import vad_named  # noqa: E402

SETTINGS = RECIPES / "MultiCorpus" / "hparams" / "multicorpus.yaml"
SPLIT = ['--valid={"emodb": ["09"], "emovo": ["f2"]}', '--test={"emodb": ["10"], "emovo": ["m2"]}']
FEW = ["--corpora=[emodb, emovo]", "--complete_corpora=false", "--vad=none", "--max_epochs=2"]
FEW += ["--steps_per_epoch=4", "--batch_size=4", "--noprogressbar", "--block=lstm", *SPLIT]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpora(tmp_path_factory.mktemp("corpora"))


def command(corpora: Path, output: Path, *options: str) -> list[str]:
    folders = [f"--data_folder={corpora}", f"--output_folder={output}"]
    return [
        str(SETTINGS),
        *folders,
        f"--speech_folder={output.parent / 'speech'}",
        *FEW,
        *options,
    ]


@pytest.fixture(scope="module")
def whole(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an experiment that is done, with what its model diarizes."""
    output = tmp_path_factory.mktemp("multicorpus") / "whole"
    main(command(corpora, output, "--num_test=4", "--judged_vad=none"))
    return output


def test_each_corpus_is_tested(whole: Path) -> None:
    found = json.loads((whole / "results.json").read_text())
    assert found["corpora"] == ["emodb", "emovo"] and found["layers"] == "unified"
    assert {corpus: rates["num"] for corpus, rates in found["targets"].items()} == {
        "emodb": 4,
        "emovo": 4,
    }
    assert all(0.0 <= rates["ua"] <= 1.0 for rates in found["targets"].values())
    with open(whole / "epochs.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])


def test_what_was_learned_from_utterances_diarizes(whole: Path, corpora: Path) -> None:
    found = json.loads((whole / "results.json").read_text())["diarization"]["simulated"]
    assert found["recordings"] == 4 and 0.0 <= found["macro_eder"] < 2.0
    pipeline = Pipeline.from_pretrained(whole / "model", vad=vad_named("none"))
    annotation = pipeline(next((corpora / "emodb" / "wav").glob("*.wav")))
    assert set(annotation.labels()) <= {"happy", "sad", "angry"}


def test_what_is_done_is_not_done_again(
    corpora: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "results.json").read_bytes()
    main(command(corpora, whole, "--num_test=4", "--judged_vad=none"))
    assert capsys.readouterr().out == f"{whole} is done\n"
    assert (whole / "results.json").read_bytes() == before


def test_a_layer_for_each_corpus(corpora: Path, tmp_path: Path) -> None:
    """Then they need not have the same classes, and one of them diarizes."""
    partial = tmp_path / "corpora"
    partial.mkdir()
    (partial / "emodb").symlink_to(corpora / "emodb")
    for path in (corpora / "emovo").rglob("*.wav"):
        if not path.name.startswith("rab"):  # angry
            link = partial / "emovo" / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    options = ("--layers=multi-task", "--diarizing=emovo")
    main(command(partial, tmp_path / "multi", *options))
    config = json.loads((tmp_path / "multi" / "model" / "config.json").read_text())["model"]
    assert config["classes"] == ["neutral", "happy", "sad"]
    with pytest.raises(SystemExit, match="emovo has no angry to train on"):
        main(command(partial, tmp_path / "unified"))
    assert not (tmp_path / "unified").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--block=gru"], "unknown block 'gru'"),
        (["--pooling=max"], "unknown pooling 'max'"),
        (["--layers=both"], "layers is 'both'; known are unified, multi-task"),
        (["--layers=multi-task", "--diarizing=tess"], "diarizing is 'tess', none of emodb, emovo"),
        (['--valid={"emodb": [], "emovo": []}'], "nobody is left to valid on"),
        (['--test={"emodb": ["03", "08", "10"]}'], "emodb: 0 speakers cannot be split into train"),
        (["--corpora=[emodb, iemocap]"], "holds no iemocap"),
        (["--max_epochs=0"], "max_epochs is 0"),
        (["--learning_rate=fast"], "learning_rate"),
        (["--sample_rate=16000", "--frontend={sample_rate: 8000}"], "sample_rate is 16000"),
        (["--precision=fp16"], "fp16"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_runs(
    corpora: Path, tmp_path: Path, options: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(command(corpora, tmp_path / "refused", *options))
    assert complaint in str(end.value.code) and "\n" not in str(end.value.code)
    assert not (tmp_path / "refused").exists()
