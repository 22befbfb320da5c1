"""Reading and writing by name or ending: the right format, and files that are whole or absent."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from strategies import rows

from sed.formats import (
    FORMATS,
    AnnotatedRecording,
    AnnotationWriter,
    find_annotations,
    format_named,
    one_file_each,
    read,
    read_uem,
    write,
)

GOOD = {
    "rttm": "SPEAKER call 1 0.5 1.25 <NA> <NA> happy <NA> <NA>\n",
    "json": '{"recordings": [{"uri": "call", "segments": '
    '[{"onset": 0.5, "offset": 1.75, "emotion": "happy"}]}]}',
    "zed": '{"call": {"duration": 2, "emotion": [{"emo": "h", "start": 0.5, "end": 1.75}]}}',
    "textgrid": '"ooTextFile"\n"TextGrid"\n0\n2\n<exists>\n1\n"IntervalTier"\n"emotion"\n0\n2\n'
    '1\n0.5\n1.75\n"happy"\n',
    "elan": "<ANNOTATION_DOCUMENT><TIME_ORDER>"
    '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>'
    '<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/></TIME_ORDER>'
    '<TIER TIER_ID="emotion"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" '
    'TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>happy</ANNOTATION_VALUE>'
    "</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>\n",
    "audacity": "0.500000\t1.750000\thappy\n",
    "csv": "file,start,end,emotion\ncall.wav,0.5,0 days 00:00:01.750000,happy\n",
    "vtt": "WEBVTT\n\n00:00:00.500 --> 00:00:01.750\nhappy\n",
    "srt": "1\n00:00:00,500 --> 00:00:01,750\nhappy\n",
}
SINGLE = ["textgrid", "elan", "audacity", "vtt", "srt"]
STREAMED = ["rttm", "json", "zed"]
"""Formats whose files are written piece by piece, however long they grow."""


def happy(uri: str) -> AnnotatedRecording:
    """Recording with a happy second."""
    annotation = Annotation(uri=uri)
    annotation[Segment(1, 2)] = "happy"
    return AnnotatedRecording(annotation, duration=3.0)


@pytest.mark.parametrize("name", GOOD)
def test_a_format_is_found_by_its_name_whatever_the_ending(tmp_path: Path, name: str) -> None:
    path = tmp_path / "call.xyz"
    path.write_text(GOOD[name])
    [recording] = read(path, format=name)
    assert recording.uri == "call" and rows(recording) == [(500_000, 1_750_000, "happy", None)]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("upper", [False, True])
def test_ending_and_content_tell_the_format(tmp_path: Path, name: str, upper: bool) -> None:
    """`.json` is two formats, which the content tells apart."""
    suffix = FORMATS[name].suffixes[0]
    path = tmp_path / f"file{suffix.upper() if upper else suffix}"
    path.write_text(GOOD[name])
    [recording] = read(path)
    assert rows(recording) == [(500_000, 1_750_000, "happy", None)]


@pytest.mark.parametrize("name", ["json", "zed"])
def test_a_json_that_the_package_wrote_is_recognised(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.json"
    write(path, happy("call"), format=name)
    [recording] = read(path)
    assert (recording.uri, recording.duration) == ("call", 3.0)


def test_an_ending_is_written_in_the_first_format_that_has_it() -> None:
    assert format_named(None, "a.json").name == "json"
    assert format_named("zed", "a.json").name == "zed"


def test_an_unknown_name_or_ending_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'xml'; known are rttm, json, zed"):
        write(tmp_path / "a.rttm", [], format="xml")
    with pytest.raises(ValueError, match=r"a\.xyz has no ending of a known format \(\.rttm, .json"):
        write(tmp_path / "a.xyz", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GOOD)
def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    path.write_bytes(codecs.BOM_UTF8 + GOOD[name].replace("\n", "\r\n").encode())
    assert len(read(path)) == 1


def test_the_first_line_of_a_uem_may_follow_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.uem"
    path.write_bytes(codecs.BOM_UTF8 + b"call 1 0 1\r\n")
    assert read_uem(path)[0].uri == "call"


@pytest.mark.parametrize("name", GOOD)
def test_a_file_in_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes((GOOD[name] + "früh").encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt is not UTF-8 text"):
        read(path, format=name)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    """As Praat writes where a text is not plain ASCII; half a character is no text."""
    path = tmp_path / "wide.xyz"
    content = ("\ufeff" + GOOD[name].replace("\n", "\r\n")).encode(encoding)
    path.write_bytes(content)
    [recording] = read(path, format=name)
    assert rows(recording) == [(500_000, 1_750_000, "happy", None)]
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"wide\.xyz begins as UTF-16 text but is none"):
        read(path, format=name)


def test_an_empty_rttm_holds_no_recording_and_an_empty_json_is_malformed(tmp_path: Path) -> None:
    for name in ("a.rttm", "a.json"):
        (tmp_path / name).touch()
    assert read(tmp_path / "a.rttm") == []
    with pytest.raises(ValueError, match=r"a\.json, line 1: not JSON"):
        read(tmp_path / "a.json")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.rttm"):
        read(tmp_path / "none.rttm")


def test_further_spellings_reach_every_format(tmp_path: Path) -> None:
    assert set(GOOD) == set(FORMATS)
    for name, text in GOOD.items():
        path = tmp_path / f"{name}.txt"
        path.write_text(text.replace("happy", "joie").replace('"h"', '"joie"'))
        [recording] = read(path, format=name, labels={"joie": "happy"})
        assert rows(recording)[0][2] == "happy"


@pytest.mark.parametrize("name", STREAMED)
def test_recordings_are_written_as_they_come(tmp_path: Path, name: str) -> None:
    """A generator is a stream: one recording has left before the next is asked for."""
    writer = AnnotationWriter(tmp_path / "a.txt", format=name)
    asked = []

    def recordings() -> Iterator[AnnotatedRecording]:
        for index in range(3):
            [temporary] = tmp_path.iterdir()
            writer._stream.flush()
            asked.append(temporary.read_text().count("happy"))
            yield happy(f"call-{index}")

    with writer:
        for recording in recordings():
            writer.add(recording)
    assert asked == [0, 1, 2]
    assert [r.uri for r in read(tmp_path / "a.txt", format=name)] == ["call-0", "call-1", "call-2"]
    write(tmp_path / "b.txt", (happy(f"call-{index}") for index in range(3)), format=name)
    assert (tmp_path / "b.txt").read_text() == (tmp_path / "a.txt").read_text()


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_writer_leaves_nothing_behind_after_an_error(
    tmp_path: Path, name: str, error: type[BaseException]
) -> None:
    (tmp_path / "old.txt").write_text("old")

    def recordings() -> Iterator[AnnotatedRecording]:
        yield happy("call")
        raise error

    for path in (tmp_path / "old.txt", tmp_path / "new.txt"):
        with pytest.raises(error):
            write(path, recordings(), format=name)
    assert [file.name for file in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_a_writer_outside_of_its_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`with` block"):
        AnnotationWriter(tmp_path / "a.rttm").add(happy("call"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
def test_no_text_causes_anything_but_recordings_or_a_named_error(
    name: str, data: st.DataObject
) -> None:
    """A good file with a few characters changed."""
    text = GOOD[name]
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 3)))
        extra = data.draw(st.text('0123456789.eE+-{}[],:" \n<NA>²infaN', max_size=3))
        text = text[:start] + extra + text[end:]
    try:
        FORMATS[name].parse(text, "file.txt", None)
    except ValueError as error:
        assert "file.txt" in str(error)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("num_recordings", [0, 2])
def test_a_file_of_one_recording_holds_neither_two_nor_none(
    tmp_path: Path, name: str, num_recordings: int
) -> None:
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    with pytest.raises(ValueError, match="one recording") as caught:
        write(path, [happy(f"call-{index}") for index in range(num_recordings)])
    assert str(path) in str(caught.value)
    assert num_recordings == 0 or "--out FOLDER" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GOOD)
def test_names_and_channels_come_back_from_a_folder(tmp_path: Path, name: str) -> None:
    """In the file, or in its name where the format has no place for them."""
    calls = [happy("deep/er/call"), happy("call"), happy("a.b")]
    if name != "zed":  # which refuses channels
        calls.append(AnnotatedRecording(happy("call").annotation, duration=3.0, channel=2))
    for path, held in one_file_each(calls, FORMATS[name]):
        write(tmp_path / path, held, format=name)
    found = [r for path in find_annotations(tmp_path) for r in read(path, below=tmp_path)]
    assert {(r.uri, r.channel) for r in found} == {(r.uri, r.channel) for r in calls}
    assert len(found) == len(calls)


@pytest.mark.parametrize("uri", ["../call", "/call", "a/../../call", "a\0"])
def test_no_recording_names_a_file_outside_of_the_folder(uri: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        list(one_file_each([happy(uri)], FORMATS["vtt"]))


def test_texts_and_tables_of_another_kind_are_left_out_of_a_folder(tmp_path: Path) -> None:
    for name, content in {
        "notes.txt": b"to do\n",
        "latin.txt": b"caf\xe9",
        "scores.csv": b"recording,eder\ncall,0.1\n",
        "labels.txt": GOOD["audacity"].encode(),
        "empty.txt": b"",
        "emotion.csv": GOOD["csv"].encode(),
        ".hidden.srt": GOOD["srt"].encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    found = [path.name for path in find_annotations(tmp_path)]
    assert found == ["emotion.csv", "empty.txt", "labels.txt"]
    found = [path.name for path in find_annotations(tmp_path, format="csv")]
    assert found == ["emotion.csv"]
