"""The report of the TIM-Net recipe, on small runs whose numbers can be checked by hand."""

from __future__ import annotations

import csv
import doctest
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import RECIPES

pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
pytest.importorskip("sklearn", reason="t-SNE needs the extra 'train'")

FOLDER = RECIPES / "TIMNet"
sys.path.insert(0, str(FOLDER))

import figures  # noqa: E402
import paper  # noqa: E402
import report  # noqa: E402
import runs  # noqa: E402
import tables  # noqa: E402

from sed.colours import colour  # noqa: E402

EMOTIONS = ("angry", "bored", "sad")
NUM_RECORDINGS, NUM_EPOCHS = 36, 3


def single(**changes: Any) -> dict[str, Any]:
    """Results of a cross-validation with two folds."""
    split = changes.get("split", "utterance")
    ours = {"*": rates(0.8, 0.9), "**": rates(0.9, 1.0)}
    return {
        "task": "cross-validation",
        "corpus": "emodb",
        "split": split,
        "features": "code",
        "variant": "timnet",
        "seed": 1,
        "num_epochs": NUM_EPOCHS,
        "num_recordings": NUM_RECORDINGS,
        "num_folds": 2,
        "precision": "fp32",
        "device": "cpu",
        "seconds": 1234.5,
        "protocols": ours if split == "utterance" else {"speaker-independent": rates(0.5, 0.6)},
    } | changes


def across(
    source: str, targets: Mapping[str, Mapping[str, Sequence[float]]], **changes: Any
) -> dict:
    """Results on other corpora, two seeds."""
    return {
        "task": "cross-corpus",
        "source": source,
        "features": "code",
        "variant": "timnet",
        "seeds": [1, 2],
        "num_epochs": NUM_EPOCHS,
        "precision": "fp32",
        "device": "cpu",
        "seconds": 4000.0,
        "targets": targets,
    } | changes


def rates(*uar: float) -> dict[str, list[float]]:
    """UARs, and WARs that lie 0.01 lower."""
    return {"uar": list(uar), "war": [rate - 0.01 for rate in uar]}


def write(folder: Path, content: Mapping[str, Any], bare: bool = False) -> Path:
    """A finished run, with its curves and embeddings unless it shall be bare."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(content))
    if not bare and content["task"] == "cross-validation":
        write_curves(folder, content)
        write_embeddings(folder, content)
    return folder


def write_curves(folder: Path, content: Mapping[str, Any]) -> None:
    """Test accuracy 0.1 per epoch, and 0.2 more in the second fold; training is perfect."""
    with (folder / "curves.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow("fold epoch train_loss train_accuracy test_loss test_accuracy".split())
        for fold in range(1, content["num_folds"] + 1):
            for epoch in range(1, content["num_epochs"] + 1):
                accuracy = 0.1 * epoch + 0.2 * (fold - 1)
                writer.writerow([fold, epoch, 0.5 / epoch, 1.0, 1.0 / epoch, accuracy])


def write_embeddings(folder: Path, content: Mapping[str, Any]) -> None:
    """Three far groups, one for each emotion."""
    number = np.arange(content["num_recordings"])
    random = np.random.default_rng(content["seed"])
    values = random.normal(size=(len(number), 39)) + 20 * np.eye(39)[number % 3]
    np.savez(
        folder / "embeddings.npz",
        embeddings=values.astype(np.float32),
        uris=np.array([f"u{index}" for index in number]),
        emotions=np.array(EMOTIONS)[number % 3],
        folds=number // 3 % content["num_folds"] + 1,
    )


def made(folder: Path) -> str:
    """Text of the report on a folder, of which everything goes in."""
    assert report.write_report(folder, folder / "report") == []
    return (folder / "report" / "report.md").read_text()


def section(text: str, heading: str) -> str:
    return text.partition(f"## {heading}")[2].partition("\n## ")[0]


def rows(text: str, heading: str, number: int = 0) -> list[dict[str, str]]:
    """Rows of a section's table by their headings."""
    blocks = [block for block in section(text, heading).split("\n\n") if block.startswith("|")]
    head, _, *lines = (
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in blocks[number].strip().splitlines()
    )
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_seeds_are_averaged_and_stand_beside_the_paper(tmp_path: Path) -> None:
    write(tmp_path / "a", single(seed=1), bare=True)
    better = {"*": rates(0.9, 0.9), "**": rates(1.0, 1.0)}
    write(tmp_path / "b", single(seed=2, protocols=better), bare=True)
    last, best = rows(made(tmp_path), "Single corpora")
    assert (last["corpus"], last["protocol"], last["seeds"]) == ("EmoDB", "`*`", "2")
    std = 100 * statistics.stdev([0.85, 0.9])
    assert last["UAR %"] == f"87.50 ± {std:.2f}" and last["WAR %"] == f"86.50 ± {std:.2f}"
    assert last["paper's UAR / WAR"] == "89.19 / 90.28"
    assert last["difference in points"] == "-1.69 / -3.78"
    assert (last["wall time of a run"], last["runs"]) == ("21 min", "1-2")
    assert best["protocol"] == "`**`, LEAKING"
    assert best["difference in points"] == "+2.33 / +0.80"


