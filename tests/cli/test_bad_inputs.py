"""Recordings that are broken, odd or absent: one clear line, the right exit code, the rest done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, write_wav

from sed.formats import read


def truncated_header(path: Path) -> None:
    write_wav(path, np.zeros(1000))
    path.write_bytes(path.read_bytes()[:20])


def text(path: Path) -> None:
    path.write_text("This is not audio, whatever its name says.\n" * 20)


def samples(values: np.ndarray, sample_rate: int = 16_000) -> Callable[[Path], None]:
    return lambda path: write_wav(path, values, sample_rate, subtype="FLOAT") and None


def with_value(value: float) -> np.ndarray:
    samples = np.zeros(16_000, dtype=np.float32)
    samples[8_000] = value
    return samples


BROKEN = {
    "empty": (Path.touch, "is empty"),
    "no-samples": (samples(np.zeros(0)), "holds no samples"),
    "truncated-header": (truncated_header, "not audio"),
    "text": (text, "not audio"),
    "nan": (samples(with_value(np.nan)), "holds nan at 0.500 s"),
    "infinity": (samples(with_value(np.inf)), "holds inf at 0.500 s"),
    "1-kHz": (samples(np.zeros(1000), 1_000), "1000 Hz, too low"),
    "folder": (Path.mkdir, "no audio file found"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_diarized_is_one_line_that_names_it(
    diarize: Command, tmp_path: Path, kind: str
) -> None:
    make, complaint = BROKEN[kind]
    path = tmp_path / f"{kind}.wav"
    make(path)
    outcome = diarize(path)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.error.startswith(str(path))
    assert complaint in outcome.error


GOOD = {
    "one-sample": (np.zeros(1), 16_000, {}),
    "zeros": (np.zeros(16_000), 16_000, {}),
    "192-kHz": (np.zeros(192_000), 192_000, {}),
    "ten-channels": (np.full((16_000, 10), 0.1), 16_000, {}),
    "8-bit": (np.zeros(16_000), 16_000, {"subtype": "PCM_U8"}),
    "64-bit": (np.full(16_000, 0.1), 16_000, {"subtype": "DOUBLE"}),
    "a b  ünï – 語": (np.zeros(16_000), 16_000, {}),
    "[call]": (np.zeros(16_000), 16_000, {}),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("vad", ["silero", "none"])
def test_what_is_only_odd_is_diarized(
    diarize: Command, tmp_path: Path, kind: str, vad: str
) -> None:
    values, sample_rate, options = GOOD[kind]
    path = write_wav(tmp_path / f"{kind}.wav", values, sample_rate, **options)
    outcome = diarize(path, "--vad", vad, "--out", tmp_path / "out", "--format", "json")
    silent = vad == "silero" or kind == "one-sample"
    note = f"sed: {path}: no speech found\n" if silent else ""
    assert (outcome.code, outcome.out, outcome.err) == (0, "", note)
    [written] = (tmp_path / "out").iterdir()
    [recording] = read(written)
    assert recording.uri == "_".join(kind.split())
    assert recording.duration == len(values) / sample_rate or kind == "one-sample"
    for segment in recording.annotation.itersegments():
        assert segment.end <= recording.duration


@pytest.mark.usefixtures("permissions")
def test_a_file_or_folder_that_must_not_be_read_is_named(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    call.chmod(0)
    closed.chmod(0)
    for path in (call, closed):
        outcome = diarize(path)
        assert outcome.code == 1
        assert outcome.error.startswith(str(path))
    closed.chmod(0o700)


def test_an_empty_name_is_not_the_current_folder(
    diarize: Command, call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `sed diarize "$UNSET"`."""
    monkeypatch.chdir(call.parent)
    outcome = diarize("")
    assert (outcome.code, outcome.out) == (1, "")
    assert "empty name" in outcome.error


@pytest.mark.parametrize("data", [b"", b"no audio " * 100])
def test_standard_input_without_audio_is_called_so(diarize: Command, data: bytes) -> None:
    outcome = diarize("-", stdin=data)
    assert outcome.code == 1
    assert outcome.error.startswith("standard input ")


def test_a_truncated_recording_is_read_to_its_end_and_told(diarize: Command, call: Path) -> None:
    call.write_bytes(call.read_bytes()[:32_044])
    outcome = diarize(call, "--json", "-")
    assert outcome.code == 0
    assert outcome.error == f"{call} is shorter than its header says; reading 1.000 s"
    assert diarize(call, "--json", "-", "--quiet").err == ""


