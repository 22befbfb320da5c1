"""WebVTT and SRT: checked against webvtt-py and srt in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
import srt
import webvtt
from hypothesis import given, settings
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import FORMATS, AnnotatedRecording, read, write
from sed.labels import Emotion

HAPPY = (500_000, 1_750_000, "happy", None)


def text_of(name: str, annotation: Annotation) -> str:
    return FORMATS[name].header + FORMATS[name].encode(AnnotatedRecording(annotation))


def shown(annotation: Annotation) -> list[tuple[float, float, str]]:
    """What a player shows: seconds and text, with the confidence in percent."""
    return [
        (start / 1e6, end / 1e6, name + ("" if score is None else f" ({100 * score:.4g} %)"))
        for start, end, name, score in rows(annotation)
    ]


@pytest.mark.parametrize("name", ["vtt", "srt"])
@settings(deadline=None)
@given(annotation=annotations(ticks=1000))
def test_milliseconds_emotions_and_confidences_come_back(name: str, annotation: Annotation) -> None:
    text = text_of(name, annotation)
    [recording] = FORMATS[name].parse(text, f"folder/call.{name}", None)
    assert recording.uri == "call"
    assert rows(recording) == rows(annotation)
    assert text_of(name, recording.annotation) == text


@settings(deadline=None)
@given(annotations(ticks=1000))
def test_webvtt_shows_what_is_written(annotation: Annotation) -> None:
    captions = webvtt.from_string(text_of("vtt", annotation)).captions
    found = [(c.start_in_seconds, c.text) for c in captions]
    assert sorted(found) == sorted((int(start), text) for start, _, text in shown(annotation))


@settings(deadline=None)
@given(annotations(ticks=1000))
def test_srt_shows_what_is_written(annotation: Annotation) -> None:
    found = list(srt.parse(text_of("srt", annotation)))
    assert [item.index for item in found] == list(range(1, len(found) + 1))
    times = [(item.start.total_seconds(), item.end.total_seconds(), item.content) for item in found]
    assert sorted(times) == sorted(shown(annotation))


def test_what_is_shown() -> None:
    """Golden; an hour is one, and what is markup in WebVTT is not."""
    annotation = Annotation(uri="call")
    annotation[Segment(0.5, 1.75)] = Emotion("happy", confidence=0.81)
    annotation[Segment(3600, 3661.0005)] = "<sad> & tired"
    assert text_of("vtt", annotation) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.750\nhappy (81 %)\n"
        "\n01:00:00.000 --> 01:01:01.000\n&lt;sad&gt; &amp; tired\n"
    )
    assert text_of("srt", annotation) == (
        "1\n00:00:00,500 --> 00:00:01,750\nhappy (81 %)\n"
        "\n2\n01:00:00,000 --> 01:01:01,000\n<sad> & tired\n"
    )


def test_what_webvtt_writes_is_read(tmp_path: Path) -> None:
    document = webvtt.WebVTT()
    document.captions.append(webvtt.Caption("00:00:00.500", "00:00:01.750", "happy (81 %)"))
    caption = webvtt.Caption("00:00:02.000", "00:00:03.000", ["<i>sad</i>"], identifier="two")
    document.captions.append(caption)
    document.save(str(tmp_path / "call.vtt"))
    found = rows(read(tmp_path / "call.vtt")[0])
    assert found == [(*HAPPY[:3], 0.81), (2_000_000, 3_000_000, "sad", None)]


def test_what_srt_writes_is_read(tmp_path: Path) -> None:
    items = list(srt.parse("1\n00:00:00,500 --> 00:00:01,750\nhappy\n"))
    (tmp_path / "call.srt").write_text(srt.compose(items))
    assert rows(read(tmp_path / "call.srt")[0]) == [HAPPY]


def test_notes_styles_identifiers_and_settings_do_not_matter() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\n\n"
        "NOTE\na note\n\nNOTE of one line\n\nintro\n00:00.500 --> 00:01.750 align:start line:0%\n"
        "<v Anna>happy\n\n00:02.000 --> 00:03.000\n\n00:03.000 --> 00:04.000\nsilence"
    )
    assert rows(FORMATS["vtt"].parse(text, "call.vtt", None)[0]) == [HAPPY]


@pytest.mark.parametrize("name", ["vtt", "srt"])
def test_a_recording_without_emotions_shows_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"call.{name}"
    write(path, Annotation(uri="call"))
    assert path.read_text() == {"vtt": "WEBVTT\n", "srt": ""}[name]
    [recording] = read(path)
    assert recording.uri == "call" and rows(recording) == []


@pytest.mark.parametrize("name", ["vtt", "srt"])
@pytest.mark.parametrize(
    ("cue", "complaint"),
    [
        ("hello\n", "line 5: 'hello' are no times"),
        ("7\nhello\nhappy", "line 5: '7' are no times"),
        ("0:0,1 -> 0:0,2\nhappy", "line 5: .* are no times"),
        ("00:00:01.000 --> soon\nhappy", "line 5: .* are no times"),
        ("-00:00:01.000 --> 00:00:02.000\nhappy", "line 5: .* are no times"),
        ("00:61:00.000 --> 00:62:00.000\nhappy", "line 5: .* are no times"),
        ("3\n00:00:02.000 --> 00:00:01.000\nhappy", "line 6: duration -1 s"),
        ("00:00:01.000 --> 00:00:02.000\nhello there", "line 5: unknown emotion 'hello there'"),
        ("00:00:01.000 --> 00:00:02.000\nhappy (150 %)", "line 5: confidence 1.5"),
        ("00:00:00.500 --> 00:00:01.750\njoy", "line 5: the happy segment .* stands twice"),
    ],
)
def test_a_malformed_cue_is_named(tmp_path: Path, name: str, cue: str, complaint: str) -> None:
    path = tmp_path / f"bad.{name}"
    first = "00:00:00.500 --> 00:00:01.750\nhappy\n\n"
    path.write_text({"vtt": "WEBVTT\n\n", "srt": "1\n"}[name] + first + cue)
    number = {"vtt": 6, "srt": 5}[name]
    complaint = complaint.replace("line 6", f"line {number + 1}").replace(
        "line 5", f"line {number}"
    )
    with pytest.raises(ValueError, match=rf"bad\.{name}, {complaint}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: a WebVTT file begins with WEBVTT"),
        ("WEBVTTX\n", "line 1: a WebVTT file begins"),
        ("WEBVTT\n00:01.000 --> 00:02.000\nhappy\n", "line 2: an empty line is missing"),
    ],
)
def test_a_file_that_begins_wrongly_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"x\.vtt, {complaint}"):
        FORMATS["vtt"].parse(text, "x.vtt", None)
