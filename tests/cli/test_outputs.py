"""Where `sed diarize` writes: one file for all, one each, standard output, the terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import Command, write_wav

from sed.cli.label import FORMAT_NAMES
from sed.formats import FORMATS, find_annotations, read


@pytest.fixture
def folder(tmp_path: Path, voice: np.ndarray) -> Path:
    """Recordings in folders, two of which share a stem."""
    for name in ("a.wav", "a.flac", "deep/er/a.wav", "deep/b.wav"):
        write_wav(tmp_path / "calls" / name, voice)
    (tmp_path / "calls" / "notes.txt").write_text("no audio")
    return tmp_path / "calls"


def leftovers(folder: Path) -> list[str]:
    """Temporary files, which are hidden."""
    return [path.name for path in folder.rglob(".*")]


def test_one_file_holds_all_recordings(diarize: Command, folder: Path, tmp_path: Path) -> None:
    rttm, js = tmp_path / "all.rttm", tmp_path / "all.json"
    outcome = diarize(folder, "--rttm", rttm, "--json", js)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    uris = ["a", "a.wav", "deep/b", "deep/er/a"]
    assert [recording.uri for recording in read(js)] == uris
    for stated, told in zip(read(rttm), read(js), strict=True):
        assert (stated.uri, stated.channel) == (told.uri, told.channel)
        labels = [recording.annotation.labels() for recording in (stated, told)]
        assert labels[0] == labels[1]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["rttm", "json"])
def test_one_file_each_keeps_the_folders_and_confuses_no_names(
    diarize: Command, folder: Path, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "new" / "folder"
    outcome = diarize(folder, "--out", target, "--format", name)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    written = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*"))
    assert written == [f"{uri}.{name}" for uri in ("a", "a.wav", "deep/b", "deep/er/a")]
    assert [recording.uri for recording in read(target / f"deep/er/a.{name}")] == ["deep/er/a"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_and_read_back(
    diarize: Command, folder: Path, tmp_path: Path, name: str
) -> None:
    target, told = tmp_path / "out", tmp_path / "told.json"
    outcome = diarize(folder, "--out", target, "--format", name, "--json", told)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    found = [r for path in find_annotations(target) for r in read(path, below=target)]
    assert len(found) == len(list(target.rglob("*.*"))) == 4
    expected = {recording.uri: recording.annotation.labels() for recording in read(told)}
    assert {recording.uri: recording.annotation.labels() for recording in found} == expected


def test_the_help_names_every_format(diarize: Command) -> None:
    assert FORMAT_NAMES.replace(" or ", ", ").split(", ") == list(FORMATS)
    assert "textgrid, elan" in " ".join(diarize("--help").out.replace("│", " ").split())


def test_an_unknown_format_is_refused_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from sed.cli.diarize import _check\n"
        "try:\n"
        "    _check(channel='mix', min_duration=None, format='yaml', out=None)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "assert not {'torch', 'av', 'soundfile', 'rich.progress'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("unknown format 'yaml'; known are rttm, json, zed, textgrid")


def test_channels_have_files_of_their_own_where_a_file_holds_one(
    diarize: Command, tmp_path: Path, voice: np.ndarray
) -> None:
    path = write_wav(tmp_path / "two.wav", np.stack([voice, voice[::-1]], axis=1))
    target = tmp_path / "out"
    for channel in ("split", "2"):
        outcome = diarize(path, "--channel", channel, "--out", target, "--format", "textgrid")
        assert (outcome.code, outcome.err) == (0, "")
    names = [path.name for path in find_annotations(target)]
    assert names == ["two.channel1.TextGrid", "two.channel2.TextGrid"]
    found = [recording for name in names for recording in read(target / name)]
    assert [(r.uri, r.channel, r.duration) for r in found] == [("two", 1, 2.0), ("two", 2, 2.0)]


def test_both_channels_of_a_recording_share_a_file(
    diarize: Command, tmp_path: Path, voice: np.ndarray
) -> None:
    path = write_wav(tmp_path / "two.wav", np.stack([voice, voice[::-1]], axis=1))
    assert diarize(path, "--channel", "split", "--out", tmp_path / "out").code == 0
    lines = (tmp_path / "out" / "two.rttm").read_text().splitlines()
    assert {line.split()[2] for line in lines} == {"1", "2"}
    assert {line.split()[1] for line in lines} == {"two"}


def test_standard_output_holds_the_format_and_nothing_else(diarize: Command, call: Path) -> None:
    printed = diarize(call, "--rttm", "-")
    assert (printed.code, printed.err) == (0, "")
    assert all(line.startswith("SPEAKER call 1 ") for line in printed.out.splitlines())
    content = json.loads(diarize(call, call, "--json", "-").out)
    assert [recording["uri"] for recording in content["recordings"]] == ["call", "call.wav"]


def test_a_timeline_makes_way_for_a_format_on_standard_output(diarize: Command, call: Path) -> None:
    outcome = diarize(call, "--rttm", "-", "--timeline")
    assert all(line.startswith("SPEAKER ") for line in outcome.out.splitlines())
    assert "confidence" in outcome.err


def test_what_both_files_hold_is_also_printed_if_asked_for(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    outcome = diarize(call, "--rttm", tmp_path / "a.rttm", "--timeline")
    assert outcome.code == 0
    assert "call  0:02.0" in outcome.out


def test_quiet_prints_nothing(diarize: Command, call: Path, tmp_path: Path) -> None:
    for arguments in ((), ("--timeline",), ("--rttm", tmp_path / "a.rttm")):
        outcome = diarize(call, "--quiet", *arguments)
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_output_into_a_file_has_no_escape_codes(
    diarize: Command, call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither colours nor a progress bar, even where a terminal of that kind is announced."""
    monkeypatch.setenv("TERM", "xterm-256color")
    outcome = diarize(call)
    assert outcome.code == 0
    assert "\x1b" not in outcome.out
    assert outcome.err == ""


