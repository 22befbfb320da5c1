"""The tables of the multi-corpus study, counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from running import RECIPES

SCRIPT = RECIPES / "MultiCorpus" / "summary.py"
BLOCKS = ("lstm", "blstm", "tdnn")
POOLINGS = ("mean", "mean-variance")
LAYERS = ("unified", "multi-task")


def write(folder: Path, corpora: list[str], **rates: dict[tuple[str, ...], float]) -> None:
    """All twelve experiments of a combination; half right unless said otherwise."""
    for configuration in product(BLOCKS, POOLINGS, LAYERS):
        block, pooling, layers = configuration
        targets = {}
        for target in corpora:
            value = rates.get(target, {}).get(configuration, 0.5)
            targets[target] = {"wa": value, "ua": 1 - value, "num": 10}
        path = folder / "+".join(corpora) / "-".join(configuration) / "results.json"
        path.parent.mkdir(parents=True)
        found = {"task": "multi-corpus", "corpora": corpora, "block": block, "pooling": pooling}
        path.write_text(json.dumps(found | {"layers": layers, "seed": 1, "targets": targets}))


def summarized(folder: Path, *options: str, code: int = 0) -> str:
    command = [sys.executable, str(SCRIPT), str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def rows(text: str, title: str) -> list[list[str]]:
    """Cells of the table below a heading, without its head."""
    table = text.partition(f"## {title}")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_tables_count_what_was_best(tmp_path: Path) -> None:
    best, second = ("tdnn", "mean-variance", "multi-task"), ("lstm", "mean", "unified")
    write(tmp_path, ["emodb"], emodb={best: 0.9})
    write(tmp_path, ["ravdess"], ravdess={second: 0.6})
    write(tmp_path, ["emodb", "ravdess"], emodb={best: 0.8}, ravdess={second: 0.7})
    text = summarized(tmp_path)
    assert text.startswith("# One network for several corpora\n\n36 experiments, tested on EmoDB")
    by_wa = [row for row in rows(text, "Best for each corpus") if row[0] == "WA"]
    named = [["emodb", "emodb", "TDNN"], ["ravdess", "emodb+ravdess", "LSTM"]]
    assert [row[1:4] for row in by_wa] == named
    assert [row[-2:] for row in by_wa] == [["90.00", "90.00"], ["70.00", "60.00"]]
    shares = {tuple(row[2:5]): row[5] for row in rows(text, "Best configuration") if row[0] == "WA"}
    assert shares["TDNN", "mean and variance", "multi-task"] == "50.00"
    assert shares["LSTM", "mean", "unified"] == "50.00" and len(shares) == 12
    taken = {row[2]: row[3] for row in rows(text, "Each choice by itself") if row[0] == "WA"}
    assert taken == {
        **{"LSTM": "50.00", "BLSTM": "0.00", "TDNN": "50.00"},
        **{
            "mean": "50.00",
            "mean and variance": "50.00",
            "unified": "50.00",
            "multi-task": "50.00",
        },
    }
    helps = {row[1]: row[2:] for row in rows(text, "Which corpora help which") if row[0] == "WA"}
    # Of twelve configurations eleven are equal with and without the other, one is better with it.
    assert helps["ravdess"] == ["12", f"{100 * (11 * 0.5 + 1) / 12:.2f}", "–"]
    assert helps["emodb"] == ["12", "–", f"{100 * 11 * 0.5 / 12:.2f}"]
    assert len(rows(text, "All results")) == 48


def test_what_is_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, ["emodb"])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text('{"task": "multi-corpus"}')
    text = summarized(tmp_path, code=1)
    assert "12 experiments" in text
    assert f"summary.py: {tmp_path}/broken/results.json is no result of an experiment" in text


def test_few_experiments_give_what_they_can(tmp_path: Path) -> None:
    write(tmp_path, ["emodb"])
    for path in sorted(tmp_path.rglob("results.json"))[1:]:
        path.unlink()
    text = summarized(tmp_path, "--output", str(tmp_path / "summary.md"))
    assert text == ""
    text = (tmp_path / "summary.md").read_text()
    assert "1 experiment," in text and text.count("Not enough experiments") == 3


@pytest.mark.parametrize("content", [None, "{}"])
def test_nothing_to_summarize_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "results.json").write_text(content)
    text = summarized(tmp_path, code=1)
    assert text == f"summary.py: {tmp_path} holds no finished experiment\n"
