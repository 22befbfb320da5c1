"""Label tracks of Audacity: a golden text in both directions, and what is malformed named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read
from sed.formats.audacity import encode, parse
from sed.labels import Emotion

GOLDEN = "0.500000\t1.750000\thappy 0.81\n1.000000\t2.000001\tsad\n"

# As Audacity 3 exports labels of which some have frequencies, one marks a point, and one is empty.
EXPORTED = (
    "0.500000\t1.750000\thappy 0.81\n\\\t200.000000\t4000.000000\n"
    "0.750000\t0.750000\tclick\n\\\t-1.000000\t4000.000000\n"
    "1.000000\t2.000001\tsad\n"
    "2.500000\t3.000000\t\n3.000000\t3.500000\tsilence\n"
)


def test_the_golden_text_is_written_and_read() -> None:
    annotation = Annotation(uri="call")
    annotation[Segment(0.5, 1.75)] = Emotion("happy", confidence=0.81)
    annotation[Segment(1.0, 2.000001)] = "sad"
    assert encode(AnnotatedRecording(annotation)) == GOLDEN
    for text in (GOLDEN, EXPORTED):
        [recording] = parse(text, "folder/call.txt")
        assert recording.uri == "call" and rows(recording) == rows(annotation)


@settings(deadline=None)
@given(annotations())
def test_times_emotions_and_confidences_come_back(annotation: Annotation) -> None:
    text = encode(AnnotatedRecording(annotation))
    [recording] = parse(text, "call.txt")
    assert rows(recording) == rows(annotation)
    assert encode(recording) == text


def test_a_recording_without_emotions_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "call.txt").write_text(encode(AnnotatedRecording(Annotation(uri="call"))))
    assert (tmp_path / "call.txt").stat().st_size == 0
    [recording] = read(tmp_path / "call.txt")
    assert recording.uri == "call" and rows(recording) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("notes on the call", "a label is an onset, an offset and a text"),
        ("0.5 1.75 happy", "a label is an onset, an offset and a text"),
        ("half\t1.75\thappy", "onset is 'half', not a number"),
        ("0,5\t1.75\thappy", "onset is '0,5', not a number"),
        ("nan\t1.75\thappy", "onset nan is not a time"),
        ("-0.5\t1.75\thappy", "onset -0.5 s is negative"),
        ("1.75\t0.5\thappy", "duration -1.25 s is not above zero"),
        ("0.5\t1.75\thangry", "unknown emotion 'hangry'"),
        ("0.5\t1.75\thappy 7", "confidence 7.0 is not between"),
        ("2\t3\tjoy", "the happy segment at 2.000 s stands twice"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(f"2\t3\thappy\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"bad\.txt, line 3: .*{complaint}") as caught:
        read(path)
    assert "\n" not in str(caught.value)
