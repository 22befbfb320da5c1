"""`sed diarize` on recordings that are well: what it finds and how its options change that."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Command, write_wav

from sed.cli.diarize import diarize as diarize_command
from sed.decoding import Decoding
from sed.formats import AnnotatedRecording, read
from sed.model import EmotionModel
from sed.vad import VADS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "call.wav"


@pytest.fixture
def emotions(diarize: Command, tmp_path: Path):
    """Recordings that `sed diarize --json` finds, read back."""

    def run(*arguments: str | Path) -> list[AnnotatedRecording]:
        target = tmp_path / "found.json"
        outcome = diarize(*arguments, "--json", target)
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
        return read(target)

    return run


def segments(recording: AnnotatedRecording) -> list[tuple[float, float, str]]:
    return [
        (segment.start, segment.end, str(label))
        for segment, _, label in recording.annotation.itertracks(yield_label=True)
    ]


def test_emotions_lie_in_the_recording_and_know_how_sure_they_are(emotions, call: Path) -> None:
    [recording] = emotions(call)
    assert (recording.uri, recording.channel, recording.duration) == ("call", 1, 2.0)
    assert recording.path == call
    assert segments(recording)
    for segment, _, label in recording.annotation.itertracks(yield_label=True):
        assert 0.0 <= segment.start < segment.end <= 2.0
        assert label in {"happy", "sad", "angry"}
        assert 0.0 <= label.confidence <= 1.0


@pytest.mark.parametrize("block", ["lstm", "blstm", "tdnn"])
def test_temporal_blocks_with_local_attention_diarize(
    emotions, call: Path, tmp_path: Path, block: str
) -> None:
    """At 8 kHz, in windows shorter than the recording."""
    torch.manual_seed(0)
    model = EmotionModel(
        classes=["neutral", "happy", "sad", "angry"],
        frontend={"name": "log-spectrum", "sample_rate": 8_000, "hop": 128,
                  "window_length": 512, "fft_size": 512, "normalization": 1.0},
        head={"name": "attentive", "block": block, "num_units": 16},
        window=1.5,
    )  # fmt: skip
    with torch.no_grad():
        model.head.classify.bias[0] = -50.0  # never neutral
    model.save_pretrained(tmp_path, decoding={"switch_penalty": 0.0, "min_duration_on": 0.1})
    [recording] = emotions(call, "--model", tmp_path)
    found = segments(recording)
    assert (found[0][0], found[-1][1]) == (0.0, 2.0)


def test_a_threshold_that_nothing_reaches_leaves_neutral_alone(emotions, call: Path) -> None:
    [recording] = emotions(call, "--threshold", "1.0")
    assert segments(recording) == []


def test_no_emotion_is_shorter_than_the_least_duration(emotions, call: Path) -> None:
    [short] = emotions(call, "--min-duration", "0.1")
    [long] = emotions(call, "--min-duration", "0.9")
    assert min(end - start for start, end, _ in segments(short)) < 0.9
    assert min(end - start for start, end, _ in segments(long)) >= 0.9 - 1e-6


def test_with_neutral_leaves_no_hole(emotions, voice: np.ndarray, tmp_path: Path) -> None:
    """Pauses, silence and the last part of a frame belong to a segment too."""
    samples = np.concatenate((np.zeros(8_000), voice, np.zeros(8_133), voice, np.zeros(77)))
    path = write_wav(tmp_path / "pauses.wav", samples)
    [recording] = emotions(path, "--with-neutral", "--threshold", "0.6", "--vad", "energy")
    found = sorted(segments(recording))
    assert {"neutral"} < {emotion for _, _, emotion in found}
    assert found[0][0] == 0.0
    assert found[-1][1] == pytest.approx(recording.duration, abs=1e-6)
    for (_, end, _), (start, _, _) in zip(found[:-1], found[1:], strict=True):
        assert start == end


@pytest.mark.parametrize("smoothing", ["none", "mean", "median", "total-variation"])
def test_every_smoothing_is_accepted(emotions, call: Path, smoothing: str) -> None:
    assert emotions(call, "--smoothing", smoothing)


@pytest.mark.parametrize("vad", sorted(VADS))
def test_every_detector_finds_no_speech_in_silence_or_says_all_is(
    diarize: Command, tmp_path: Path, vad: str
) -> None:
    path = write_wav(tmp_path / "silence.wav", np.zeros(16_000))
    outcome = diarize(path, "--vad", vad)
    assert (outcome.code, outcome.err) == (0, "")
    assert ("no speech found" in outcome.out) == (vad != "none")


def test_speech_can_come_from_an_annotation(emotions, call: Path, tmp_path: Path) -> None:
    """Emotions lie in the speech that a file states, as an oracle would detect it."""
    oracle = tmp_path / "speech.rttm"
    oracle.write_text("SPEAKER call 1 0.500 1.000 <NA> <NA> anna <NA> <NA>\n")
    [recording] = emotions(call, "--vad", oracle)
    assert segments(recording)
    for start, end, _ in segments(recording):
        assert 0.4 < start < end < 1.6  # half a tenth of padding on both sides


@pytest.fixture
def stereo(tmp_path: Path, voice: np.ndarray) -> Path:
    """A voice, loud on the left, and another one on the right."""
    return write_wav(tmp_path / "stereo.wav", np.stack([voice, voice[::-1] / 2], axis=1))


def test_channels_are_mixed_chosen_or_split(emotions, stereo: Path) -> None:
    [mix] = emotions(stereo)
    left, right = (emotions(stereo, "--channel", number)[0] for number in "12")
    split = emotions(stereo, "--channel", "split")
    assert [recording.channel for recording in (mix, left, right, *split)] == [1, 1, 2, 1, 2]
    assert [segments(side) for side in split] == [segments(left), segments(right)]
    assert segments(left) != segments(right) != segments(mix)


def test_options_are_named_as_in_python() -> None:
    """A word of the command line that Python has too means the same there."""
    options = inspect.signature(diarize_command).parameters
    fields = {field.name for field in dataclasses.fields(Decoding)}
    same = {"smoothing", "threshold", "with_neutral"}
    assert same <= set(options)
    assert same <= fields
    assert {"min_duration"} <= set(options) and {"min_duration_on"} <= fields
    # nothing else of decoding has an option; --config reaches the rest
    assert fields & set(options) == same


def test_help_is_short_and_shows_examples(sed: Command) -> None:
    outcome = sed("diarize", "--help")
    assert outcome.code == 0
    assert "sed diarize call.wav" in outcome.out
    assert "1 some recordings failed" in " ".join(outcome.out.split())
    assert len(outcome.out.splitlines()) <= 82


def test_the_example_in_the_repository_is_diarized_on_both_sides(emotions) -> None:
    recordings = emotions(EXAMPLE, "--channel", "split", "--vad", "silero")
    assert [recording.channel for recording in recordings] == [1, 2]
    for recording in recordings:
        assert recording.uri == "call"
        assert recording.annotation.get_timeline().extent().end <= recording.duration


def test_real_recordings_run_without_a_word(shared: Path, diarize: Command, tmp_path: Path) -> None:
    """A telephone call and a meeting, of other rates and channels, cause no warning."""
    folder = shared / "corpora" / "conversational"
    chosen = [
        folder / "google_speech_samples" / "two_channel_16k.flac",
        folder / "ami_pyannote_debug" / "trn03.flac",
    ]
    outcome = diarize(*chosen, "--vad", "silero", "--json", tmp_path / "all.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert [recording.uri for recording in read(tmp_path / "all.json")] == [
        "two_channel_16k",
        "trn03",
    ]
