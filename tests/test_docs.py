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