def test_the_rest_of_a_batch_is_done_and_written(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    """Whatever stands before, between and after: files, a folder and a glob without audio."""
    bad = tmp_path / "bad.wav"
    bad.touch()
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    rttm = tmp_path / "all.rttm"
    inputs = (bad, call, nothing, tmp_path / "none*.wav", call, "missing.wav")
    outcome = diarize(*inputs, "--rttm", rttm, "--out", tmp_path / "each")
    assert (outcome.code, outcome.out) == (1, "")
    assert [recording.uri for recording in read(rttm)] == ["call", "call.wav"]
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == [
        "call.rttm",
        "call.wav.rttm",
    ]
    lines = outcome.err.splitlines()
    assert len(lines) == 5
    for line, name in zip(lines, ("bad.wav", "nothing", "none*.wav", "missing.wav"), strict=False):
        assert line.startswith("sed: ") and name in line
    assert lines[-1] == "sed: 4 of 6 recordings failed"


def test_a_batch_in_which_all_fail_writes_nothing(diarize: Command, tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    outcome = diarize(tmp_path, "--rttm", tmp_path / "out.rttm", "--json", tmp_path / "out.json")
    assert outcome.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--vad", "siilero"), "--vad takes silero, energy, none or"),
        (("--vad", "missing.rttm"), "not 'missing.rttm'"),
        (("--model", "timnet"), "no model 'timnet'"),
        (("--device", "tpu"), "--device tpu is not available here; choose auto or cpu"),
        (("--device", "cpu:x"), "--device cpu:x"),
        (("--device", ""), "choose auto or cpu"),
        (("--channel", "left"), "--channel takes mix, split or a number"),
        (("--channel", "0"), "--channel takes"),
        (("--channel", "²"), "--channel takes"),
        (("--smoothing", "gaussian"), "unknown smoothing 'gaussian'"),
        (("--min-duration", "-1"), "--min-duration takes 0 to 3600 seconds, not -1.0"),
        (("--min-duration", "nan"), "--min-duration takes"),
        (("--min-duration", "long"), "invalid value for '--min-duration'"),
        (("--threshold", "50"), "between 0 and 1, not 50"),
        (("--nonsense",), "no such option: --nonsense"),
        (("--config", "missing.toml"), "missing.toml: no such file"),
    ],
)
def test_wrong_use_is_one_line_that_tells_the_way_out(
    diarize: Command, call: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    outcome = diarize(call, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error


def test_no_input_is_wrong_use(sed: Command) -> None:
    outcome = sed("diarize")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error == "missing argument 'INPUT'; see sed diarize --help"


def test_a_channel_that_a_recording_lacks_is_that_recordings_failure(
    diarize: Command, call: Path
) -> None:
    outcome = diarize(call, "--channel", "2")
    assert outcome.code == 1
    assert outcome.error.startswith(str(call))
    assert "not 2" in outcome.error


def test_an_oracle_without_the_recording_is_that_recordings_failure(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    oracle = tmp_path / "speech.uem"
    oracle.write_text("other 1 0.0 1.0\n")
    outcome = diarize(call, "--vad", oracle)
    assert outcome.code == 1
    assert outcome.error.startswith(f"{call}: {oracle} does not know the recording 'call'")


def test_debug_shows_the_traceback_before_the_line(diarize: Command, tmp_path: Path) -> None:
    for arguments, name in (
        ((tmp_path / "missing.wav",), "FileNotFoundError"),
        ((tmp_path / "missing.wav", "--model", "none"), "ValueError"),
    ):
        lines = diarize(*arguments, "--debug").err.splitlines()
        assert lines[0].startswith("Traceback")
        assert any(line.startswith(name) for line in lines)
        assert lines[-1].startswith("sed: ")


@pytest.mark.parametrize("text", ["{", "[]", '{"specifications": {}, "model": {}}'])
def test_a_folder_with_a_broken_model_is_named(
    diarize: Command, call: Path, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(text)
    (folder / "model.safetensors").write_bytes(b"")
    outcome = diarize(call, "--model", folder)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error.startswith(str(folder / "config.json"))


def test_a_model_whose_decoding_is_unknown_is_named(
    diarize: Command, call: Path, model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = folder / "config.json"
    config.write_text(config.read_text().replace("switch_penalty", "switch_bonus"))
    outcome = diarize(call, "--model", folder)
    assert outcome.code == 2
    assert outcome.error.startswith(f"{config} describes no decoding")
