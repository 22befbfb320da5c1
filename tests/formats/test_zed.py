"""ZED.json: the corpus's own annotation, and what the package writes in its shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read, write
from sed.formats.zed import ZED, encode, parse

RECORDINGS = st.lists(
    st.builds(
        AnnotatedRecording,
        annotations(),
        duration=st.integers(0, 10**10).map(lambda ticks: ticks / 1e6),
    ),
    max_size=3,
    unique_by=lambda recording: recording.uri,
)


def file_of(**changes: object) -> str:
    """File of one recording with one event, parts of either replaced."""
    event: dict[str, object] = {"emo": "happy", "start": 0.5, "end": 1.75}
    item: dict[str, object] = {"wav": "datafolder/a/call.wav", "duration": 2.0}
    for name, value in changes.items():
        (event if name in event else item)[name] = value
    return json.dumps({"call": {"emotion": [event], **item}})


@given(RECORDINGS)
def test_times_emotions_and_durations_come_back(recordings: list[AnnotatedRecording]) -> None:
    text = ZED.header + ZED.separator.join(map(encode, recordings)) + ZED.footer
    found = parse(text, "corpus/ZED.json")
    assert [(r.uri, r.duration) for r in found] == [(r.uri, r.duration) for r in recordings]
    for after, before in zip(found, recordings, strict=True):
        # the format has no place for confidences
        assert rows(after) == [(*row[:3], None) for row in rows(before)]
        assert after.path == Path("corpus", f"{before.uri}.wav")


def test_the_word_for_the_corpus_folder_is_the_folder_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ZED.json"
    path.write_text(file_of())
    assert read(path)[0].path == tmp_path / "a" / "call.wav"
    path.write_text(file_of(wav="/elsewhere/call.wav"))
    assert read(path)[0].path == Path("/elsewhere/call.wav")


def test_letters_and_words_mean_emotions() -> None:
    events = [
        {"emo": emo, "start": i, "end": i + 1} for i, emo in enumerate(["n", "h", "s", "angry"])
    ]
    text = json.dumps({"call": {"duration": 9, "emotion": events}})
    [recording] = parse(text, "ZED.json")
    assert [row[2] for row in rows(recording)] == ["neutral", "happy", "sad", "angry"]
    assert recording.path is None


def test_the_duration_must_be_known_to_be_written(tmp_path: Path) -> None:
    annotation = Annotation(uri="call")
    annotation[Segment(0, 1)] = "happy"
    with pytest.raises(ValueError, match="duration of 'call'"):
        write(tmp_path / "a.json", annotation, format="zed")
    assert list(tmp_path.iterdir()) == []


def test_channels_cannot_be_written() -> None:
    """Two members of one name would be a file that nobody can read."""
    with pytest.raises(ValueError, match="no channels.*'call'"):
        encode(AnnotatedRecording(Annotation(uri="call"), duration=2.0, channel=2))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: not JSON"),
        ('{"call":\n[}', "line 2: not JSON"),
        ('{"call": 3}', "recording 'call': 'emotion' must be a list of objects"),
        ('{"call": {"emotion": "happy"}}', "recording 'call': 'emotion' must be a list"),
        ('{"a": {"emotion": []}, "a": {"emotion": []}}', "the key 'a' stands twice"),
        (file_of(duration=-2), "recording 'call': duration -2.0 s is not possible"),
        (file_of(start="x"), "recording 'call': start is 'x', not a number"),
        (file_of(start=-1), "recording 'call': onset -1.0 s is negative"),
        (file_of(end=0.5), "recording 'call': duration 0 s is not above zero"),
        (file_of(emo="x"), "recording 'call': unknown emotion 'x'; known are"),
        (file_of(emo=1), "recording 'call': the emotion is 1, not a name"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.json[,:] {complaint}") as caught:
        read(path, format="zed")
    assert "\n" not in str(caught.value)
