"""Datasets of archives: all comes back, what is unfinished is unseen, what is damaged is named."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from pyannote.core import Annotation, Segment

from sed.archive.dataset import Dataset, Row, Seen, is_dataset
from sed.files import whole_file
from sed.labels import Emotion, confidence_of

pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")

SETTINGS = {"model": "timnet-mfcc", "vad": "silero", "decoding": {"switch_penalty": 1.5}}


def row(uri: str, *segments: tuple[float, float, str, float | None], channel: int = 1) -> Row:
    annotation = Annotation(uri=uri)
    for track, (start, end, emotion, confidence) in enumerate(segments):
        annotation[Segment(start, end), track] = Emotion(emotion, confidence=confidence)
    return Row(f"calls/{uri}.wav", uri, channel, 12.4, 8.1, annotation, None)


def failed(uri: str, reason: str = "no audio in it") -> Row:
    return Row(f"calls/{uri}.wav", uri, None, None, None, None, reason)


def told(row: Row) -> tuple[object, ...]:
    """All that a row says."""
    segments = row.annotation and [
        (segment.start, segment.end, label, confidence_of(label))
        for segment, _, label in row.annotation.itertracks(yield_label=True)
    ]
    uri = row.annotation and row.annotation.uri
    return (row.path, row.uri, row.channel, row.duration, row.speech, uri, segments, row.error)


ROWS = [
    row("deep/früh", (0.5, 1.75, "angry", 0.81), (0.5, 1.75, "sad", None), (3.000001, 4, "sad", 1)),
    row("deep/früh", channel=2),
    failed("broken"),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(tmp_path / "emotions", SETTINGS)


def test_everything_comes_back_in_order_of_file_names(dataset: Dataset) -> None:
    part = dataset.write("ff00", ROWS)
    dataset.write("0a", [row("first")])
    assert part.relative_to(dataset.folder) == Path("part=ff/ff00.parquet")
    assert [told(found) for found in dataset.rows()] == [told(r) for r in [row("first"), *ROWS]]
    found = list(dataset.recordings())
    assert [(each.uri, each.channel) for each in found] == [
        ("first", 1), ("deep/früh", 1), ("deep/früh", 2),
    ]  # fmt: skip
    assert (found[1].duration, found[1].path) == (12.4, Path("calls/deep/früh.wav"))


def test_a_uri_of_an_object_store_is_no_path_of_this_machine() -> None:
    there = Row("s3://bucket/a.wav", "a", 1, None, None, Annotation(uri="a"), None)
    assert there.recording.path is None


def test_a_name_that_is_no_utf8_is_kept_as_escapes(dataset: Dataset) -> None:
    path = os.fsdecode(b"calls/fr\xfch.wav")
    dataset.write("aa", [Row(path, "fr\udcfch", None, None, None, None, f"{path}: no audio")])
    assert [found.path for found in dataset.rows()] == [r"calls/fr\udcfch.wav"]
    assert (path, "fr\udcfch") in dataset.seen()


def test_equal_rows_are_equal_bytes(dataset: Dataset, tmp_path: Path) -> None:
    other = Dataset.open(tmp_path / "again", SETTINGS)
    assert dataset.write("aa", ROWS).read_bytes() == other.write("aa", ROWS).read_bytes()
    assert (
        dataset.write("aa", list(dataset.rows())).read_bytes()
        == other.write("aa", ROWS).read_bytes()
    )  # and what was read is what was written


def test_work_that_is_done_twice_stands_once(dataset: Dataset) -> None:
    dataset.write("aa", [row("a"), row("b")])
    dataset.write("aa", [row("a"), failed("b")])
    assert [(found.uri, found.error is None) for found in dataset.rows()] == [
        ("a", True), ("b", False),
    ]  # fmt: skip


def test_a_dataset_is_gone_on_with(dataset: Dataset) -> None:
    dataset.write("aa", ROWS)
    again = Dataset.open(str(dataset.folder), dict(reversed(SETTINGS.items())))
    assert len(list(again.rows())) == 3
    assert json.loads((dataset.folder / "_sed.json").read_text()) == {"sed": 1, **SETTINGS}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vad": "energy"}, 'vad = "silero", not "energy"'),
        ({"decoding": {"switch_penalty": 2}}, '{"switch_penalty": 1.5}, not {"switch_penalty": 2}'),
        ({"channel": "split"}, 'channel = nothing, not "split"'),
        ({"model": None}, 'model = "timnet-mfcc", not null'),
    ],
)
def test_other_settings_are_refused(dataset: Dataset, changes: dict, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        Dataset.open(dataset.folder, {**SETTINGS, **changes})
    assert complaint in str(caught.value) and str(dataset.folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_that_is_no_more_is_a_difference(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match='vad = "silero", not nothing'):
        Dataset.open(dataset.folder, {k: v for k, v in SETTINGS.items() if k != "vad"})


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("thesis.txt", "years of work", "'thesis.txt' and is no dataset"),
        ("_sed.json", "{", "_sed.json, line 1: not JSON"),
        ("_sed.json", '{"recordings": []}', "no settings of a dataset"),
        ("_sed.json", '{"sed": 2}', "a later version"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=complaint):
        Dataset.open(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == text


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "emotions").write_text("")
    with pytest.raises(OSError, match="emotions is a file; a dataset is a folder"):
        Dataset.open(tmp_path / "emotions", SETTINGS)
    assert not is_dataset(tmp_path / "emotions") and not is_dataset(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["", "a", "../aa", "AA", "aa.b"])
def test_a_name_stays_in_the_folder(dataset: Dataset, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a part"):
        dataset.write(name, ROWS)


def test_a_row_says_one_thing() -> None:
    with pytest.raises(ValueError, match="not neither"):
        Row("a.wav", "a", 1, 2.0, 1.0, None, None)
    with pytest.raises(ValueError, match="not both"):
        Row("a.wav", "a", 1, 2.0, 1.0, Annotation(uri="a"), "failed")


KILLED = """
import os, signal, sys
from sed.files import whole_file
with whole_file(sys.argv[1]) as stream:
    stream.write("PAR1, and no end")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("victim", ["_sed.json", "part=aa/aa11.parquet"])
