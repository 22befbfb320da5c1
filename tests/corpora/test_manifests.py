"""Manifests: what stands in them, who can read them, and when they are written anew."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speechbrain.dataio import dataio  # here, for hypothesis looks at what is imported by now

from sed.corpora import Corpus, Utterance
from sed.corpora.manifest_formats import FORMATS
from sed.corpora.manifests import RECORD, Preparation
from sed.corpora.utterance import Turn
from sed.formats import read

TOY = r"""
name = "toy"
title = "Toy"
language = "en"
homepage = "https://example.org"
licence = "none"
citation = "none"
obtain = "unpack toy.zip"
pattern = '(?P<speaker>[abc])-(?P<emotion>[HN])'
num_files = 6
num_speakers = 3
speakers = { female = "a b", male = "c" }
[emotions]
H = "happy"
N = "neutral"
"""

SETTINGS = {"corpus": "toy", "formats": ["speechbrain"], "seed": 0, "version": "1"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of corpora with two recordings: one second in mono, half a second in stereo."""
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    soundfile.write(folder / "a 1.wav", np.zeros(8_000), 8_000)
    soundfile.write(folder / "b-é.flac", np.zeros((22_050, 2)), 44_100)
    return folder.parent


@pytest.fixture
def voices(data: Path) -> list[Utterance]:
    return [
        Utterance("a 1", data / "toy" / "a 1.wav", "a", "toy", "neutral", gender="female"),
        Utterance(
            "b-é",
            data / "toy" / "b-é.flac",
            "b",
            "toy",
            "happy",
            turns=(Turn(0.125, 0.25, "happy"), Turn(0.3, 0.4, "happy")),
        ),
    ]


@pytest.fixture
def plan(data: Path, tmp_path: Path, voices: list[Utterance]) -> Preparation:
    """One recording to train on, one to test on, none to validate on."""
    parts = {"train": voices[:1], "valid": [], "test": voices[1:]}
    return Preparation(data, tmp_path / "out" / "toy", parts, SETTINGS)


def with_settings(plan: Preparation, **changes: object) -> Preparation:
    return replace(plan, settings={**plan.settings, **changes})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_speechbrain_reads_its_manifest(plan: Preparation, data: Path) -> None:
    """With its own reader, which puts the folder in."""
    assert plan.write() == {"train": 1, "valid": 0, "test": 1}
    assert names(plan.folder) == [RECORD, "test.json", "train.json"]
    train = dataio.load_data_json(plan.folder / "train.json", {"data_root": str(data)})
    test = dataio.load_data_json(plan.folder / "test.json", {"data_root": str(data)})
    assert {**train, **test} == {
        "a 1": {
            "wav": str(data / "toy" / "a 1.wav"),
            "duration": 1.0,
            "emotion": [{"emo": "neutral", "start": 0.0, "end": 1.0}],
            "speaker": "a",
            "corpus": "toy",
        },
        "b-é": {
            "wav": str(data / "toy" / "b-é.flac"),
            "duration": 0.5,
            "emotion": [
                {"emo": "happy", "start": 0.125, "end": 0.25},
                {"emo": "happy", "start": 0.3, "end": 0.4},
            ],
            "speaker": "b",
            "corpus": "toy",
        },
    }


def test_our_own_readers_take_it_as_a_reference(plan: Preparation) -> None:
    """So a test part can be scored; where the audio is, only the reader's caller knows."""
    plan.write()
    [recording] = read(plan.folder / "test.json")
    rows = [
        (segment.start, segment.end, label)
        for segment, _, label in recording.annotation.itertracks(yield_label=True)
    ]
    assert rows == [(0.125, 0.25, "happy"), (0.3, 0.4, "happy")]
    assert (recording.uri, recording.duration, recording.path) == ("b-é", 0.5, None)


def test_speechbrain_reads_the_csv_too(plan: Preparation, data: Path) -> None:
    with_settings(plan, formats=["csv"]).write()
    assert names(plan.folder) == [RECORD, "test.csv", "train.csv"]
    found = dataio.load_data_csv(plan.folder / "test.csv", {"data_root": str(data)})
    [(uri, row)] = found.items()
    assert (uri, row.pop("duration"), Path(row.pop("wav"))) == (
        "b-é",
        0.5,
        data / "toy" / "b-é.flac",
    )
    assert json.loads(row.pop("events")) == [
        {"emo": "happy", "start": 0.125, "end": 0.25},
        {"emo": "happy", "start": 0.3, "end": 0.4},
    ]
    assert row == {"speaker": "b", "corpus": "toy", "emotion": "happy"}
    with open(plan.folder / "train.csv", encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream))[:3] == ["ID", "duration", "wav"]


