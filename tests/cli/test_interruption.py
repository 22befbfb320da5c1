"""A run that breaks off, or whose reader does, leaves nothing half-written."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import write_wav


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A short recording, and one that takes a while."""
    folder = tmp_path / "run"
    noise = (rng.standard_normal(16_000 * 600) * 0.1).astype(np.float32)
    write_wav(folder / "a.wav", noise[:32_000], subtype="PCM_16")
    write_wav(folder / "b.wav", noise, subtype="PCM_16")
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture
def start(folder: Path, model_folder: Path) -> Iterator:
    """`sed diarize` in a process of its own, whose temporary files lie in the folder."""
    running = []

    def run(*arguments: str, **streams: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sed", "diarize", *arguments]
        process = subprocess.Popen(
            [*command, "--vad", "none", "--model", str(model_folder)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "TERM": "xterm", "COLUMNS": "80"},
            # As on a terminal, although a shell in the background has its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **{"stderr": subprocess.PIPE, **streams},
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, b"sed: interrupted; no unfinished file was left behind\n"),
        (signal.SIGTERM, 143, b""),
    ],
)
def test_a_run_that_is_stopped_leaves_finished_files_only(
    folder: Path, start, number: signal.Signals, code: int, message: bytes
) -> None:
    """Ctrl-C, or `kill`, in the middle: what stood at the output's place still does."""
    (folder / "all.rttm").write_text("old\n")
    with (folder / "b.wav").open("rb") as stdin:
        process = start("a.wav", "-", "--rttm", "all.rttm", "--out", "each", stdin=stdin)
        wait_for(folder / "each" / "a.rttm")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, message)
    assert (folder / "all.rttm").read_text() == "old\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.wav",
        "all.rttm",
        "b.wav",
        "each",
        "tmp",
    ]
    assert [path.name for path in (folder / "each").iterdir()] == ["a.rttm"]
    assert list((folder / "tmp").iterdir()) == []


def test_a_reader_that_has_seen_enough_causes_no_complaint(folder: Path, start) -> None:
    """As in `sed diarize --rttm - | head -1`; the file beside it is not half there either."""
    process = start("a.wav", "b.wav", "--rttm", "-", "--json", "all.json", stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"SPEAKER a 1 ")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 1
    assert not (folder / "all.json").exists()


def test_progress_is_shown_on_a_terminal_and_taken_away(folder: Path, start) -> None:
    """A name with brackets is no markup of the bar's text."""
    (folder / "in" / "x[").mkdir(parents=True)
    (folder / "a.wav").rename(folder / "in" / "x[" / "b].wav")
    controller, terminal = pty.openpty()
    process = start("in", "--rttm", "-", stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while piece := os.read(controller, 4096):
            shown += piece
    os.close(controller)
    assert process.stdout.read().startswith(b"SPEAKER x[/b] 1 ")
    assert process.wait(timeout=60) == 0
    assert b"x[/b]" in shown and b"emotions" in shown
    assert shown.rstrip().endswith(b"\x1b[2K")  # the last thing that happens to its lines
