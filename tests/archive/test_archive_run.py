"""An archive has the same rows whoever works on it, and whatever happens to them on the way."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from archives import ONE_EACH, left_in, make_archive, rows_of, run, told, voice

from sed.archive.dataset import Dataset
from sed.archive.items import Item
from sed.archive.run import Crew, Summary
from sed.archive.shelf import Shelf
from sed.archive.tasks import Chunk
from sed.archive.work import Setup, Work
from sed.archive.worker import Worker
from sed.formats import SETTINGS_FILE, read


@pytest.fixture(scope="module")
def alone(archive: Path, work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one worker that nothing happened to."""
    folder = tmp_path_factory.mktemp("alone") / "emotions"
    run([archive], folder, work)
    return folder


def test_rows_are_what_diarize_says(archive: Path, alone: Path, work: Work, tmp_path: Path) -> None:
    """Of the same recordings one by one, and the one that failed with the same words."""
    command = [sys.executable, "-m", "sed", "diarize", str(archive), "--json", "all.json"]
    printed = subprocess.run(
        [*command, "--model", work.model, "--vad", work.vad],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    expected = {recording.uri: recording for recording in read(tmp_path / "all.json")}
    rows = {row.uri: row for row in Dataset(alone).rows()}
    assert len(rows) == len(expected) + 1 == 6
    for uri, row in rows.items():
        if row.error is None:
            recording = dataclasses.replace(row.recording)
            assert recording == expected[uri] and recording.path == expected[uri].path
            ours, theirs = (
                [label.confidence for _, _, label in each.annotation.itertracks(yield_label=True)]
                for each in (recording, expected[uri])
            )
            assert ours == pytest.approx(theirs, abs=1e-4) and ours
            assert 0 < row.speech <= row.duration
        else:
            assert uri == "deep/call_3"
            assert f"sed: {row.error}\n" in printed.stderr


def test_two_workers_write_the_same_rows_and_files(
    archive: Path, alone: Path, work: Work, tmp_path: Path
) -> None:
    lines: list[str] = []
    work = dataclasses.replace(work, out=tmp_path / "each", format="srt")
    summary = run([archive], tmp_path / "emotions", work, jobs=2, limits=ONE_EACH, lines=lines)
    assert (summary.num_done, summary.num_failed, summary.num_before) == (6, 1, 0)
    assert summary.audio == pytest.approx(5 * 2.0 + 0.3 * (15 - 3), abs=0.3)
    assert rows_of(tmp_path / "emotions") == rows_of(alone)
    assert left_in(tmp_path / "emotions") == {SETTINGS_FILE}
    [line] = lines
    assert line.startswith(str(archive / "deep" / "call 3.wav"))
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.srt"))
    names = ["call_0", "call_2", "call_4", "deep/call_1", "deep/call_5"]
    assert written == [f"each/{name}.srt" for name in names]


def test_only_what_is_missing_is_done(
    archive: Path, alone: Path, work: Work, tmp_path: Path
) -> None:
    first, folder = archive / "call 0.wav", tmp_path / "emotions"
    manifest = tmp_path / "some.csv"
    manifest.write_text(f"path,uri\n{first},call_0\n{archive}/deep/call 3.wav,deep/call_3\n")
    assert run([manifest], folder, work).num_done == 2
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    summary = run([archive], folder, work)
    assert (summary.num_done, summary.num_failed, summary.num_before) == (4, 0, 2)
    assert rows_of(folder) == rows_of(alone)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert run([archive], folder, work).num_done == 0


def test_what_failed_is_tried_again_when_asked(work: Work, tmp_path: Path) -> None:
    calls = make_archive(tmp_path / "calls", number=4)
    folder = tmp_path / "emotions"
    assert run([calls], folder, work).num_failed == 1
    soundfile.write(calls / "deep" / "call 3.wav", voice(2.0, 3), 16_000)
    assert run([calls], folder, work).num_done == 0
    summary = run([calls], folder, work, retry_failed=True)
    assert (summary.num_done, summary.num_failed, summary.num_before) == (1, 0, 3)
    rows = rows_of(folder)
    assert len(rows) == 4 and all(row[-1] is None for row in rows)


def test_other_settings_are_refused(archive: Path, alone: Path, work: Work) -> None:
    with pytest.raises(ValueError, match='was made with channel = "mix", not "split"'):
        run([archive], alone, dataclasses.replace(work, channel="split"))


def test_a_dataset_has_one_run_at_a_time(archive: Path, alone: Path, work: Work) -> None:
    with Shelf(alone), pytest.raises(ValueError, match="another run writes this dataset"):
        run([archive], alone, work)


def test_a_uri_is_copied_and_the_copy_goes(
    archive: Path, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the object store that every machine has, its own files."""
    pytest.importorskip("fsspec", reason="URIs need the extra 'archive'")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    lines: list[str] = []
    summary = run([f"file://{archive}/deep"], tmp_path / "emotions", work, lines=lines)
    assert (summary.num_done, summary.num_failed) == (3, 1)
    [line] = lines
    assert line.startswith(f"file://{archive}/deep/call 3.wav is not audio that can be decoded")
    assert [row[1] for row in rows_of(tmp_path / "emotions")] == ["call_1", "call_3", "call_5"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_worker_that_is_killed_costs_nothing(
    archive: Path, alone: Path, work: Work, tmp_path: Path
) -> None:
    killed = []

    def kill(summary: Summary) -> None:
        for child in multiprocessing.active_children():
            if summary.num_done and child.pid not in killed and len(killed) < 2:
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)

    folder = tmp_path / "emotions"
    summary = run([archive], folder, work, jobs=2, limits=ONE_EACH, on_progress=kill)
    assert len(killed) == 2
    assert (summary.num_done, summary.num_failed) == (6, 1)
    assert rows_of(folder) == rows_of(alone)


def test_a_recording_that_kills_its_workers_is_a_failed_row(work: Work, tmp_path: Path) -> None:
    """It stands for one that needs more memory than there is; its chunk goes on without it."""
    calls, folder = tmp_path / "calls", tmp_path / "emotions"
    calls.mkdir()
    for index, num_times in enumerate((1, 300, 2)):
        samples = np.tile(voice(2.0, index), num_times)
        soundfile.write(calls / f"call {index}.wav", samples, 16_000)
    num_killed = 0

    def stand_in_for_the_system(summary: Summary) -> None:
        nonlocal num_killed
        # the longest is the first one of the chunk
        if [path for path in folder.glob(".run/*/*.at") if path.read_text().strip() == "0"]:
            for child in multiprocessing.active_children():  # none where it is killed already
                os.kill(child.pid, signal.SIGKILL)
                num_killed += 1

    lines: list[str] = []
    inputs = [calls / f"call {index}.wav" for index in range(3)]
    summary = run(inputs, folder, work, lines=lines, on_progress=stand_in_for_the_system)
    assert num_killed == 2
    assert (summary.num_done, summary.num_failed) == (3, 1)
    reason = "ended by SIGKILL; is the memory too small?"
    assert [row[-1] for row in rows_of(folder)] == [None, reason, None]
    assert lines == [f"{calls / 'call 1.wav'}: {reason}"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on_to_the_same_rows(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    calls = make_archive(tmp_path / "calls", number=16)
    soundfile.write(calls / "long.wav", np.tile(voice(2.0, 0), 300), 16_000)
    folder = tmp_path / "emotions"
    command = [sys.executable, "-m", "sed", "diarize", "calls", "--parquet", "emotions"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--model", work.model, "--vad", work.vad, "--quiet"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("part=*/*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    said = [line for line in errors.splitlines() if "is not audio" not in line]
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert left_in(folder) == {SETTINGS_FILE}
        assert process.returncode == 128 + number
        assert len(said) == (number == signal.SIGINT)
        assert all("the same command goes on" in line for line in said)
    before = len(Dataset(folder).seen())
    assert 0 < before < 17
    monkeypatch.chdir(tmp_path)
    summary = run([Path("calls")], folder, work, jobs=2)
    assert (summary.num_before, summary.num_done) == (before, 17 - before)
    assert left_in(folder) == {SETTINGS_FILE}
    assert len({row[1] for row in rows_of(folder)}) == len(rows_of(folder)) == 17


def test_a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room(
    archive: Path, alone: Path, work: Work, tmp_path: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    each, folder = tmp_path / "each", tmp_path / "emotions"
    each.mkdir()
    (each / "call_0.rttm").symlink_to("/dev/full")
    writing = dataclasses.replace(work, out=each)
    with pytest.raises(OSError, match="call_0.rttm: no space left on device"):
        run([archive], folder, writing, limits=ONE_EACH)
    assert left_in(folder) == {SETTINGS_FILE}
    (each / "call_0.rttm").unlink()
    run([archive], folder, writing)
    assert rows_of(folder) == rows_of(alone)


def test_a_folder_that_must_not_be_written_is_one_line(
    archive: Path, work: Work, tmp_path: Path, permissions: None
) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        run([archive], tmp_path / "emotions", work)
    tmp_path.chmod(0o700)


def test_a_model_that_is_missing_is_one_line(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing-here"):
        run([archive], tmp_path / "emotions", Work("nothing-here"))
    assert not (tmp_path / "emotions").exists()


def test_what_only_a_worker_can_know_ends_the_run(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--device tpu is not available here"):
        run([archive], tmp_path / "emotions", Work(device="tpu"), jobs=2)
    assert list(Dataset(tmp_path / "emotions").rows()) == []


def test_a_worker_does_nothing_for_a_run_that_is_over(archive: Path, tmp_path: Path) -> None:
    """One that was cut off from the others, say, until after the next run began."""
    dataset = Dataset.open(tmp_path / "emotions", {})
    gone = tmp_path / "emotions" / ".run" / "gone"
    worker = Worker(Setup(Work(), dataset.folder, gone, Path.cwd(), num_threads=1))
    outcome = worker(Chunk((Item(str(archive / "call 0.wav"), "call_0"),)))
    assert "the run is over, or this machine does not share" in str(outcome.stop)
    assert list(dataset.rows()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"engine": "dask"}, "engine 'dask'; choose local or ray"),
        ({"jobs": 0}, "0 jobs; give 1 or more"),
        ({"address": "auto"}, "an address is that of a Ray cluster; choose the engine ray"),
    ],
)
def test_a_crew_that_cannot_be_is_one_line(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError) as error:
        Crew(**options)
    assert str(error.value) == complaint


def test_silence_has_a_row_without_segments(work: Work, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    run([tmp_path / "silence.wav"], tmp_path / "emotions", work)
    [row] = Dataset(tmp_path / "emotions").rows()
    assert told(row)[2:] == (1, 1.0, 0.0, [], None)
    assert json.loads((tmp_path / "emotions" / SETTINGS_FILE).read_text())["vad"] == "energy"