def test_lhotse_finds_the_fields_that_it_documents(plan: Preparation) -> None:
    """Those of its `Recording`, `AudioSource` and `SupervisionSegment`; nothing that is null."""
    with_settings(plan, formats=["lhotse"]).write()
    assert names(plan.folder) == [
        RECORD,
        "toy_recordings_test.jsonl.gz",
        "toy_recordings_train.jsonl.gz",
        "toy_supervisions_test.jsonl.gz",
        "toy_supervisions_train.jsonl.gz",
    ]
    assert lines(plan.folder / "toy_recordings_train.jsonl.gz") == [
        {
            "id": "a 1",
            "sources": [{"type": "file", "channels": [0], "source": "toy/a 1.wav"}],
            "sampling_rate": 8_000,
            "num_samples": 8_000,
            "duration": 1.0,
            "channel_ids": [0],
        }
    ]
    assert lines(plan.folder / "toy_supervisions_train.jsonl.gz") == [
        {
            "id": "a 1-0",
            "recording_id": "a 1",
            "start": 0.0,
            "duration": 1.0,
            "channel": 0,
            "speaker": "a",
            "gender": "female",
            "custom": {"emotion": "neutral", "corpus": "toy"},
        }
    ]
    [stereo] = lines(plan.folder / "toy_recordings_test.jsonl.gz")
    assert stereo["channel_ids"] == stereo["sources"][0]["channels"] == [0, 1]
    assert (stereo["num_samples"], stereo["duration"]) == (22_050, 0.5)
    supervisions = lines(plan.folder / "toy_supervisions_test.jsonl.gz")
    assert [(s["id"], s["start"], s["duration"], s["channel"]) for s in supervisions] == [
        ("b-é-0", 0.125, 0.125, [0, 1]),
        ("b-é-1", 0.3, 0.1, [0, 1]),
    ]
    assert not any("gender" in supervision for supervision in supervisions)


def test_several_formats_stand_side_by_side(plan: Preparation) -> None:
    with_settings(plan, formats=list(FORMATS)).write()
    assert len(names(plan.folder)) == 1 + 2 + 2 + 4


def test_the_same_plan_writes_the_same_bytes(plan: Preparation) -> None:
    plan = with_settings(plan, formats=list(FORMATS))
    plan.write()
    before = {path.name: path.read_bytes() for path in plan.folder.iterdir()}
    (plan.folder / RECORD).unlink()
    plan.write()
    assert {path.name: path.read_bytes() for path in plan.folder.iterdir()} == before


def test_the_record_says_what_made_the_manifests(plan: Preparation) -> None:
    plan.write()
    record = json.loads((plan.folder / RECORD).read_text())
    assert record == {
        "hash": plan.fingerprint,
        **SETTINGS,
        "recordings": {"train": 1, "valid": 0, "test": 1},
        "unreadable": [],
        "files": ["train.json", "test.json"],
    }


def test_manifests_are_current_until_something_changes(
    plan: Preparation, data: Path, voices: list[Utterance]
) -> None:
    assert not plan.is_current()
    plan.write()
    assert plan.is_current()
    assert not with_settings(plan, seed=1).is_current()
    assert not with_settings(plan, version="2").is_current()
    assert not with_settings(plan, formats=["csv"]).is_current()
    relabelled = [replace(voices[0], emotion="sad")]
    assert not replace(plan, parts={**plan.parts, "train": relabelled}).is_current()
    assert not replace(plan, parts={**plan.parts, "train": [], "valid": voices[:1]}).is_current()
    swapped = {"train": voices[1:], "valid": [], "test": voices[:1]}
    assert not replace(plan, parts=swapped).is_current()
    soundfile.write(data / "toy" / "a 1.wav", np.zeros(9_000), 8_000)
    assert not plan.is_current()


def test_a_corpus_may_move(plan: Preparation, tmp_path: Path, data: Path) -> None:
    """The manifests name no folder but the word that stands for it."""
    plan = with_settings(plan, formats=list(FORMATS))
    plan.write()
    there = data.rename(tmp_path / "elsewhere")
    parts = {
        part: [replace(voice, path=there / voice.path.relative_to(data)) for voice in voices]
        for part, voices in plan.parts.items()
    }
    assert replace(plan, data_folder=there, parts=parts).is_current()


@pytest.mark.parametrize("damage", ["file", "record", "garbage"])
def test_damaged_manifests_are_not_current(plan: Preparation, damage: str) -> None:
    plan.write()
    if damage == "file":
        (plan.folder / "test.json").unlink()
    elif damage == "record":
        (plan.folder / RECORD).unlink()
    else:
        (plan.folder / RECORD).write_text("[1")
    assert not plan.is_current()
    plan.write()
    assert plan.is_current()


def test_nothing_of_another_split_is_left(plan: Preparation, voices: list[Utterance]) -> None:
    """A test part of yesterday would hold the speakers that are trained on today."""
    plan.write()
    (plan.folder / "notes.txt").touch()
    replace(plan, parts={"train": voices, "valid": [], "test": []}).write()
    assert names(plan.folder) == [RECORD, "notes.txt", "train.json"]


