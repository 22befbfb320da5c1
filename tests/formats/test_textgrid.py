"""TextGrid: what Praat's own forms say, checked against praatio in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read, write
from sed.formats.textgrid import encode, parse
from sed.labels import Emotion

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2
<exists>
1
"IntervalTier"
"emotion"
0
2
2
0
0.5
""
0.5
1.75
"happy"
"""


def emotions(*segments: tuple[float, float, str]) -> Annotation:
    annotation = Annotation(uri="call")
    for track, (start, end, name) in enumerate(segments):
        annotation[Segment(start, end), track] = name
    return annotation


@settings(deadline=None)
@given(annotations(), st.integers(1, 10**10).map(lambda ticks: ticks / 1e6))
def test_times_emotions_and_confidences_come_back(annotation: Annotation, duration: float) -> None:
    """To the tick, however they overlap; and what was read is written as it was."""
    text = encode(AnnotatedRecording(annotation, duration=duration))
    [recording] = parse(text, "folder/call.TextGrid")
    assert recording.uri == "call"
    assert rows(recording) == rows(annotation)
    last = max((segment.end for segment in annotation.itersegments()), default=0.0)
    assert recording.duration == max(duration, last)
    assert encode(recording) == text


@settings(deadline=None)
@given(annotations(ticks=1000))
def test_praatio_finds_tiers_without_holes(tmp_path_factory, annotation: Annotation) -> None:
    path = tmp_path_factory.mktemp("grid") / "call.TextGrid"
    write(path, AnnotatedRecording(annotation, duration=200.0))
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    found = []
    for name in grid.tierNames:
        entries = grid.getTier(name).entries
        assert (entries[0].start, entries[-1].end) == (0.0, 200.0)
        for before, after in zip(entries[:-1], entries[1:], strict=True):
            assert before.end == after.start
        found += [e for e in entries if e.label and name.startswith("emotion")]
    expected = sorted(row[:3] for row in rows(annotation))
    assert sorted((round(e.start * 1e6), round(e.end * 1e6), e.label) for e in found) == expected


def test_what_stands_in_a_text_grid() -> None:
    """Golden: an overlap has a tier of its own, confidences stand below their emotions."""
    annotation = emotions((0.5, 1.5, "happy"), (1.0, 2.0, 'very "sad"'))
    annotation[Segment(0.5, 1.5), 0] = Emotion("happy", confidence=0.81)
    lines = encode(AnnotatedRecording(annotation)).splitlines()
    assert lines[:7] == [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 2",
        "tiers? <exists>", "size = 3",
    ]  # fmt: skip
    stripped = [line.strip() for line in lines]
    names = [line for line in stripped if line.startswith("name")]
    assert names == ['name = "emotion"', 'name = "confidence"', 'name = "emotion 2"']
    texts = [line for line in stripped if line.startswith("text")]
    assert texts == [
        'text = ""', 'text = "happy"', 'text = ""',
        'text = ""', 'text = "0.81"', 'text = ""',
        'text = ""', 'text = "very ""sad"""',
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_what_praatio_writes_is_read(tmp_path: Path, form: str) -> None:
    """With words beside the emotions, points, and quotes in both."""
    grid = textgrid.Textgrid()
    words = [(0.0, 0.5, 'he said "no" 5'), (0.5, 1.0, "! <exists>")]
    grid.addTier(textgrid.IntervalTier("words", words, 0, 3))
    entries = [(0.5, 1.75, "happy"), (1.75, 2.0, "silence"), (2.0, 2.5, "neutral")]
    grid.addTier(textgrid.IntervalTier("Emotion", entries, 0, 3))
    grid.addTier(textgrid.PointTier("emotion-events", [(0.25, "laugh")], 0, 3))
    path = tmp_path / "call.TextGrid"
    grid.save(str(path), format=form, includeBlankSpaces=True)
    [recording] = read(path)
    assert (recording.uri, recording.duration) == ("call", 3.0)
    assert rows(recording) == [
        (500_000, 1_750_000, "happy", None),
        (2_000_000, 2_500_000, "neutral", None),
    ]


def test_the_only_tier_may_have_any_name_and_of_several_one_must_be_named() -> None:
    [recording] = parse(SHORT.replace('"emotion"', '"Anna"'), "x.TextGrid")
    assert len(rows(recording)) == 1
    tier = SHORT[SHORT.index('"IntervalTier"') :]
    two = SHORT.replace("<exists>\n1", "<exists>\n2").replace('"emotion"', '"Anna"')
    with pytest.raises(ValueError, match=r"x\.TextGrid: no tier is named 'emotion' .*'Anna', 'Bo'"):
        parse(two + tier.replace("emotion", "Bo"), "x.TextGrid")
    [recording] = parse(two + tier, "x.TextGrid")
    assert len(rows(recording)) == 1


def test_a_confidence_stays_with_an_emotion_whose_ends_were_moved() -> None:
    annotation = Annotation(uri="call")
    annotation[Segment(0.5, 1.5)] = Emotion("happy", confidence=0.81)
    annotation[Segment(2.0, 3.0)] = Emotion("sad", confidence=0.64)
    emotion, mark, confidence = encode(AnnotatedRecording(annotation, duration=4.0)).partition(
        'name = "confidence"'
    )
    moved = emotion.replace("1.5\n", "1.75\n") + mark + confidence
    found = [(name, score) for _, _, name, score in rows(parse(moved, "x.TextGrid")[0])]
    assert found == [("happy", 0.81), ("sad", 0.64)]


def test_without_duration_the_last_segment_ends_the_file_and_without_any_there_is_none() -> None:
    annotation = emotions((1.0, 2.5, "happy"))
    assert parse(encode(AnnotatedRecording(annotation)), "x.TextGrid")[0].duration == 2.5
    assert rows(parse(encode(AnnotatedRecording(Annotation(), duration=2.0)), "x")[0]) == []
    with pytest.raises(ValueError, match="needs the duration of 'call'"):
        encode(AnnotatedRecording(Annotation(uri="call")))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"bad\.TextGrid, line 1: is no TextGrid"),
        ("hello", r"bad\.TextGrid, line 1: is no TextGrid"),
        ('"Praat chronological TextGrid text file"\n0 1', "line 1: is no TextGrid"),
        (SHORT.replace('"TextGrid"', '"Sound"'), "line 1: is no TextGrid"),
        (SHORT.replace('"happy"', '"happy'), "line 18: the quote is never closed"),
        (SHORT.replace('"happy"\n', ""), "the file ends where a text should stand"),
        (SHORT.replace('"happy"', "7"), "line 18: '7' stands in place of a text"),
        (SHORT.replace('"happy"', '"hangry"'), "line 18: unknown emotion 'hangry'"),
        (SHORT.replace("1.75", "nan"), "line 18: offset nan is not a time"),
        (SHORT.replace("0.5\n1.75", "-0.5\n1.75"), "line 18: onset -0.5 s is negative"),
        (SHORT.replace("0.5\n1.75", "1.75\n0.5"), "line 18: duration -1.25 s is not above zero"),
        (SHORT.replace("0.5\n1.75", "half\n1.75"), "line 18: 'happy' stands in place of an offset"),
        (SHORT.replace('"IntervalTier"', '"Tier"'), "line 9: 'Tier' is no class of tiers"),
        (SHORT.replace("<exists>\n1", "<exists>\n1.5"), "line 7: .*'1.5', not a whole number"),
        (SHORT.replace("0\n2\n<", "0\n-2\n<"), "duration -2.0 s is not possible"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.TextGrid"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        read(path)
    assert "bad.TextGrid" in str(caught.value) and "\n" not in str(caught.value)
