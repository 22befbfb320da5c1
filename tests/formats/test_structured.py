"""The package's own JSON: everything comes back, everything malformed is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read
from sed.formats.structured import JSON, encode, parse

RECORDINGS = st.builds(
    AnnotatedRecording,
    annotations(),
    duration=st.none() | st.integers(0, 10**10).map(lambda ticks: ticks / 1e6),
    channel=st.integers(1, 8),
    path=st.none() | st.just(Path("folder/früh.wav")),
)


def one(**changes: Any) -> str:
    """File of one recording with one segment, parts of either replaced."""
    segment = {"onset": 0.5, "offset": 1.75, "emotion": "happy", "confidence": 0.5}
    recording = {"uri": "call", "channel": 1, "duration": 2.0}
    for name, value in changes.items():
        (segment if name in segment else recording)[name] = value
    recording.setdefault("segments", [segment])
    return json.dumps({"recordings": [recording]})


@given(st.lists(RECORDINGS, max_size=3))
def test_everything_comes_back(recordings: list[AnnotatedRecording]) -> None:
    text = JSON.header + JSON.separator.join(map(encode, recordings)) + JSON.footer
    assert JSON.recognises(text)
    found = parse(text, "x.json")
    assert len(found) == len(recordings)
    for after, before in zip(found, recordings, strict=True):
        assert (after.uri, after.channel) == (before.uri, before.channel)
        assert (after.duration, after.path) == (before.duration, before.path)
        assert rows(after) == rows(before)


def test_a_recording_without_emotions_is_kept() -> None:
    text = encode(AnnotatedRecording(Annotation(uri="call"), duration=2.0))
    assert json.loads(text)["segments"] == []


def test_equal_segments_of_different_emotions_are_kept_and_doubled_ones_an_error() -> None:
    happy = {"onset": 0.5, "offset": 1.75, "emotion": "happy"}
    [recording] = parse(one(segments=[happy, {**happy, "emotion": "sad"}]), "x.json")
    assert [row[2] for row in rows(recording)] == ["happy", "sad"]
    with pytest.raises(ValueError, match=r"x\.json, recording 'call': .* stands twice"):
        parse(one(segments=[happy, {**happy, "emotion": "joy"}]), "x.json")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: not JSON"),
        ('{"recordings": [\n{"uri"', "line 2: not JSON"),
        ("[]", "a JSON object is expected, not a list"),
        ("{}", "'recordings' must be a list of objects"),
        ('{"recordings": 3}', "'recordings' must be a list of objects"),
        ('{"recordings": ["call"]}', "'recordings' must be a list of objects"),
        ('{"recordings": [], "recordings": []}', "the key 'recordings' stands twice"),
        ('{"recordings": [{"uri": "a", "duration": NaN}]}', "NaN is not a number"),
        ('{"recordings": [{"segments": []}]}', "a recording has no 'uri'"),
        (one(uri=""), "a recording has no 'uri'"),
        (one(uri=7), "a recording has no 'uri'"),
        (one(segments=None), "recording 'call': 'segments' must be a list of objects"),
        (one(duration=-1), "recording 'call': duration -1.0 s is not possible"),
        (one(duration="long"), "recording 'call': duration is 'long', not a number"),
        (one(channel="left"), "recording 'call': channel 'left' is not a whole number"),
        (one(channel=1.5), "recording 'call': channel '1.5' is not a whole number"),
        (one(channel=-1), "recording 'call': channel '-1' is not a whole number"),
        (one(onset=10**400), "recording 'call': onset inf is not a time"),
        (one(onset="1" * 5000), "recording 'call': onset inf is not a time"),
        (one(channel=0).replace('"channel": 0', '"channel": 1e999'), "recording 'call': channel"),
        ("[" * 100_000, "nested too deeply"),
        (one(onset=None), "recording 'call': onset is None, not a number"),
        (one(onset=True), "recording 'call': onset is True, not a number"),
        (one(onset=-0.5), "recording 'call': onset -0.5 s is negative"),
        (one(offset=0.5), "recording 'call': duration 0 s is not above zero"),
        (one(offset=0.25), "recording 'call': duration -0.25 s is not above zero"),
        (one(emotion=None), "recording 'call': the emotion is None, not a name"),
        (one(emotion="joie"), "recording 'call': unknown emotion 'joie'; known are"),
        (one(confidence=2), "recording 'call': confidence 2.0 is not between 0 and 1"),
        (one(confidence="high"), "recording 'call': confidence is 'high', not a number"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.json[,:] {complaint}") as caught:
        read(path, format="json")
    assert "\n" not in str(caught.value)
