"""EAF: what ELAN's schema says, checked against pympi in both directions."""

from __future__ import annotations

from pathlib import Path

import pympi
import pytest
from hypothesis import given, settings
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read, write
from sed.formats.elan import encode, parse
from sed.labels import Emotion


def call() -> AnnotatedRecording:
    annotation = Annotation(uri="call")
    annotation[Segment(0.5, 1.75)] = Emotion("happy", confidence=0.81)
    return AnnotatedRecording(annotation, path=Path("/audio/call früh.wav"))


GOOD = encode(call())


@settings(deadline=None)
@given(annotations(ticks=1000))
def test_milliseconds_emotions_and_confidences_come_back(annotation: Annotation) -> None:
    text = encode(AnnotatedRecording(annotation))
    [recording] = parse(text, "folder/call.eaf")
    assert (recording.uri, recording.duration, recording.path) == ("call", None, None)
    assert rows(recording) == rows(annotation)
    assert encode(recording) == text


@settings(deadline=None)
@given(annotations(ticks=1000))
def test_pympi_finds_the_same(tmp_path_factory, annotation: Annotation) -> None:
    path = tmp_path_factory.mktemp("eaf") / "call.eaf"
    write(path, AnnotatedRecording(annotation))
    document = pympi.Eaf(str(path))
    slots = [document.timeslots[f"ts{n}"] for n in range(1, len(document.timeslots) + 1)]
    assert slots == sorted(slots)
    found = []
    for name in document.get_tier_names():
        if name.startswith("emotion"):
            found += [(*entry, None) for entry in document.get_annotation_data_for_tier(name)]
        else:
            parent = document.get_parameters_for_tier(name)["PARENT_REF"]
            for onset, offset, score, label in document.get_ref_annotation_data_for_tier(name):
                assert parent == name.replace("confidence", "emotion")
                found.remove((onset, offset, label, None))
                found.append((onset, offset, label, float(score)))
    expected = [(start // 1000, end // 1000, *rest) for start, end, *rest in rows(annotation)]
    assert sorted(found, key=lambda row: row[:3]) == expected


def test_pympi_finds_the_recording(tmp_path: Path) -> None:
    write(tmp_path / "call.eaf", call())
    [media] = pympi.Eaf(str(tmp_path / "call.eaf")).media_descriptors
    assert media["MEDIA_URL"] == "file:///audio/call%20fr%C3%BCh.wav"
    assert media["MIME_TYPE"] == "audio/x-wav"
    assert read(tmp_path / "call.eaf")[0].path == Path("/audio/call früh.wav")


def test_what_pympi_writes_is_read(tmp_path: Path) -> None:
    """Emotions that depend on what was said have its times; other tiers do not matter."""
    document = pympi.Eaf()
    document.add_tier("words")
    document.add_annotation("words", 500, 1750, "<hello> & so on")
    document.add_linguistic_type("depends", "Symbolic_Association", timealignable=False)
    document.add_tier("Emotion", ling="depends", parent="words")
    document.add_ref_annotation("Emotion", "words", 600, "happy")
    document.add_linked_file("file:///elsewhere/call.wav", "./call.wav")
    path = tmp_path / "call.eaf"
    document.to_file(str(path))
    [recording] = read(path)
    assert rows(recording) == [(500_000, 1_750_000, "happy", None)]
    assert recording.path == tmp_path / "call.wav"


def test_the_only_tier_that_holds_something_may_have_any_name(tmp_path: Path) -> None:
    document = pympi.Eaf()  # with an empty tier "default"
    document.add_tier("Anna")
    document.add_annotation("Anna", 500, 1750, "neutral")
    document.add_annotation("Anna", 1750, 2000, "")
    path = tmp_path / "call.eaf"
    document.to_file(str(path))
    assert rows(read(path)[0]) == [(500_000, 1_750_000, "neutral", None)]
    document.add_tier("Bo")
    document.add_annotation("Bo", 500, 1750, "sad")
    document.to_file(str(path))
    with pytest.raises(ValueError, match=r"call\.eaf: no tier is named 'emotion'.*'Anna', 'Bo'"):
        read(path)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "happy"><!ENTITY b SYSTEM "file:///etc/hostname">]>
<ANNOTATION_DOCUMENT>&a;&b;</ANNOTATION_DOCUMENT>"""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"bad\.eaf, line 1: not XML"),
        (BOMB, r"bad\.eaf, line 2: <!DOCTYPE is refused"),
        (GOOD.replace("</HEADER>", ""), r"bad\.eaf, line \d+: not XML \(mismatched tag"),
        ("<html/>", r"bad\.eaf: 'html' is no ANNOTATION_DOCUMENT"),
        ("<ANNOTATION_DOCUMENT/>", r"bad\.eaf: no tier is named 'emotion'"),
        (GOOD.replace("milliseconds", "PAL-frames"), "times in 'PAL-frames'"),
        (GOOD.replace('"500"', '"-1"'), "time slot 'ts1': '-1' is no time"),
        (GOOD.replace('"500"', '"nan"'), "time slot 'ts1': 'nan' is no time"),
        (GOOD.replace('"500"', '"1750"'), "tier 'emotion', annotation 'a1': duration 0 s"),
        (GOOD.replace(' TIME_VALUE="500"', ""), "annotation 'a1': no time in the slot 'ts1'"),
        (GOOD.replace("happy", "hangry"), "annotation 'a1': unknown emotion 'hangry'"),
        (GOOD.replace("0.81", "sure"), "annotation 'a2': confidence is 'sure'"),
        (GOOD.replace("0.81", "1.5"), "annotation 'a1': confidence 1.5"),
        (GOOD.replace('REF="a1"', 'REF="a9"'), "annotation 'a2': refers to 'a9'"),
        (GOOD.replace('REF="a1"', 'REF="a2"'), "annotation 'a2': its references run in circles"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.eaf"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        read(path)
    assert "bad.eaf" in str(caught.value) and "\n" not in str(caught.value)
