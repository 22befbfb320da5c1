"""Output files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from sed.files import whole_file


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_error_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, error: type[BaseException], before: str | None
) -> None:
    path = tmp_path / "a.txt"
    if before is not None:
        path.write_text(before)
    with pytest.raises(error), whole_file(path) as stream:
        stream.write("half of the ")
        stream.flush()
        raise error
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["a.txt"])
    assert before is None or path.read_text() == before


def test_nobody_sees_a_file_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as stream:
        stream.write("new")
        stream.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as stream:
        stream.write("früh\n")
    assert (tmp_path / "a.txt").read_bytes() == "früh\n".encode()


def test_folders_are_made(tmp_path: Path) -> None:
    with whole_file(str(tmp_path / "new" / "deep" / "a.txt")) as stream:
        stream.write("x")
    assert (tmp_path / "new" / "deep" / "a.txt").read_text() == "x"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a.txt") as stream:
            stream.write("x")
        assert os.umask(umask) == umask  # and the process keeps its umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_a_name_of_the_longest_length_is_possible(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)  # 254 of the 255 bytes that file systems allow
    with whole_file(path) as stream:
        stream.write("x")
    assert path.read_text() == "x"


def test_dev_null_is_written_and_stays_a_device() -> None:
    with whole_file(os.devnull) as stream:
        stream.write("gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(path.read_text()))
    reader.start()
    with whole_file(path) as stream:
        stream.write("through")
    reader.join(timeout=10)
    assert heard == ["through"]
    assert stat.S_ISFIFO(path.stat().st_mode) and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"), whole_file(tmp_path):
        pass


@pytest.mark.parametrize("inside", ["a.txt", "deeper/a.txt"])
def test_a_file_in_the_place_of_the_folder_is_an_os_error(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"), whole_file(tmp_path / "file" / inside):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("permissions")
def test_a_folder_that_must_not_be_written_is_an_os_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OSError), whole_file(tmp_path / "a.txt"):
            pass
    finally:
        tmp_path.chmod(0o755)
