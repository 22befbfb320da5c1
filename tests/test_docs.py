"""What the documentation says is what the package does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from sed.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[pytest.param]:
    """Code blocks of a language in all pages, each named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"```{language}\n(.*?)```", text, flags=re.DOTALL):
            line = text[: match.start()].count("\n") + 2
            found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


def scripts() -> list[pytest.param]:
    """Python blocks that are no interactive sessions; those are doctests of their page."""
    return [block for block in blocks("python") if not block.values[0].startswith(">>>")]


@pytest.mark.parametrize("code", scripts())
def test_python_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of README and docs runs as it stands."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<documentation>", "exec"), {})


def command_lines() -> list[str]:
    """Lines of shell blocks that call one of our commands."""
    texts = [block.values[0].replace("\\\n", " ") for block in blocks("bash")]
    lines = [line for text in texts for line in text.splitlines()]
    calls = [part.strip() for line in lines for part in line.split("#")[0].split("|")]
    words = "|".join(typer.main.get_command(app).commands)
    return [call for call in calls if re.match(rf"sed ({words})\b", call)]


def settings_in(arguments: list[str]) -> set[str]:
    """Options that are settings of the recipes' files that a line may mean, or SpeechBrain's."""
    speechbrain = pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
    from sed.training.settings import load_settings, read_settings

    paths = [
        path
        for path in (ROOT / "recipes").rglob("*.yaml")
        if any(path.match(argument) for argument in arguments)
    ]
    assert paths, "no recipe has such a file"
    _, options, _ = speechbrain.parse_arguments([str(paths[0])])
    names = set(options.keys())
    for path in paths:
        names |= load_settings(read_settings(path), "data_folder: corpora").keys()
    return {f"--{name.replace('_', '-')}" for name in names}


@pytest.mark.parametrize("line", command_lines())
def test_shell_examples_use_options_that_exist(line: str) -> None:
    """An option that was renamed must be renamed in the documentation too."""
    _, *arguments = shlex.split(line)
    command = typer.main.get_command(app)
    while arguments and hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    if command.name == "train":
        known |= settings_in(arguments)
    used = {argument.split("=")[0] for argument in arguments if re.match(r"--?[a-z]", argument)}
    assert used <= known


def test_there_are_shell_examples() -> None:
    """The test above would pass on pages without examples."""
    assert len(command_lines()) >= 5


def test_settings_example_is_accepted(tmp_path: Path) -> None:
    """The TOML of the quickstart names options and fields that exist."""
    import tomllib
    from dataclasses import fields

    from sed.decoding import Binarize, Decoding

    [block] = blocks("toml")
    settings = tomllib.loads(block.values[0])
    command = typer.main.get_command(app).commands["diarize"]
    options = {parameter.name.replace("_", "-") for parameter in command.params}
    tables = {"decoding": Decoding, "speech": Binarize}
    for key, value in settings.items():
        if key in tables:
            assert set(value) <= {field.name for field in fields(tables[key])}
        else:
            assert key in options


def make_archive(folder: Path) -> None:
    """The dataset that the page on archives asks its questions."""
    from pyannote.core import Annotation, Segment

    from sed.archive.dataset import Dataset, Row
    from sed.labels import Emotion

    def row(uri: str, channel: int, speech: float, *segments: tuple[float, float, str, float]):
        annotation = Annotation(uri=uri)
        for start, end, emotion, confidence in segments:
            annotation[Segment(start, end)] = Emotion(emotion, confidence=confidence)
        return Row(f"calls/{uri}.wav", uri, channel, 2 * speech, speech, annotation, None)

    def failed(uri: str, reason: str) -> Row:
        path = f"calls/{uri}.wav"
        return Row(path, uri, None, None, None, None, f"{path}: {reason}")

    angry = [(12.0, 18.3, "angry", 0.7), (80.25, 92.5, "angry", 0.81), (95.0, 99.0, "sad", 0.5)]
    dataset = Dataset.open(folder, {"model": "timnet-mfcc"})
    dataset.write(
        "3f",
        [
            row("monday/0412", 1, 74.0, (5.0, 9.0, "happy", 0.9)),
            row("monday/0412", 2, 61.5, *angry),
        ],
    )
    dataset.write("11", [row("silence", 1, 0.0), failed("monday/0414", "the file is empty")])
    dataset.write("a0", [row("tuesday/0101", 1, 120.0, (33.5, 48.5, "angry", 0.64))])
    missing = failed("tuesday/0102", "no such file or directory")
    dataset.write("a1", [failed("monday/0413", "the file is empty"), missing])


def test_the_questions_to_an_archive_have_the_answers_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every query of the page runs, and the table below it is what comes out."""
    duckdb = pytest.importorskip("duckdb", reason="what the page asks with")
    pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")
    make_archive(tmp_path / "emotions")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "archives.md").read_text(encoding="utf-8")
    asked = re.findall(r"```sql\n(.*?)```\n(?:\n((?:\|[^\n]*\n)+))?", text, flags=re.DOTALL)
    assert len(asked) >= 4
    with duckdb.connect() as connection:
        for query, table in asked:
            if query.startswith("CREATE"):
                connection.execute(query)
                continue
            inner = query.rstrip(";\n")
            answer = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({inner})")
            heading, _, *shown = [line.strip("| ").split(" | ") for line in table.splitlines()]
            assert [column[0] for column in answer.description] == heading
            assert [list(row) for row in answer.fetchall()] == shown
