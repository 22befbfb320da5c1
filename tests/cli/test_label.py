"""`sed label`: between any two formats, files and folders, with what is lost said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command
from pyannote.core import Annotation, Segment

from sed.formats import FORMATS, AnnotatedRecording, find_annotations, one_file_each, read, write
from sed.labels import Emotion, confidence_of

Row = tuple[str, int, float, float, str, float | None]


def said(uri: str, emotion: str = "happy", *, channel: int = 1) -> AnnotatedRecording:
    annotation = Annotation(uri=uri)
    annotation[Segment(0.5, 1.75)] = Emotion(emotion, confidence=0.81)
    annotation[Segment(1.5, 2.0)] = "neutral"
    return AnnotatedRecording(annotation, duration=3.0, channel=channel)


def rows(recordings: list[AnnotatedRecording], *, confidences: bool = True) -> list[Row]:
    return sorted(
        (r.uri, r.channel, segment.start, segment.end, str(label), c if confidences else None)
        for r in recordings
        for segment, _, label in r.annotation.itertracks(yield_label=True)
        for c in [confidence_of(label)]
    )


def held_in(folder: Path) -> list[AnnotatedRecording]:
    return [r for path in find_annotations(folder) for r in read(path, below=folder)]


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_any_format_becomes_any_other(
    sed: Command, tmp_path: Path, source: str, target: str
) -> None:
    """Only ZED.json needs a duration, which few formats state, and loses confidences."""
    before = tmp_path / f"call{FORMATS[source].suffixes[0]}"
    after = tmp_path / "to" / f"call{FORMATS[target].suffixes[0]}"
    write(before, said("call"), format=source)
    outcome = sed("label", before, after, "--from-format", source, "--to-format", target)
    if target == "zed" and source not in ("json", "zed", "textgrid"):
        assert outcome.code == 2
        assert "ZED.json needs the duration of 'call'" in outcome.error
        assert not after.exists()
        return
    lost = "zed" in (source, target)
    assert (outcome.code, outcome.out) == (0, "")
    assert (outcome.err != "") == (target == "zed" and source != "zed")
    found = rows(read(after, format=target))
    assert found == rows([said("call")], confidences=not lost)


@pytest.mark.parametrize("target", FORMATS)
def test_a_folder_becomes_a_folder_and_back(sed: Command, tmp_path: Path, target: str) -> None:
    calls = [said("a"), said("deep/er/b", "sad"), said("deep/a"), said("c.d")]
    for path, held in one_file_each(calls, FORMATS["json"]):
        write(tmp_path / "from" / path, held)
    there, back = tmp_path / "there", tmp_path / "back"
    outcome = sed("label", tmp_path / "from", there, "--to-format", target, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    suffix = FORMATS[target].suffixes[0]
    names = {path.relative_to(there).as_posix() for path in there.rglob("*.*")}
    assert names == {f"{call.uri}{suffix}" for call in calls}
    assert sed("label", there, back, "--to-format", "json", "--from-format", target).code == 0
    assert rows(held_in(back)) == rows(calls, confidences=target != "zed")


def test_a_file_of_several_recordings_becomes_a_folder(sed: Command, tmp_path: Path) -> None:
    calls = [said("a"), said("deep/b"), said("deep/b", "sad", channel=2)]
    write(tmp_path / "all.rttm", calls)
    for name, expected in {
        "vtt": ["a.vtt", "deep/b.channel1.vtt", "deep/b.channel2.vtt"],
        "json": ["a.json", "deep/b.json"],
    }.items():
        target = tmp_path / name
        outcome = sed("label", tmp_path / "all.rttm", f"{target}/", "--to-format", name)
        assert (outcome.code, outcome.err) == (0, "")
        paths = [path.relative_to(target).as_posix() for path in find_annotations(target)]
        assert paths == expected
        assert rows(held_in(target)) == rows(calls)


def test_several_recordings_do_not_fit_into_one_file_that_holds_one(
    sed: Command, tmp_path: Path
) -> None:
    write(tmp_path / "all.rttm", [said("a"), said("b")])
    outcome = sed("label", tmp_path / "all.rttm", tmp_path / "all.TextGrid")
    assert outcome.code == 2
    assert "one recording" in outcome.error and "FOLDER/" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["all.rttm"]


def test_bad_files_are_named_and_the_others_written(sed: Command, tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    for name in ("a.vtt", "c/d.srt"):
        write(source / name, said(Path(name).stem))
    (source / "b.rttm").write_text("SPEAKER b 1 0.5\n")
    (source / "e.eaf").write_text("<html/>")
    (source / "f.csv").write_text("file,start,end,emotion\nf.wav,0,nan,happy\n")
    (source / "notes.txt").write_text("no annotation")
    outcome = sed("label", source, target, "--to-format", "textgrid")
    assert (outcome.code, outcome.out) == (1, "")
    lines = outcome.err.splitlines()
    assert lines[0].startswith(f"sed: {source / 'b.rttm'}, line 1: 4 fields")
    assert lines[1].startswith(f"sed: {source / 'e.eaf'}: 'html' is no ANNOTATION_DOCUMENT")
    assert lines[2].startswith(f"sed: {source / 'f.csv'}, line 2: offset nan")
    assert lines[3:] == ["sed: 3 of 5 files failed"]
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*"))
    assert found == ["a.TextGrid", "c/d.TextGrid"]


def test_two_files_of_one_name_are_not_written_over_each_other(
    sed: Command, tmp_path: Path
) -> None:
    write(tmp_path / "from" / "a.srt", said("a"))
    write(tmp_path / "from" / "a.vtt", said("a", "sad"))
    outcome = sed("label", tmp_path / "from", tmp_path / "to", "--to-format", "json", "--quiet")
    assert outcome.code == 1
    assert f"{tmp_path / 'from' / 'a.vtt'}: {tmp_path / 'to' / 'a.json'}" in outcome.error
    assert read(tmp_path / "to" / "a.json")[0].annotation.labels() == ["happy", "neutral"]


def test_a_recording_without_emotions_stays_one(sed: Command, tmp_path: Path) -> None:
    """An RTTM of it is empty, so that its file tells its name."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.rttm").touch()
    assert sed("label", tmp_path / "from", tmp_path / "to", "--to-format", "vtt").code == 0
    assert (tmp_path / "to" / "a.vtt").read_text() == "WEBVTT\n"
    assert sed("label", tmp_path / "from" / "a.rttm", tmp_path / "a.csv").code == 0
    assert [(r.uri, len(r.annotation)) for r in read(tmp_path / "a.csv")] == [("a", 0)]