def test_no_bar_without_a_terminal_though_colours_are_forced(
    diarize: Command, call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    outcome = diarize(call)
    assert "\x1b" in outcome.out
    assert outcome.err == ""


def test_a_file_that_exists_is_replaced_whole(diarize: Command, call: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.rttm"
    target.write_text("old\n" * 1000)
    assert diarize(call, "--rttm", target).code == 0
    assert "old" not in target.read_text()


@pytest.mark.parametrize("arguments", [("--model", "no such"), ("--vad", "no such"), ()])
def test_a_run_that_fails_leaves_the_old_file(
    diarize: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Wrong use and a batch in which every recording fails."""
    target = tmp_path / "out.rttm"
    target.write_text("old\n")
    (tmp_path / "empty.wav").touch()
    outcome = diarize(tmp_path / "empty.wav", *arguments, "--rttm", target, "--json", "-")
    assert outcome.code == (2 if arguments else 1)
    assert target.read_text() == "old\n"
    assert outcome.out == ""
    assert leftovers(tmp_path) == []


def test_standard_input_is_a_recording(diarize: Command, voice: np.ndarray) -> None:
    """A whole wav, and one whose header has no sizes, as ffmpeg writes into a pipe."""
    stream = io.BytesIO()
    soundfile.write(stream, voice, 16_000, format="WAV", subtype="PCM_16")
    whole = stream.getvalue()
    endless = whole[:4] + b"\xff\xff\xff\xff" + whole[8:40] + b"\xff\xff\xff\xff" + whole[44:]
    assert whole[36:40] == b"data"
    results = [diarize("-", "--json", "-", stdin=data) for data in (whole, endless)]
    for outcome in results:
        assert (outcome.code, outcome.err) == (0, "")
        [recording] = json.loads(outcome.out)["recordings"]
        assert (recording["uri"], recording["duration"]) == ("stdin", 2.0)
        assert "path" not in recording  # the copy is gone
    assert results[0].out == results[1].out


def test_a_glob_in_quotes_is_expanded(diarize: Command, folder: Path) -> None:
    outcome = diarize(str(folder / "**" / "*.wav"), "--json", "-")
    uris = [recording["uri"] for recording in json.loads(outcome.out)["recordings"]]
    assert uris == ["a", "b", "a.wav"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--rttm", "same", "--json", "same"), "same"),
        (("--rttm", "-", "--json", "-"), "--rttm and --json"),
        (("--rttm", "call.wav"), "call.wav is named like a recording"),
        (("--format", "json"), "--out"),
        (("--out", "x", "--format", "yaml"), "'yaml'; known are rttm, json"),
        (("--format", "vtt"), "files in --out; add --out FOLDER"),
    ],
)
def test_outputs_that_cannot_be_meant_are_refused(
    diarize: Command,
    call: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    """Above all the recording itself is not overwritten."""
    monkeypatch.chdir(call.parent)
    before = call.read_bytes()
    outcome = diarize(call, *arguments)
    assert outcome.code == 2
    assert complaint in outcome.error
    assert call.read_bytes() == before
    assert [path.name for path in call.parent.iterdir()] == ["call.wav"]


def test_outputs_that_cannot_be_written_stop_the_run_before_it_works(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    for arguments in (
        ("--out", file),
        ("--out", file / "below"),
        ("--rttm", tmp_path),
        ("--rttm", file / "out.rttm"),
        ("--json", "/dev/null/out.json"),
    ):
        outcome = diarize(call, *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert str(arguments[1]) in outcome.error or "file" in outcome.error
    assert file.read_text() == "in the way"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("option", ["--rttm", "--json"])
def test_a_full_disk_is_one_line(diarize: Command, call: Path, option: str) -> None:
    outcome = diarize(call, option, "/dev/full")
    assert outcome.code == 2
    assert outcome.error == "/dev/full: no space left on device"


def test_a_recording_without_emotions_has_an_empty_file(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    assert diarize(call, "--threshold", "1", "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "call.rttm").read_text() == ""