def test_one_seed_has_no_deviation_and_new_speakers_no_number_of_the_paper(tmp_path: Path) -> None:
    write(tmp_path / "a", single(split="speaker"), bare=True)
    [row] = rows(made(tmp_path), "Single corpora")
    assert (row["protocol"], row["UAR %"], row["WAR %"]) == (
        "speaker-independent",
        "55.00",
        "54.00",
    )
    assert row["paper's UAR / WAR"] == row["difference in points"] == "–"


@pytest.mark.parametrize(
    "other",
    [
        {"features": "paper"},
        {"num_epochs": 2},
        {"precision": "bf16"},
        {"num_recordings": 30},
        {"num_folds": 3, "protocols": {"*": rates(0.5, 0.5, 0.5)}},
        {"corpus": "emovo"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_differs_in_more_than_the_seed_is_not_averaged(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    """And the features of the paper's text come last."""
    changed = {"protocols": {"*": rates(0.5, 0.5)}} | other
    write(tmp_path / "a", single(**changed, seed=2), bare=True)
    write(tmp_path / "b", single(protocols={"*": rates(0.8, 0.9)}), bare=True)
    found = [row["UAR %"] for row in rows(made(tmp_path), "Single corpora")]
    assert sorted(found) == ["50.00", "85.00"]
    if "features" in other:
        assert found == ["85.00", "50.00"]


def test_different_settings_have_figures_of_their_own(tmp_path: Path) -> None:
    """Those of an ablation are not drawn."""
    write(tmp_path / "a", single())
    write(tmp_path / "b", single(precision="bf16"))
    write(tmp_path / "c", single(variant="tcn"))
    text = made(tmp_path)
    names = {path.name for path in (tmp_path / "report").glob("*.svg")}
    assert len(names) == text.count("](") == 4 and all(f"]({name})" in text for name in names)


def test_an_ablation_stands_beside_the_full_network_on_the_same_folds(tmp_path: Path) -> None:
    """Every corpus weighs alike, and a run without its like is in no average."""

    def run(variant: str, corpus: str, seed: int, rate: float) -> None:
        scores = {"*": rates(rate, rate), "**": rates(rate, rate)}
        content = single(variant=variant, corpus=corpus, seed=seed, protocols=scores)
        write(tmp_path / f"{variant}-{corpus}-{seed}", content, bare=True)

    for variant, lower in (("timnet", 0.0), ("tcn", 0.1)):
        run(variant, "emodb", 1, 0.9 - lower)
        run(variant, "emodb", 2, 0.7 - lower)
        run(variant, "emovo", 1, 0.6 - lower)
    run("tcn", "savee", 9, 0.1)
    text = made(tmp_path)
    last, best = rows(text, "Ablations")
    assert (last["network"], last["corpora"], last["seeds"]) == ("TCN", "EmoDB, EMOVO", "2")
    assert last["UAR / WAR %"] == "60.00 / 59.00"  # (0.7 + 0.5) / 2, not (0.8 + 0.6 + 0.5) / 3
    assert last["TIM-Net on the same"] == "70.00 / 69.00"
    assert last["difference in points"] == "-10.00 / -10.00"
    assert last["paper's UAR / WAR"] == "–"
    assert best["protocol"] == "`**`, LEAKING"
    assert best["paper's UAR / WAR"] == "80.45 / 80.56"
    assert best["paper's difference"] == "-8.31 / -8.41"
    assert last["runs"] == "1-3, 5-7"
    assert "settings as run 4, which is therefore in no average" in section(text, "Missing")
    assert "Table 3: without backward direction." in section(text, "Missing")


def test_the_averages_of_the_paper_are_those_of_its_leaking_protocol() -> None:
    """Which is why its ablations stand beside no other."""
    leaking = [war for (_, protocol), (_, war) in paper.TABLE_1.items() if protocol == "**"]
    assert round(statistics.fmean(leaking), 2) == paper.TABLE_3["timnet"][1]
    assert len(leaking) == len(paper.CORPORA) == 6 and len(paper.PAIRS) == 20


def test_pairs_are_averaged_for_each_seed_before_their_deviation(tmp_path: Path) -> None:
    """So that what one pair gains and another loses with a seed is no deviation."""
    write(tmp_path / "a", across("emodb", {"emovo": rates(0.2, 0.4), "iemocap": rates(0.9, 0.9)}))
    write(tmp_path / "b", across("emovo", {"emodb": rates(0.5, 0.4, 0.9)}, seeds=[1, 2, 3]))
    write(tmp_path / "c", across("emodb", {"emovo": rates(0.2, 0.3)}, variant="tcn"))
    text = made(tmp_path)
    tcn, full = rows(text, "Across corpora")
    assert (full["network"], full["pairs"], full["seeds"]) == ("TIM-Net", "2 of 20", "2")
    assert full["UAR %"] == f"37.50 ± {100 * statistics.stdev([0.35, 0.4]):.2f}"
    assert (full["paper's UAR %"], full["paper's WAR %"]) == ("34.49 ± 0.43", "35.66 ± 0.32")
    assert (tcn["paper's UAR %"], tcn["pairs"], tcn["runs"]) == ("24.47 ± 0.38", "1 of 20", "3")
    pairs = rows(text, "Across corpora", 1)
    assert [(row["trained on"], row["tested on"], row["runs"]) for row in pairs] == [
        ("EmoDB", "EMOVO", "3"),
        ("EmoDB", "EMOVO", "1"),
        ("EmoDB", "IEMOCAP", "1"),
        ("EMOVO", "EmoDB", "2"),
    ]
    assert pairs[3]["UAR %"] == f"60.00 ± {100 * statistics.stdev([0.5, 0.4, 0.9]):.2f}"
    missing = section(text, "Missing")
    assert "Table 2, TIM-Net, 18 of 20 pairs: CASIA to EmoDB, EMOVO, RAVDESS, SAVEE" in missing
    assert rows(text, "Runs")[1]["seed"] == "1-3"


def test_pairs_without_a_common_seed_have_no_average(tmp_path: Path) -> None:
    write(tmp_path / "a", across("emodb", {"emovo": rates(0.2)}, seeds=[1]))
    write(tmp_path / "b", across("emovo", {"emodb": rates(0.5)}, seeds=[2]))
    [row] = rows(made(tmp_path), "Across corpora")
    assert (row["seeds"], row["UAR %"], row["WAR %"]) == ("0", "–", "–")


def test_a_report_says_what_is_missing_and_where_numbers_come_from(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "a", single(), bare=True)
    text = made(tmp_path)
    missing = section(text, "Missing")
    assert "- Table 1, `*`: CASIA, EMOVO, IEMOCAP, RAVDESS, SAVEE.\n" in missing
    assert "- Table 1, speaker-independent: CASIA, EmoDB," in missing
    assert "- Table 2, TCN, 20 of 20 pairs: all.\n" in missing
    assert "- `deep/a/curves.csv`.\n- `deep/a/embeddings.npz`.\n" in missing
    for heading in ("Ablations", "Across corpora", "Learning curves", "What", "Left out"):
        assert section(text, heading).endswith("\n\nNone.\n")
    [run] = rows(text, "Runs")
    assert (run["folder"], run["seed"], run["seconds"]) == ("`deep/a`", "1", "1234.5")


def cross_validation(folder: Path) -> runs.CrossValidation:
    run = runs.read_run(folder / "results.json")
    assert isinstance(run, runs.CrossValidation)
    return run


def test_curves_are_means_over_folds_with_their_deviation(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", single())
    curves = figures.read_curves(folder / "curves.csv", cross_validation(folder))
    figure = figures.draw_curves(curves, "EmoDB")
    accuracy, loss = figure.axes
    training, test = (line.get_ydata() for line in accuracy.lines)
    assert training == pytest.approx([100.0] * 3) and test == pytest.approx([20.0, 30.0, 40.0])
    band = accuracy.collections[1].get_paths()[0].vertices
    at_first = band[band[:, 0] == 1.0][:, 1]
    std = 100 * statistics.stdev([0.1, 0.3])
    assert (at_first.min(), at_first.max()) == pytest.approx((20 - std, 20 + std))
    assert [line.get_label() for line in loss.lines] == ["training", "test"]
    assert loss.lines[1].get_ydata() == pytest.approx([1.0, 0.5, 1 / 3])


def test_epochs_without_a_test_are_not_drawn(tmp_path: Path) -> None:
    """As where only every second one is tested; an empty field says it too."""
    folder = write(tmp_path / "a", single())
    path = folder / "curves.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    for fold, nothing in ((0, "nan"), (3, "")):
        lines[fold + 2][4:] = [nothing, nothing]
    path.write_text("\n".join(map(",".join, lines)))
    curves = figures.read_curves(path, cross_validation(folder))
    training, test = figures.draw_curves(curves, "EmoDB").axes[0].lines
    assert list(training.get_xdata()) == [1, 2, 3] and list(test.get_xdata()) == [1, 3]


def test_folds_of_all_seeds_are_in_one_figure(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write(tmp_path / str(seed), single(seed=seed))
    assert "split by utterance: 6 folds of 3 seeds (runs: 1-3)." in made(tmp_path)


def test_embeddings_of_one_fold_are_mapped_by_emotion(tmp_path: Path) -> None:
    """Neighbours stay neighbours; the WAR is that fold's at the last epoch."""
    folder = write(tmp_path / "a", single())
    run = cross_validation(folder)
    embeddings = figures.read_embeddings(folder / "embeddings.npz", run)
    assert embeddings is not None
    assert (len(embeddings.values), embeddings.fold, embeddings.war) == (18, 1, 0.79)
    figure = figures.draw_embeddings(embeddings, "EmoDB, fold 1")
    [axes] = figure.axes
    assert axes.get_title() == "EmoDB, fold 1: WAR 79.00 %"
    found = {drawn.get_label(): drawn for drawn in axes.collections}
    assert list(found) == list(EMOTIONS)
    points = {name: np.asarray(drawn.get_offsets()) for name, drawn in found.items()}
    for name, drawn in found.items():
        ink = "#{:02x}{:02x}{:02x}".format(
            *(round(255 * part) for part in drawn.get_facecolor()[0][:3])
        )
        assert ink == colour(name).lower()
        others = np.concatenate([points[other] for other in points if other != name])
        for index, point in enumerate(points[name]):
            own = np.delete(points[name], index, axis=0)
            assert np.linalg.norm(own - point, axis=1).min() < (
                np.linalg.norm(others - point, axis=1).min()
            )


@pytest.mark.parametrize("change", ["few", "equal", "leaking"])
def test_embeddings_that_no_map_can_show_are_missing(tmp_path: Path, change: str) -> None:
    content = single(num_recordings=6 if change == "few" else NUM_RECORDINGS)
    if change == "leaking":
        del content["protocols"]["*"]
    folder = write(tmp_path / "a", content)
    if change == "equal":
        with np.load(folder / "embeddings.npz") as stored:
            arrays = dict(stored)
        np.savez(folder / "embeddings.npz", **arrays | {"embeddings": np.ones((36, 39), "f4")})
    text = made(tmp_path)
    assert "A map of `a/embeddings.npz`" in section(text, "Missing")
    assert section(text, "What").endswith("None.\n") and "curves-" in text


def test_a_single_fold_epoch_and_recording_too(tmp_path: Path) -> None:
    content = single(num_folds=1, num_epochs=1, num_recordings=1, protocols={"*": rates(1.0)})
    write(tmp_path / "a", content)
    [row] = rows(made(tmp_path), "Single corpora")
    assert (row["folds"], row["UAR %"]) == ("1", "100.00")


@pytest.mark.parametrize("protocols", [None, [], {}, {"*": 1}, {"*": {"uar": [0.5, 0.5]}}])
def test_damaged_protocols_are_refused(tmp_path: Path, protocols: object) -> None:
    path = write(tmp_path, single(protocols=protocols), bare=True) / "results.json"
    with pytest.raises(ValueError, match="protocols|war of"):
        runs.read_run(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"task": ', "not JSON (Expecting value: line 1 column 10 (char 9))"),
        ("[]", "holds a list, no object"),
        ("{}", "has no features"),
        (single(task="other"), "task is 'other', not cross-validation or cross-corpus"),
        (single(variant="lstm"), "variant is 'lstm', not timnet or tcn or"),
        (single(seed=True), "seed is True, no whole number from 0 on"),
        (single(num_folds=0), "num_folds is 0, no whole number from 1 on"),
        (single(seconds=float("nan")), "seconds is nan, no time"),
        (single(split="speaker", protocols={"*": rates(1, 1)}), "judged by the protocol '*'"),
        (single(protocols={"*": rates(0.5)}), "uar of '*' is no list of 2 numbers"),
        (single(protocols={"*": rates(85.0, 90.0)}), "holds 85.0, no fraction from 0 to 1"),
        (single(protocols={"*": rates(float("nan"), 0.5)}), "holds nan, no fraction"),
        (across("emodb", {"emodb": rates(0.1, 0.2)}), "targets hold the source 'emodb'"),
        (across("emodb", {"emovo": rates(0.1)}), "uar of 'emovo' is no list of 2 numbers"),
        (across("emodb", {"emovo": rates(0.1, 0.2)}, seeds=[1, 1]), "seeds is [1, 1], no list of"),
        (single(), "the same corpus, seed and settings as b/results.json"),
    ],
)
def test_a_damaged_run_is_named_and_the_others_go_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, reason: str
) -> None:
    write(tmp_path / "b", single(), bare=True)
    (tmp_path / "c").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "c" / "results.json").write_text(text)
    with pytest.raises(SystemExit) as end:
        report.main([str(tmp_path), f"--output={tmp_path / 'out'}"])
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"report.py: left out {tmp_path / 'c' / 'results.json'}: ")
    assert reason in said and said.count("\n") == 1
    written = (tmp_path / "out" / "report.md").read_text()
    assert reason in section(written, "Left out") and len(rows(written, "Runs")) == 1


def spoil(path: Path, change: str) -> None:
    """Damage curves or embeddings."""
    if change == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif change == "text":
        path.write_text("nothing of use")
    elif change == "nul":
        path.write_bytes(b"\0" * 100)
    else:
        with np.load(path) as stored:
            arrays = dict(stored)
        key, _, value = change.partition("=")
        arrays[key] = np.full_like(arrays[key], float(value) if key == "embeddings" else value)
        np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("curves.csv", "cut", "line "),
        ("curves.csv", "text", "has no column epoch, fold, test_accuracy"),
        ("curves.csv", "nul", ""),
        ("embeddings.npz", "cut", "no embeddings in it"),
        ("embeddings.npz", "text", "no embeddings in it"),
        ("embeddings.npz", "nul", "no embeddings in it"),
        ("embeddings.npz", "embeddings=nan", "embeddings that are no finite numbers"),
        ("embeddings.npz", "folds=1", "holds 1 folds, and the results 2"),
    ],
)
def test_damaged_curves_and_embeddings_cost_their_figure_alone(
    tmp_path: Path, name: str, change: str, reason: str
) -> None:
    folder = write(tmp_path / "a", single())
    spoil(folder / name, change)
    [refused] = report.write_report(tmp_path, tmp_path / "out")
    assert refused.path == Path("a") / name and reason in refused.reason
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"`a/{name}`: {refused.reason}." in section(text, "Left out")
    assert len(rows(text, "Single corpora")) == 2
    assert len(list((tmp_path / "out").glob("*.svg"))) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,3,0.1,0.5,0.1,nan", "line 4: nan is no test accuracy"),
        ("1,3,0.1,50,0.1,0.5", "line 4: 50.0 is no train accuracy"),
        ("1,3,inf,0.5,0.1,0.5", "line 4: inf is no train loss"),
        ("1,3,0.1,0.5", "line 4 does not hold a number for each column"),
        ("1,3,0.1,0.5,nan,nan", "does not hold a test of every fold after the same epochs"),
        ("1,3,nan,0.5,nan,nan", "line 4: nan is no train loss"),
        ("1,2,0.1,0.5,0.1,0.5", "does not hold 3 epochs of each of 2 folds"),
        ("3,3,0.1,0.5,0.1,0.5", "does not hold 3 epochs of each of 2 folds"),
    ],
)
def test_a_line_of_the_curves_that_cannot_be_is_named(
    tmp_path: Path, row: str, reason: str
) -> None:
    folder = write(tmp_path / "a", single())
    lines = (folder / "curves.csv").read_text().splitlines()
    lines[3] = row
    (folder / "curves.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=reason):
        figures.read_curves(folder / "curves.csv", cross_validation(folder))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such is no folder"),
        ({}, "holds no results.json; a run leaves one when it is finished"),
        ({"a": "{", "b": "[]"}, "nothing to report on: "),
    ],
)
def test_without_a_run_nothing_is_written(
    tmp_path: Path, content: dict[str, str] | None, reason: str
) -> None:
    folder = tmp_path / ("no such" if content is None else "results")
    for name, text in (content or {}).items():
        (folder / name).mkdir(parents=True)
        (folder / name / "results.json").write_text(text)
    if content == {}:
        folder.mkdir()
    with pytest.raises(SystemExit) as end:
        report.main([str(folder), f"--output={tmp_path / 'out'}"])
    said = str(end.value.code)
    assert said.startswith("report.py: ") and reason in said and "\n" not in said
    assert not (tmp_path / "out").exists()
    if content:
        assert f"{folder / 'a' / 'results.json'}: not JSON" in said