def test_what_is_lost_is_said_unless_quiet(sed: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.json", said("call", channel=2))
    outcome = sed("label", tmp_path / "a.json", tmp_path / "b.srt")
    assert outcome.code == 0
    assert outcome.error.startswith(f"{tmp_path / 'b.srt'}: srt names its recording by its file")
    assert "'call', channel 2, is 'b', channel 1" in outcome.error
    assert sed("label", tmp_path / "a.json", tmp_path / "b.srt", "--quiet").err == ""
    assert sed("label", tmp_path / "a.json", tmp_path / "call.channel2.srt").err == ""
    write(tmp_path / "a.json", said("call"))
    outcome = sed("label", tmp_path / "a.json", tmp_path / "b.json", "--to-format", "zed")
    assert (outcome.code, outcome.error) == (
        0, f"{tmp_path / 'b.json'}: zed holds no confidences, which are left out",
    )  # fmt: skip


def test_further_spellings_are_understood(sed: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0.5\t1.75\tjoie\n")
    outcome = sed("label", tmp_path / "a.txt", tmp_path / "a.rttm", "--labels", "joie=happy")
    assert (outcome.code, outcome.err) == (0, "")
    assert read(tmp_path / "a.rttm")[0].annotation.labels() == ["happy"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("none.rttm", "a.json"), "none.rttm: no such file"),
        (("a.rttm", "a.xyz"), "a.xyz has no ending of a known format (.rttm, .json, .TextGrid"),
        (("a.rttm", "a.json", "--to-format", "yaml"), "unknown format 'yaml'; known are rttm"),
        (("a.rttm", "a.json", "--from-format", "yaml"), "unknown format 'yaml'; known are rttm"),
        (("a.rttm", "a.json", "--from-format", "json"), "a.rttm, line 1: not JSON"),
        (("a.rttm", "to/"), "to/ is a folder; say what is written into it with --to-format: rttm"),
        (("folder", "to"), "to is a folder; say what is written into it with --to-format: rttm"),
        (("folder", "to", "--to-format", "vtt"), "folder: no annotation file in this folder"),
        (("full", "a.rttm", "--to-format", "vtt"), "a.rttm is no folder"),
        (("empty.csv", "a.vtt"), "empty.csv: no recording in it"),
        (("a.rttm", "a.json", "--labels", "joie"), "cannot map 'joie'"),
        (("out.json", "to/", "--to-format", "vtt"), "the recording '../out' cannot name a file"),
        (("a.rttm",), "missing argument"),
    ],
)
def test_wrong_use_is_one_line(
    sed: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write("a.rttm", said("a"))
    write("full/a.rttm", said("a"))
    write("out.json", said("../out"))
    Path("folder").mkdir()
    Path("empty.csv").write_text("file,start,end,emotion\n")
    before = sorted(tmp_path.rglob("*"))
    outcome = sed("label", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint.lower() in outcome.error.lower()
    assert sorted(tmp_path.rglob("*")) == before


def test_translating_imports_nothing_heavy(tmp_path: Path) -> None:
    write(tmp_path / "a.rttm", said("a"))
    program = (
        "import sys, typer\n"
        "from sed.cli.label import label\n"
        "app = typer.Typer(); app.command()(label)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'scipy', 'pandas', 'av', 'soundfile', 'transformers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    arguments = [str(tmp_path / "a.rttm"), str(tmp_path / "a.eaf")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)
    assert rows(read(tmp_path / "a.eaf")) == rows([said("a")])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A dataset of two recordings, one of two channels, and one that failed."""
    pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")
    from sed.archive.dataset import Dataset
    from sed.archive.dataset import Row as Part

    def part(held: AnnotatedRecording) -> Part:
        return Part(f"{held.uri}.wav", held.uri, held.channel, 3.0, 2.0, held.annotation, None)

    dataset = Dataset.open(tmp_path / "emotions", {})
    dataset.write("aa", [part(said("deep/b")), part(said("deep/b", "sad", channel=2))])
    failed = Part("c.wav", "c", None, None, None, None, "c.wav: no audio in it")
    dataset.write("bb", [failed, part(said("a"))])
    return dataset.folder


ARCHIVED = [said("a"), said("deep/b"), said("deep/b", "sad", channel=2)]


@pytest.mark.parametrize("target", ["json", "rttm", "vtt"])
def test_a_dataset_becomes_a_file_or_a_folder(
    sed: Command, tmp_path: Path, archive: Path, target: str
) -> None:
    there = tmp_path / "there"
    outcome = sed("label", archive, there, "--to-format", target)
    failed = f"sed: 1 recording of {archive} failed: left out\n"
    # no folder yet and no slash: a file, which holds one recording in some formats
    if target == "vtt":
        assert outcome.code == 2 and "FOLDER/" in outcome.error and not there.exists()
    else:
        assert (outcome.code, outcome.err) == (0, failed)
        assert rows(read(there, format=target)) == rows(ARCHIVED)
        there.unlink()
    outcome = sed("label", archive, f"{there}/", "--to-format", target)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", failed)
    assert rows(held_in(there)) == rows(ARCHIVED)


def test_what_a_format_cannot_hold_of_a_dataset_is_said(
    sed: Command, tmp_path: Path, archive: Path
) -> None:
    outcome = sed("label", archive, tmp_path / "ZED.json", "--to-format", "zed")
    assert outcome.code == 2  # which has one channel of each recording
    (archive / "part=aa" / "aa.parquet").unlink()
    outcome = sed("label", archive, tmp_path / "ZED.json", "--to-format", "zed")
    assert outcome.code == 0
    assert outcome.err.splitlines()[1:] == [
        f"sed: {tmp_path / 'ZED.json'}: zed holds no confidences, which are left out"
    ]


def test_two_recordings_of_a_dataset_do_not_share_a_file(
    sed: Command, tmp_path: Path, archive: Path
) -> None:
    from sed.archive.dataset import Dataset
    from sed.archive.dataset import Row as Part

    again = Part("other/a.wav", "a", 1, 3.0, 2.0, said("a", "sad").annotation, None)
    Dataset(archive).write("cc", [again])
    outcome = sed("label", archive, f"{tmp_path / 'there'}/", "--to-format", "rttm")
    assert outcome.code == 1
    assert outcome.err.startswith(f"sed: {tmp_path / 'there' / 'a.rttm'} holds another recording")
    assert rows(held_in(tmp_path / "there")) == rows(ARCHIVED)