def test_leftovers_of_killed_writers_are_not_read(tmp_path: Path, victim: str) -> None:
    folder = tmp_path / "emotions"
    if victim != "_sed.json":
        Dataset.open(folder, SETTINGS).write("aa22", ROWS)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder / victim)])
    assert killed.returncode == -signal.SIGKILL
    assert len(list((folder / victim).parent.glob(".*"))) == 1  # it is there
    dataset = Dataset.open(folder, SETTINGS)
    expected = [] if victim == "_sed.json" else [told(row) for row in ROWS]
    assert [told(row) for row in dataset.rows()] == expected
    dataset.drop_failed()
    assert len(dataset.seen()) == len({row[1] for row in expected} - {"broken"})


def test_seen_is_small_and_exact() -> None:
    def recordings(kind: str) -> list[tuple[str, str]]:
        return [(f"calls/{kind}/{number}.wav", f"{kind}/{number}") for number in range(10_000)]

    seen = Seen(pair for _ in range(2) for pair in recordings("in"))
    assert len(seen) == 10_000 and seen.nbytes == 80_000
    assert all(pair in seen for pair in recordings("in"))
    assert not any(pair in seen for pair in recordings("out"))
    assert ("calls/in/1.wav", "in/2") not in seen
    assert ("a", "b") not in Seen([])


def test_seen_counts_the_failed_unless_told_otherwise(dataset: Dataset) -> None:
    dataset.write("aa", ROWS)
    dataset.write("bb", [failed("other")])
    assert len(dataset.seen()) == 3
    assert ("calls/broken.wav", "broken") in dataset.seen()
    whole = dataset.seen(failed=False)
    assert len(whole) == 1 and ("calls/deep/früh.wav", "deep/früh") in whole


def test_memory_does_not_grow_with_the_dataset(dataset: Dataset) -> None:
    """Python's part of it; one file holds what 200 together would."""
    segments = [(float(start), start + 0.5, "angry", 0.5) for start in range(50)]
    dataset.write("aa", [row(f"call{number}", *segments) for number in range(800)])
    for _ in dataset.rows():  # imports and caches
        break
    tracemalloc.start()
    try:
        assert sum(1 for _ in dataset.rows()) == 800
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000  # all 40,000 segments at once take 30 MB


def test_failed_recordings_are_dropped(dataset: Dataset) -> None:
    untouched = dataset.write("aa", [row("a")])
    before = untouched.stat().st_mtime_ns
    dataset.write("bb", ROWS)
    gone = dataset.write("cc", [failed("c"), failed("d")])
    dataset.drop_failed()
    assert [told(found) for found in dataset.rows()] == [told(r) for r in [row("a"), *ROWS[:2]]]
    assert untouched.stat().st_mtime_ns == before and not gone.exists()


