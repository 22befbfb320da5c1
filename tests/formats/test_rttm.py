"""RTTM: what is written comes back to the millisecond, what is malformed is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read, write
from sed.formats.rttm import encode, parse
from sed.labels import Emotion

GOOD = "SPEAKER call 1 0.500 1.250 <NA> <NA> happy <NA> <NA>\n"


@given(annotations(ticks=1000), st.integers(1, 8))
def test_milliseconds_emotions_and_confidences_come_back(
    annotation: Annotation, channel: int
) -> None:
    text = encode(AnnotatedRecording(annotation, channel=channel))
    if not annotation:
        assert text == ""
        return
    [recording] = parse(text, "x.rttm")
    assert (recording.uri, recording.channel) == (annotation.uri, channel)
    assert rows(recording) == rows(annotation)


@given(st.lists(st.floats(0.0, 1000.0), min_size=2, max_size=8).map(sorted))
def test_segments_that_touch_still_touch(boundaries: list[float]) -> None:
    """However the boundaries are rounded; what rounds to nothing is left out."""
    annotation = Annotation(uri="call")
    kinds = ["happy", "sad"]
    for index, (start, end) in enumerate(zip(boundaries[:-1], boundaries[1:], strict=True)):
        annotation[Segment(start, end), index] = kinds[index % 2]
    for recording in parse(encode(AnnotatedRecording(annotation)), "x.rttm"):
        found = rows(recording)
        for (_, end, _, _), (start, _, _, _) in zip(found[:-1], found[1:], strict=True):
            assert end == start
        assert found[0][0] / 1e6 == pytest.approx(boundaries[0], abs=5.1e-4)
        assert found[-1][1] / 1e6 == pytest.approx(boundaries[-1], abs=5.1e-4)


def test_white_space_in_names_does_not_break_the_line() -> None:
    annotation = Annotation(uri="my call\u2028two")
    annotation[Segment(0, 1)] = "very happy"
    text = encode(AnnotatedRecording(annotation))
    assert text.split()[1] == "my_call_two" and len(text.split()) == 10
    [recording] = parse(text, "x.rttm", {"very_happy": "very happy"})
    assert rows(recording) == [(0, 1_000_000, "very happy", None)]


def test_channels_of_a_recording_stay_apart() -> None:
    text = GOOD + GOOD.replace("call 1", "call 2") + GOOD.replace("call", "dial")
    assert [(r.uri, r.channel) for r in parse(text, "x.rttm")] == [
        ("call", 1),
        ("call", 2),
        ("dial", 1),
    ]


def test_equal_segments_of_different_emotions_are_kept() -> None:
    [recording] = parse(GOOD + GOOD.replace("happy", "sad"), "x.rttm")
    assert rows(recording) == [
        (500_000, 1_750_000, "happy", None),
        (500_000, 1_750_000, "sad", None),
    ]


def test_a_doubled_line_is_an_error() -> None:
    """Even if it spells the emotion otherwise."""
    with pytest.raises(ValueError, match=r"x\.rttm, line 3: the happy segment .* stands twice"):
        parse(GOOD + "\n" + GOOD.replace("happy", "joy"), "x.rttm")


def test_comments_empty_lines_and_other_types_are_skipped() -> None:
    text = ";; comment\n\n   \nSPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA>\n" + GOOD
    [recording] = parse(text, "x.rttm")
    assert len(rows(recording)) == 1


@pytest.mark.parametrize("num_fields", [8, 9, 10])
def test_older_rttm_has_fewer_fields(num_fields: int) -> None:
    [recording] = parse(" ".join(GOOD.split()[:num_fields]), "x.rttm")
    assert rows(recording) == [(500_000, 1_750_000, "happy", None)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SPEAKER call 1 0.5 1.25", "5 fields"),
        (GOOD.strip() + " more", "11 fields"),
        ("call 1 0.5 1.25", "'call' is no RTTM type"),
        ('{"recordings": []}', "is no RTTM type"),
        (GOOD.replace("call 1", "call one"), "channel 'one'"),
        (GOOD.replace("call 1", "call -1"), "channel '-1'"),
        (GOOD.replace("call 1", "call ²"), "channel '²'"),
        (GOOD.replace("0.500", "half"), "onset is 'half', not a number"),
        (GOOD.replace("0.500", "nan"), "onset nan"),
        (GOOD.replace("0.500", "-0.1"), "onset -0.1 s is negative"),
        (GOOD.replace("0.500", "1e99"), "onset 1e[+]99"),
        (GOOD.replace("1.250", "<NA>"), "duration is '<NA>', not a number"),
        (GOOD.replace("1.250", "nan"), "offset nan"),
        (GOOD.replace("1.250", "inf"), "offset inf"),
        (GOOD.replace("1.250", "0"), "duration 0 s is not above zero"),
        (GOOD.replace("1.250", "-0.2"), "duration -0.2 s is not above zero"),
        (GOOD.replace("happy <NA>", "happy sure"), "confidence is 'sure'"),
        (GOOD.replace("happy <NA>", "happy 1.5"), "confidence 1.5"),
        (GOOD.replace("happy <NA>", "happy nan"), "confidence nan"),
        (GOOD.replace("happy", "MEE068"), "unknown emotion 'MEE068'; known are amused"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.rttm"
    path.write_text(GOOD.replace("call", "other") + line + "\n")
    with pytest.raises(ValueError, match=rf"bad\.rttm, line 2: .*{complaint}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_recording_without_emotions_has_no_line(tmp_path: Path) -> None:
    write(tmp_path / "a.rttm", [Annotation(uri="a"), Annotation(uri="b")])
    assert (tmp_path / "a.rttm").read_text() == ""
    assert read(tmp_path / "a.rttm") == []


def test_plain_strings_are_labels_too() -> None:
    annotation = Annotation(uri="call")
    annotation[Segment(0.5, 1.75)] = "happy"
    assert encode(AnnotatedRecording(annotation)) == GOOD
    annotation[Segment(0.5, 1.75)] = Emotion("happy", confidence=0.8125)
    assert encode(AnnotatedRecording(annotation)) == GOOD.replace("happy <NA>", "happy 0.812")
