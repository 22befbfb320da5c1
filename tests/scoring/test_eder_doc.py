"""docs/eder.md is true: its examples run, its files are scored, its output is the command's."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sed.cli.score import score

PAGE = Path(__file__).parents[2] / "docs" / "eder.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture
def blocks(tmp_path, monkeypatch) -> list[tuple[str, str, str]]:
    """Language, title and text of the page's blocks, in a folder that holds its files."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    for _, title, text in found:
        if title:
            Path(title).parent.mkdir(exist_ok=True)
            Path(title).write_text(text, encoding="utf-8")
    return found


def test_the_examples_run(blocks):
    """One after the other, each with what those before it have made."""
    examples = "\n".join(text for language, _, text in blocks if language == "python")
    example = doctest.DocTestParser().get_doctest(examples, {}, "eder.md", str(PAGE), 0)
    assert len(example.examples) > 30
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failures: list[str] = []
    runner.run(example, out=failures.append)
    assert not failures, "".join(failures)


def test_the_commands_print_what_the_page_shows(blocks):
    app = typer.Typer()
    app.command()(score)
    shown = [text for language, _, text in blocks if language == "console"]
    assert shown
    for text in shown:
        command, _, output = text.partition("\n")
        arguments = shlex.split(command.removeprefix("$ sed score "))
        assert CliRunner().invoke(app, arguments).stdout == output


def test_drawn_timelines_are_as_long_as_their_time_axis(blocks):
    """A column of four characters a second: what is drawn ends where the axis does."""
    drawings = [text for _, _, text in blocks if text.startswith("time ")]
    assert len(drawings) >= 3
    for text in drawings:
        axis, *rows = text.splitlines()
        seconds = int(axis.split()[-1])
        end = axis.index(" 0 ") + 1 + 4 * seconds
        for row in rows:
            assert len(row) <= end + 1, row
        if rows[-1].startswith("counts as"):
            assert rows[-1].rindex("|") == end, text
