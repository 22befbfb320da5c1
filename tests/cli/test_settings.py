"""`--config`: settings from a TOML file, under the command line and above the model's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command


@pytest.fixture
def configured(diarize: Command, call: Path, tmp_path: Path):
    """`sed diarize --config` with the text of a TOML file."""

    def run(text: str | bytes, *arguments: str):
        path = tmp_path / "settings.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return diarize(call, "--json", "-", "--config", path, *arguments)

    return run


def durations(out: str) -> list[float]:
    [recording] = json.loads(out)["recordings"]
    return [segment["offset"] - segment["onset"] for segment in recording["segments"]]


def test_the_file_sets_options_and_stages(configured) -> None:
    """An option, with either spelling, and a field that has no option."""
    plain = durations(configured("").out)
    assert min(plain) < 0.4
    for text in ("min-duration = 0.5", "min_duration = 0.5", "[decoding]\nmin_duration_on = 0.5"):
        outcome = configured(text)
        assert (outcome.code, outcome.err) == (0, "")
        assert min(durations(outcome.out)) >= 0.5 - 1e-6
    one = durations(configured("[decoding]\npath = 'single-event'").out)
    assert len(one) == 1 < len(plain)


def test_the_file_reaches_the_speech_detection(configured) -> None:
    settings = "[speech]\nonset = 1\noffset = 1.0"
    outcome = configured(settings, "--vad", "energy")
    assert outcome.code == 0
    assert durations(outcome.out) == []
    assert durations(configured("vad = 'energy'").out) != []


def test_the_command_line_wins(configured) -> None:
    text = "threshold = 1.0\n[decoding]\nsmoothing = 'none'\n"
    assert durations(configured(text).out) == []
    assert durations(configured(text, "--threshold", "0").out) != []
    below = configured("[decoding]\nthreshold = 1.0", "--threshold", "0")
    assert durations(below.out) != []


def test_thresholds_may_differ_by_emotion(configured) -> None:
    outcome = configured("[decoding.threshold]\nsad = 1\nhappy = 1.0\n")
    [recording] = json.loads(outcome.out)["recordings"]
    assert {segment["emotion"] for segment in recording["segments"]} == {"angry"}


def test_a_flag_can_be_set(configured) -> None:
    outcome = configured("with-neutral = true\nthreshold = 1")
    assert durations(outcome.out) == [2.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("volume = 3", "unknown setting 'volume'; known are address, channel, "),
        ("config = 'other.toml'", "unknown setting 'config'"),
        ("inputs = 'call.wav'", "unknown setting 'inputs'"),
        ("[decoding]\nlouder = 1", "unknown setting 'louder' in [decoding]; known are path, smoo"),
        ("[speech]\npath = 'x'", "unknown setting 'path' in [speech]; known are onset, offset"),
        ("[vad]\nonset = 1", "vad is {'onset': 1}, but must be a text"),
        ("decoding = 3", "decoding must be a table"),
        ("threshold = 'high'", "threshold is 'high', but must be a number"),
        ("threshold = true", "threshold is True, but must be a number"),
        ("quiet = 'yes'", "quiet is 'yes', but must be true or false"),
        ("channel = 2", "channel is 2, but must be a text in quotes"),
        ("rttm = ['a']", "rttm is ['a'], but must be a text"),
        ("[decoding]\nswitch_penalty = '4'", "decoding.switch_penalty is '4', but must be a num"),
        ("[decoding]\nwith_neutral = 1", "decoding.with_neutral is 1, but must be true or false"),
        ("[decoding]\nthreshold = 7", "between 0 and 1, not 7"),
        ("[decoding.threshold]\nsad = 'x'", "decoding.threshold.sad is 'x'"),
        ("[speech]\nonset = 0.1", "0 <= offset <= onset <= 1"),
        ("threshold = ", "nvalid"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_what_the_file_cannot_say_is_one_line_that_names_it(
    configured, tmp_path: Path, text: str | bytes, complaint: str
) -> None:
    outcome = configured(text)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error.startswith(f"{tmp_path / 'settings.toml'}: ")
    assert complaint in outcome.error


def test_a_threshold_for_an_emotion_that_the_model_lacks_is_told_once(configured) -> None:
    outcome = configured("[decoding.threshold]\nbored = 0.5")
    assert outcome.code == 2
    assert "'bored'; the model knows neutral, happy, sad, angry" in outcome.error


def test_a_folder_is_no_file_of_settings(diarize: Command, call: Path, tmp_path: Path) -> None:
    outcome = diarize(call, "--config", tmp_path)
    assert outcome.code == 2
    assert outcome.error == f"{tmp_path}: is a directory"