def test_a_record_cannot_have_other_files_removed(plan: Preparation, tmp_path: Path) -> None:
    plan.folder.mkdir(parents=True)
    (tmp_path / "out" / "precious.json").touch()
    files = ["../precious.json", str(tmp_path / "out" / "precious.json"), "..", "", 3, None]
    (plan.folder / RECORD).write_text(json.dumps({"files": files}))
    plan.write()
    assert (tmp_path / "out" / "precious.json").exists()
    (plan.folder / RECORD).write_text(json.dumps({"files": "train.json"}))
    assert not plan.is_current()


def test_an_interrupted_run_is_not_taken_for_a_whole_one(
    plan: Preparation, voices: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first file may be of the new split, the others of the old one."""
    from sed.corpora import manifests

    plan.write()
    another = replace(plan, parts={"train": voices[1:], "valid": [], "test": voices[:1]})
    write = manifests._write

    def full(path: Path, text: str) -> None:
        if path.name == "test.json":
            raise OSError(28, "No space left on device")
        write(path, text)

    monkeypatch.setattr(manifests, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        another.write()
    monkeypatch.undo()
    assert not plan.is_current()
    assert not another.is_current()


def test_an_unreadable_recording_is_reported_and_the_others_are_written(
    plan: Preparation, data: Path
) -> None:
    (data / "toy" / "a 1.wav").write_bytes(b"no audio")
    failed, seen = [], []
    counts = plan.write(
        on_error=lambda utterance, error: failed.append((utterance.uri, str(error))),
        on_recording=lambda utterance: seen.append(utterance.uri),
    )
    assert counts == {"train": 0, "valid": 0, "test": 1}
    assert seen == ["a 1", "b-é"]
    [(uri, message)] = failed
    assert uri == "a 1" and "a 1.wav" in message
    assert json.loads((plan.folder / RECORD).read_text())["unreadable"] == ["toy/a 1.wav"]
    assert names(plan.folder) == [RECORD, "test.json"]
    assert not plan.is_current()  # it is tried again


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A descriptor, and the corpus in ``data/toy``."""
    for name in ("a-H", "a-N", "b-H", "b-N", "c-H", "c-N"):
        path = tmp_path / "data" / "toy" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(800), 8_000)
    (tmp_path / "toy.toml").write_text(TOY)
    return tmp_path / "toy.toml"


def test_a_part_of_a_corpus_has_manifests_of_its_own(toy: Path, tmp_path: Path) -> None:
    whole = Corpus.from_toml(toy)
    women = replace(whole, part="women", speakers={"female": "a b"}, num_speakers=2,
                    num_files=4, min_files=4, num_kept=4)  # fmt: skip
    data, output = tmp_path / "data", tmp_path / "out"
    for corpus, options in ((whole, {}), (women, {"valid": 0})):
        plan = Preparation.plan(
            corpus, data, output, version="1", formats=["speechbrain", "lhotse"], **options
        )
        plan.write()
    assert names(output) == ["toy", "toy-women"]
    assert "toy-women_recordings_test.jsonl.gz" in names(output / "toy-women")
    for name, speakers in (("toy", "abc"), ("toy-women", "ab")):
        text = "".join(path.read_text() for path in (output / name).glob("t*.json"))
        text += "".join(path.read_text() for path in (output / name).glob("valid.json"))
        assert all(
            (f'"speaker": "{speaker}"' in text) == (speaker in speakers) for speaker in "abc"
        )
        assert '"corpus": "toy"' in text


def test_a_plan_touches_nothing_and_names_the_corpus_in_errors(toy: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_toml(toy)
    with pytest.raises(ValueError, match="^toy: no speaker 'd' to choose; there are a, b, c$"):
        Preparation.plan(corpus, tmp_path / "data", tmp_path / "out", version="1", test=["d"])
    with pytest.raises(ValueError, match="^unknown format 'kaldi'; known are speechbrain, lhotse"):
        Preparation.plan(corpus, tmp_path, tmp_path / "out", version="1", formats=["kaldi"])
    Preparation.plan(corpus, tmp_path / "data", tmp_path / "out", version="1")
    assert not (tmp_path / "out").exists()


def test_the_real_corpus_is_split_whole(shared: Path, tmp_path: Path) -> None:
    corpus = Corpus.named("emodb")
    plan = Preparation.plan(corpus, shared / "corpora", tmp_path, version="1", seed=1)
    counts = plan.write()
    assert sum(counts.values()) == plan.num_recordings == 535
    recordings = [
        recording for part in counts for recording in read(tmp_path / "emodb" / f"{part}.json")
    ]
    assert len({recording.uri for recording in recordings}) == 535
    # 24.8 minutes, as the corpus is described
    assert sum(recording.duration for recording in recordings) == pytest.approx(1487, abs=1)
    assert {recording.annotation.labels()[0] for recording in recordings} == set(
        corpus.emotions.values()
    )