def damaged(content: bytes) -> dict[str, bytes]:
    middle = content.index(b"calls/") if b"calls/" in content else 40
    return {
        "empty": b"",
        "text": b"SPEAKER call 1 0.5 1.25 <NA> <NA> happy <NA> <NA>\n",
        "cut off": content[: len(content) // 2],
        "no beginning": content[100:],
        "a flipped bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "zeros": bytes(len(content)),
    }


@pytest.mark.parametrize("kind", damaged(b"0" * 200))
def test_a_damaged_part_is_named(dataset: Dataset, kind: str) -> None:
    dataset.write("aa", [row("a")])
    part = dataset.write("bb", ROWS)
    part.write_bytes(damaged(part.read_bytes())[kind])
    for read in (lambda: list(dataset.rows()), dataset.seen, dataset.drop_failed):
        with pytest.raises(ValueError) as caught:
            read()
        assert str(caught.value).startswith(f"{part}: damaged") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"uri": None}, "a row without a path or uri"),
        ({"duration": -1.0}, "duration -1.0 s is not possible"),
        ({"segments": None}, "not neither"),
        ({"error": "failed"}, "not both"),
        ({"start": float("nan")}, "onset nan is not a time"),
        ({"start": None}, ""),
        ({"end": 0.5}, "duration 0 s is not above zero"),
        ({"emotion": "hungry"}, "unknown emotion 'hungry'"),
        ({"confidence": 7.0}, "confidence 7.0 is not between 0 and 1"),
        ({"column": 1}, "its columns are others"),
    ],
)
def test_what_is_well_formed_and_wrong_is_named(
    dataset: Dataset, change: dict, complaint: str
) -> None:
    import pyarrow
    import pyarrow.parquet

    part = dataset.write("aa", [row("a", (0.5, 1.75, "angry", 0.81))])
    table = pyarrow.parquet.read_table(part, partitioning=None)
    [cells] = table.to_pylist()
    for name, value in change.items():
        (cells if name in cells else cells["segments"][0])[name] = value
    schema = None if "column" in change else table.schema
    changed = [{**cells, **change}] if "column" in change else [cells]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(changed, schema=schema), part)
    with pytest.raises(ValueError) as caught:
        list(dataset.rows())
    assert str(caught.value).startswith(f"{part}: damaged") and complaint in str(caught.value)


def test_a_full_disk_leaves_what_was_there(dataset: Dataset) -> None:
    part = dataset.write("aa", [row("a")])
    before = part.read_bytes()
    many = [row(f"call{number}") for number in range(1000)]
    resource = pytest.importorskip("resource", reason="a limit stands for the end of the disk")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            dataset.write("aa", many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(part) and caught.value.errno == errno.EFBIG
    assert part.read_bytes() == before and list(part.parent.iterdir()) == [part]
    dataset.write("aa", many)
    assert len(dataset.seen()) == 1000


@pytest.mark.usefixtures("permissions")
def test_a_part_that_must_not_be_read_is_not_damaged(dataset: Dataset) -> None:
    part = dataset.write("aa", ROWS)
    part.chmod(0)
    with pytest.raises(PermissionError, match="aa.parquet"):
        list(dataset.rows())


def test_other_programs_read_a_dataset(dataset: Dataset) -> None:
    duckdb = pytest.importorskip("duckdb", reason="an independent reader")
    dataset.write("aa", ROWS)
    with whole_file(dataset.folder / "part=aa" / "never.finished") as stream:
        stream.write("x")
    found = duckdb.sql(
        f"SELECT uri, channel, len(segments), segments[1].emotion, error, part FROM "
        f"read_parquet('{dataset.folder}/**/*.parquet', hive_partitioning = true)"
    ).fetchall()
    assert found == [
        ("deep/früh", 1, 3, "angry", None, "aa"),
        ("deep/früh", 2, 0, None, None, "aa"),
        ("broken", None, None, None, "no audio in it", "aa"),
    ]


WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from sed.archive.dataset import Dataset, is_dataset
assert not is_dataset(sys.argv[1])
try:
    Dataset.open(sys.argv[1], {})
except ValueError as error:
    print(error)
"""


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "new")], capture_output=True, text=True
    )
    assert "pip install 'speech-emotion-diarization[archive]'" in found.stdout
    assert found.stdout.count("\n") == 1 and not (tmp_path / "new").exists()
