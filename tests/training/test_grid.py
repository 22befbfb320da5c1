"""Grids: what their files say, what experiments are called, and processes that fail."""

from __future__ import annotations

import os
import pickle
import re
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.training.arguments import parse_arguments  # noqa: E402
from sed.training.combinations import Grid, folder_name, split_grid  # noqa: E402
from sed.training.engines import Child, Job, run_locally  # noqa: E402

FILE = """\
seed: 1
twice: !ref <seed> * 2  # stays
corpora: [emodb]
valid: 0.1
grid:
  corpora: [[emodb], [emodb, emovo]]  # goes
  valid: [0.2, {emodb: ["08"]}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE)
    return path


def test_every_combination_is_there_once(settings: Path) -> None:
    grid = parse_arguments([str(settings), "--grid"]).grid
    assert grid is not None
    assert grid.combinations == [
        {"corpora": ["emodb"], "valid": 0.2},
        {"corpora": ["emodb"], "valid": {"emodb": ["08"]}},
        {"corpora": ["emodb", "emovo"], "valid": 0.2},
        {"corpora": ["emodb", "emovo"], "valid": {"emodb": ["08"]}},
    ]
    assert [folder_name(each) for each in grid.combinations] == [
        "corpora=emodb,valid=0.2",
        "corpora=emodb,valid=emodb-08",
        "corpora=emodb+emovo,valid=0.2",
        "corpora=emodb+emovo,valid=emodb-08",
    ]


def test_grids_stand_side_by_side() -> None:
    """What makes no sense with every value of another setting then needs no experiment."""
    _, values = split_grid(
        "seed: 1\nblock: lstm\n"
        "grid:\n- {block: [lstm], seed: [1, 2]}\n- {block: [tdnn], seed: [3]}\n"
    )
    assert values is not None
    assert [(each["block"], each["seed"]) for each in Grid(values).combinations] == [
        ("lstm", 1),
        ("lstm", 2),
        ("tdnn", 3),
    ]


def test_the_grid_is_no_setting_of_an_experiment() -> None:
    """So a folder stays that of its experiment where the grid grows."""
    text, values = split_grid(FILE)
    assert values is not None and "grid" not in text
    assert "!ref <seed> * 2" in text
    grown, _ = split_grid(FILE.replace("[0.2,", "[0.2, 0.3,"))
    assert grown == text


@pytest.mark.parametrize(
    "values",
    [
        {"source": "microsoft/wavlm-large"},
        {"name": "../../up"},
        {"name": "two words"},
        {"name": "Größe"},
        {"name": "x" * 500},
        {"corpora": [f"corpus-{number}" for number in range(40)]},
    ],
)
def test_names_are_safe_and_kept_apart(values: dict[str, Any]) -> None:
    [setting] = values
    name = folder_name(values)
    assert re.fullmatch(r"[\w.,=+-]{1,120}~[0-9a-f]{8}", name, flags=re.ASCII)
    assert name == folder_name(values) and name.startswith(f"{setting}=")
    longer = values[setting] + (["more"] if isinstance(values[setting], list) else "/")
    assert folder_name({setting: longer}) != name
    assert Path(name).name == name


@pytest.mark.parametrize(
    ("grid", "complaint"),
    [
        ("[lstm]", "grid is 'lstm', no mapping of settings to lists of values"),
        ("[]", "grid is [], no mapping of settings to lists of values"),
        ("[{seed: [1]}, {sead: [1]}]", "grid: there is no 'sead'; did you mean seed?"),
        ("{}", "grid is {}, no mapping"),
        ("{seed: 1}", "grid: seed is 1, no list of values"),
        ("{seed: []}", "grid: seed is [], no list of values"),
        ("{sead: [1]}", "grid: there is no 'sead'; did you mean seed?"),
        ("{output_folder: [a, b]}", "grid: each experiment has an output_folder already"),
        ("{seed: [!ref <valid>]}", "grid: only plain values can be chosen from"),
    ],
)
def test_a_grid_that_is_none_is_one_line(tmp_path: Path, grid: str, complaint: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"seed: 1\nvalid: 0.1\noutput_folder: out\ngrid: {grid}\n")
    with pytest.raises(ValueError) as error:
        parse_arguments([str(path), "--grid"])
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "holds a grid; run its 4 experiments with --grid"),
        (["--jobs=2"], "--jobs means nothing without --grid"),
        (["--dry-run"], "--dry_run means nothing without --grid"),
        (["--grid", "--jobs=0"], "--jobs 0: run one experiment at a time at least"),
        (["--grid", "--engine=dask"], "argument --engine: invalid choice: 'dask'"),
        (["--grid", "--address=auto"], "--address names a Ray cluster; add --engine=ray"),
        (["--grid", "--valid=0.1"], "--valid: the grid has values of it; leave the option out"),
        (["--gird"], "there is no setting or option 'gird'; did you mean grid"),
    ],
)
def test_options_that_mean_nothing_are_one_line(
    settings: Path, options: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError) as error:
        parse_arguments([str(settings), *options])
    assert complaint in str(error.value)


def test_without_a_grid_there_is_nothing_to_combine(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(ValueError, match="settings.yaml has no grid; list values of settings"):
        parse_arguments([str(path), "--grid"])
    assert parse_arguments([str(path)]).grid is None
    path.write_text("seed: 1\njobs: 2\n")
    with pytest.raises(ValueError, match="settings.yaml: jobs is an option; give the setting"):
        parse_arguments([str(path)])


def test_a_file_may_extend_one_with_a_grid(settings: Path) -> None:
    """Whose grid it takes over, or replaces as a whole."""
    path = settings.with_name("more.yaml")
    path.write_text("extends: settings.yaml\nseed: 2\n")
    inherited = parse_arguments([str(path), "--grid"]).grid
    assert inherited is not None and [list(each) for each in inherited.values] == [
        ["corpora", "valid"]
    ]
    path.write_text("extends: settings.yaml\ngrid: {seed: [1, 2]}\n")
    own = parse_arguments([str(path), "--grid", "--jobs", "2"]).grid
    assert own == Grid([{"seed": [1, 2]}], num_jobs=2)


def job(folder: Path, name: str, text: str = "seed: 1\n") -> Job:
    return Job(name, text, {}, pickle.dumps({"test_only": False}), Path(name), folder)


@pytest.mark.parametrize("num_together", [1, 3])
def test_what_fails_says_why_and_stops_no_other(tmp_path: Path, num_together: int) -> None:
    """A defect, settings that cannot be loaded, and a folder that cannot be made."""
    (tmp_path / "file").touch()
    jobs = [job(tmp_path, "defect"), job(tmp_path, "file/below")]
    jobs.append(job(tmp_path, "unknown", "thing: !new:no.such.thing\n"))
    outcomes = run_locally(jobs, num_together=num_together, num_threads=1)
    reasons = {each.name: str(reason) for each, reason in outcomes}
    assert reasons.keys() == {"defect", "file/below", "unknown"}
    assert reasons["defect"] == "KeyError: 'output_folder'"
    assert reasons["file/below"] == f"{tmp_path}/file/below: Not a directory"
    assert reasons["unknown"].startswith("settings: There is no such class")
    assert "Traceback" in (tmp_path / "defect" / "log.txt").read_text()


def test_one_that_is_killed_is_not_done(tmp_path: Path) -> None:
    child = Child(job(tmp_path, "killed"), num_threads=1)
    os.kill(child.process.pid, signal.SIGKILL)
    assert child.reason() == "ended by SIGKILL; is the memory too small?"