def test_a_report_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    """The text comes last: whatever it names is there."""
    write(tmp_path / "results" / "a", single())
    output = tmp_path / "out"
    report.write_report(tmp_path / "results", output)
    before = (output / "report.md").read_text()
    write(tmp_path / "results" / "b", single(corpus="emovo"))
    (output / "tsne-emovo-utterance-code-3-fp32-36-2.svg").mkdir()
    with pytest.raises(SystemExit, match="report.py: .*is a folder"):
        report.main([str(tmp_path / "results"), f"--output={output}"])
    assert (output / "report.md").read_text() == before


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write(tmp_path / "a", single())
    with pytest.raises(ValueError, match=r"matplotlib: pip install '.*\[plot\]'"):
        report.write_report(tmp_path, tmp_path / "out")


def test_one_command_makes_the_same_report_twice(tmp_path: Path) -> None:
    """In a process of its own, to its usual place, and every figure that it names is there."""
    write(tmp_path / "results" / "a", single())
    write(tmp_path / "results" / "b", across("emodb", {"emovo": rates(0.2, 0.4)}))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / "report.py"), "results"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "wrote report/report.md\n", "")
    report.write_report(tmp_path / "results", tmp_path / "again")
    contents = [
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}
        for name in ("report", "again")
    ]
    assert contents[0] == contents[1]
    text = contents[0].pop("report.md").decode()
    assert len(contents[0]) == 2
    for name, picture in contents[0].items():
        assert f"]({name})" in text and picture.startswith(b"<?xml")


@pytest.mark.parametrize("module", [figures, tables], ids=lambda module: module.__name__)
def test_examples_hold(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0
