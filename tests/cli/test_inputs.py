"""What arguments stand for: files, folders, globs and standard input, each with its own name."""

from __future__ import annotations

import io
import os
import types
from pathlib import Path

import pytest

from sed.cli.inputs import find_inputs, spool_folder


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files, the current folder."""
    for name in "a.wav b.MP3 notes.txt .hidden.wav x/a.wav x/y/c~d.flac x/a.ogg".split():
        path = tmp_path / name.replace("~", " ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments: str, spool: Path = Path()) -> tuple[dict[str, str], list[str]]:
    """Paths by their uri, and the messages about arguments that failed."""
    errors: list[str] = []
    inputs = find_inputs(arguments, spool=spool, on_error=lambda name, text: errors.append(text))
    return {item.uri: item.path.as_posix() for item in inputs}, errors


def test_a_folder_gives_what_can_be_decoded_by_its_path_in_it(tree: Path) -> None:
    names, errors = found(".")
    assert list(names) == ["a", "b", "x/a", "x/a.wav", "x/y/c_d"]
    assert names["x/y/c_d"] == "x/y/c d.flac"
    assert errors == []


def test_a_file_is_taken_whatever_its_ending(tree: Path) -> None:
    assert found("notes.txt") == ({"notes": "notes.txt"}, [])


def test_equal_names_are_told_apart(tree: Path) -> None:
    names, _ = found("a.wav", "x/a.wav", "x/a.ogg", "x", "a.wav")
    assert list(names) == ["a", "a.wav", "a.ogg", "a.ogg-2", "a.wav-2", "y/c_d", "a.wav-3"]
    assert len(names) == 7


def test_a_glob_is_expanded_in_order_and_a_file_of_that_name_comes_first(tree: Path) -> None:
    assert list(found("x/*.*")[0]) == ["a", "a.wav"]
    assert list(found("**/*.wav")[0]) == ["a", "a.wav"]
    (tree / "[ab].wav").touch()
    assert list(found("[ab].wav")[0]) == ["[ab]"]


@pytest.mark.parametrize("argument", ["empty", "no*.wav", ""])
def test_an_argument_without_recordings_does_not_stop_the_others(tree: Path, argument: str) -> None:
    (tree / "empty").mkdir()
    names, [error] = found("a.wav", argument, "b.MP3")
    assert list(names) == ["a", "b"]
    assert error.startswith(argument)


def test_standard_input_is_copied_and_the_copy_goes(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = io.BytesIO(b"samples")
    stdin = types.SimpleNamespace(buffer=data, isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    with spool_folder() as spool:
        names, errors = found("-", spool=spool)
        copy = Path(names["stdin"])
        assert copy.read_bytes() == b"samples"
    assert not copy.exists()
    assert errors == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals")
def test_a_terminal_is_no_recording(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sed diarize -` without a pipe says so instead of waiting for ever."""
    controller, terminal = os.openpty()
    with open(terminal) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        names, [error] = found("-")
    os.close(controller)
    assert names == {}
    assert "pipe a recording into it" in error


def test_inputs_come_as_a_stream(tree: Path) -> None:
    """The first recording of a long list is there before the others are looked for."""
    arguments = iter(["a.wav", "missing.wav"])
    inputs = find_inputs(arguments, spool=tree, on_error=lambda name, text: None)
    assert next(inputs).name == "a.wav"
    assert next(arguments) == "missing.wav"


def test_a_folder_that_must_not_be_read_does_not_hide_its_neighbours(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses it here by hand, as root may read everything."""
    (tree / "z").mkdir()
    (tree / "z" / "last.wav").touch()
    listing = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "x":
            raise PermissionError(13, "Permission denied", str(folder))
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    names, errors = found(".")
    assert list(names) == ["a", "b", "z/last"]
    assert errors == ["x: permission denied"]
