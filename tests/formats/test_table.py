"""CSV: what audformat's segmented tables hold, checked against audformat in both directions."""

from __future__ import annotations

from pathlib import Path

import audformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from strategies import annotations, rows

from sed.formats import AnnotatedRecording, read, write
from sed.formats.table import document, parse
from sed.labels import Emotion

RECORDINGS = st.lists(
    st.builds(
        AnnotatedRecording,
        annotations(),
        channel=st.integers(1, 3),
        path=st.none() | st.just(Path("folder/früh.mp3")),
    ),
    max_size=3,
    unique_by=lambda recording: (recording.uri, recording.channel),
)
HEAD = "file,start,end,emotion,confidence\n"
GOOD = HEAD + "a.wav,0.5,1.75,happy,0.81\n"


def call(uri: str = "deep/call", channel: int = 1) -> AnnotatedRecording:
    annotation = Annotation(uri=uri)
    annotation[Segment(0.5, 1.75)] = Emotion("happy", confidence=0.81)
    annotation[Segment(3600 * 25, 3600 * 26)] = "sad"
    return AnnotatedRecording(annotation, channel=channel, path=Path(f"/audio/{uri}.flac"))


@settings(deadline=None)
@given(RECORDINGS)
def test_everything_but_durations_comes_back(recordings: list[AnnotatedRecording]) -> None:
    endings = {r.uri: r.path for r in recordings}  # one file has one ending
    recordings = [
        AnnotatedRecording(r.annotation, channel=r.channel, path=endings[r.uri]) for r in recordings
    ]
    text = document(recordings)
    found = {(r.uri, r.channel): rows(r) for r in parse(text, "db/emotion.csv")}
    assert found == {(r.uri, r.channel): rows(r) for r in recordings}
    assert document(parse(text, "db/emotion.csv")) == text


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # audformat's, with a newer pandas
def test_audformat_reads_what_is_written(tmp_path: Path) -> None:
    empty = AnnotatedRecording(Annotation(uri="none"))
    write(tmp_path / "emotion.csv", [call(), empty])
    table = audformat.utils.read_csv(tmp_path / "emotion.csv", as_dataframe=True)
    assert audformat.is_segmented_index(table.index)
    day = pd.Timedelta(hours=25)
    expected = audformat.segmented_index(
        ["deep/call.flac", "deep/call.flac", "none.wav"],
        [pd.Timedelta("0.5s"), day, pd.Timedelta(0)],
        [pd.Timedelta("1.75s"), day + pd.Timedelta(hours=1), pd.NaT],
    )
    pd.testing.assert_index_equal(table.index, expected)
    assert table["emotion"].iloc[:2].tolist() == ["happy", "sad"]
    assert table["emotion"].isna().tolist() == [False, False, True]
    assert table["confidence"].iloc[0] == 0.81


@pytest.mark.parametrize("ends", [["1.75s", "90010.5s"], ["2s", "90010s"]])
def test_what_audformat_writes_is_read(tmp_path: Path, ends: list[str]) -> None:
    """pandas leaves out digits of a second and adds days as it likes; columns may be more."""
    index = audformat.segmented_index(["deep/a.wav", "b.wav", "c.wav"], ["0.5s", "90000s", "0s"],
                                      [*ends, pd.NaT])  # fmt: skip
    frame = pd.DataFrame(
        {"speaker": ["x,y", 'z"', ""], "confidence": [0.5, None, None],
         "emotion": ["happy", "sad", None]}, index=index,
    )  # fmt: skip
    frame.to_csv(tmp_path / "db.csv")
    found = read(tmp_path / "db.csv")
    ticks = [round(pd.Timedelta(end).total_seconds() * 1e6) for end in ends]
    assert [(r.uri, rows(r)) for r in found] == [
        ("deep/a", [(500_000, ticks[0], "happy", 0.5)]),
        ("b", [(90_000_000_000, ticks[1], "sad", None)]),
        ("c", []),
    ]
    assert found[0].path == tmp_path / "deep" / "a.wav"


def test_a_column_of_channels_is_there_only_where_it_says_something() -> None:
    assert document([call()]).startswith(HEAD)
    text = document([call(), call(channel=2)])
    assert text.startswith(HEAD.strip() + ",channel\n")
    assert [r.channel for r in parse(text, "x.csv")] == [1, 2]


def test_two_files_of_one_name_are_two_recordings() -> None:
    text = HEAD + "a.wav,0,1,happy,\na.mp3,0,1,sad,\na.wav,1,2,sad,\n"
    assert [(r.uri, len(rows(r))) for r in parse(text, "x.csv")] == [("a", 2), ("a.mp3", 1)]


def test_a_table_without_rows_holds_no_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [])
    assert (tmp_path / "a.csv").read_text() == HEAD
    assert read(tmp_path / "a.csv") == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"bad\.csv: is empty"),
        ("file,emotion\na.wav,happy\n", r"bad\.csv, line 1: no column start, end"),
        ("file;start;end;emotion\n", "line 1: no column file, start"),
        ("file,start,end,emotion,file\n", "line 1: two columns have one name"),
        (GOOD + "a.wav,0,1\n", "line 3: 3 fields; the table has 5"),
        (GOOD + ",0,1,happy,\n", "line 3: a row without a file"),
        (GOOD + "a.wav,,1,happy,\n", "line 3: start is '', not a number"),
        (GOOD + "a.wav,0,,happy,\n", "line 3: an emotion without an end"),
        (GOOD + 'a.wav,",",1,happy,\n', "line 3: start is ',', not a number"),
        (GOOD + "a.wav,soon,1,happy,\n", "line 3: start is 'soon'"),
        (GOOD + "a.wav,nan,1,happy,\n", "line 3: onset nan is not a time"),
        (GOOD + "a.wav,-1 days +23:59:59,1,happy,\n", "line 3: onset -1.0 s is negative"),
        (GOOD + "a.wav,1,1,happy,\n", "line 3: duration 0 s"),
        (GOOD + "a.wav,0,1,hangry,\n", "line 3: unknown emotion 'hangry'"),
        (GOOD + "a.wav,0,1,happy,sure\n", "line 3: confidence is 'sure'"),
        (GOOD + "a.wav,0,1,happy,1.5\n", "line 3: confidence 1.5"),
        (GOOD + 'a.wav,0,1,"happy,\n', r"bad\.csv, line 3: not CSV"),
        (GOOD.replace("confidence", "channel"), "line 2: channel '0.81'"),
        (GOOD + "a.wav,0.5,1.75,joy,\n", "line 3: the happy segment at 0.500 s stands twice"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        read(path)
    assert "bad.csv" in str(caught.value) and "\n" not in str(caught.value)
