"""Corpora as data: what a descriptor says is what is read, and errors say what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sed.corpora import Corpus
from sed.corpora.utterance import Turn, Utterance, relabelled

TOY = r"""
name = "toy"
title = "Toy"
language = "en"
homepage = "https://example.org"
licence = "none"
citation = "none"
obtain = "unpack toy.zip"
folders = ["Toy Speech (v2)"]
pattern = '(?P<speaker>[a-z]+)-(?P<emotion>[A-Z])(?P<sentence>\d)'
num_files = 6
num_kept = 4
num_speakers = 2
speakers = { female = "a", unknown = "b" }
aliases = { bee = "b" }
left_out = { X = "nobody agreed" }
parts = { sobs = { codes = "S", num_files = 2 }, solo = { speakers = "a", num_files = 3 } }
[emotions]
S = "sadness"
N = "neutral"
"""
FILES = ("a/a-S1.wav", "a/a-N1.wav", "a/a-X1.wav", "b/b-S1.WAV", "b/b-X1.flac", "b/bee-N1.wav")


@pytest.fixture
def toy(tmp_path: Path) -> Corpus:
    """Corpus of six recordings, unpacked in ``tmp_path/toy``."""
    (tmp_path / "toy.toml").write_text(TOY)
    for name in (*FILES, "readme.txt", "a/a-S1.txt", "a/._a-S2.wav", "a/a-S1-cut.wav"):
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Corpus.from_toml(tmp_path / "toy.toml")


def test_a_corpus_is_what_its_names_say(toy: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    assert toy.utterances(folder) == [
        Utterance("a-N1", folder / "a/a-N1.wav", "a", "toy", "neutral", "1", "female"),
        Utterance("a-S1", folder / "a/a-S1.wav", "a", "toy", "sad", "1", "female"),
        Utterance("b-S1", folder / "b/b-S1.WAV", "b", "toy", "sad", "1"),
        Utterance("bee-N1", folder / "b/bee-N1.wav", "b", "toy", "neutral", "1"),
    ]


def test_copies_count_once_and_the_least_deep_one_is_read(toy: Corpus, tmp_path: Path) -> None:
    """What a published recipe writes into a corpus, and archives that hold everything twice."""
    before = toy.utterances(tmp_path / "toy")
    shutil.copytree(tmp_path / "toy", tmp_path / "copy" / "processed" / "toy")
    shutil.copytree(tmp_path / "copy", tmp_path / "toy", dirs_exist_ok=True)
    (tmp_path / "toy" / "a" / "a-N1.flac").touch()
    (tmp_path / "toy" / "a" / "a-N1_a-S1.wav").touch()  # a mixture
    assert toy.utterances(tmp_path / "toy") == before


def test_a_further_level_of_folders_changes_nothing_but_paths(toy: Corpus, tmp_path: Path) -> None:
    before = [utterance.uri for utterance in toy.utterances(tmp_path / "toy")]
    (tmp_path / "toy").rename(tmp_path / "unpacked")
    (tmp_path / "toy").mkdir()
    (tmp_path / "unpacked").rename(tmp_path / "toy" / "toy-main")
    assert [utterance.uri for utterance in toy.utterances(tmp_path / "toy")] == before


def test_nothing_is_written_into_a_corpus(toy: Corpus, tmp_path: Path, permissions: None) -> None:
    """A folder that may not be written is read as any other."""
    folder = tmp_path / "toy"
    before = [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]
    for path in (folder, folder / "a", folder / "b"):
        path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            (folder / "a" / "cache").touch()
        assert len(toy.utterances(toy.find(tmp_path))) == 4
    finally:
        for path in (folder, folder / "a", folder / "b"):
            path.chmod(0o755)
    assert [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))] == before


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    toy: Corpus, tmp_path: Path, permissions: None
) -> None:
    (tmp_path / "toy" / "a").chmod(0)
    try:
        with pytest.raises(PermissionError, match="toy"):
            toy.utterances(tmp_path / "toy")
    finally:
        (tmp_path / "toy" / "a").chmod(0o755)


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        (["a/a-S1.wav"], r"holds 5 of the 6 recordings of toy, fewest of speaker a \(2\)"),
        (["a/a-S1.wav", "b/b-S1.WAV"], "holds 4 of the 6 recordings of toy, none that is sad"),
        (FILES[:3], "holds 3 of the 6 recordings of toy, none of speaker a"),
        (FILES, "holds no recording of toy"),
    ],
)
def test_a_corpus_that_is_half_unpacked_is_refused(
    toy: Corpus, tmp_path: Path, missing: list[str], complaint: str
) -> None:
    for name in missing:
        (tmp_path / "toy" / name).unlink()
    with pytest.raises(ValueError, match=f"{complaint}; unpack toy.zip") as caught:
        toy.utterances(tmp_path / "toy")
    assert "\n" not in str(caught.value) and "(https://example.org)" in str(caught.value)


def test_a_subset_is_taken_only_when_asked_for(toy: Corpus, tmp_path: Path) -> None:
    for name in FILES[1:]:
        (tmp_path / "toy" / name).unlink()
    assert [said.uri for said in toy.utterances(tmp_path / "toy", complete=False)] == ["a-S1"]
    (tmp_path / "toy" / FILES[0]).unlink()
    with pytest.raises(ValueError, match="holds no recording of toy"):
        toy.utterances(tmp_path / "toy", complete=False)


@pytest.mark.parametrize(
    ("more", "less", "complaint"),
    [
        ("b/b-S2.wav", None, "holds 7 of the 6 recordings of toy; keep one untouched copy"),
        (
            "b/c-S1.wav",
            "b/b-S1.WAV",
            "holds 6 of the 6 .*, some of speaker c, whom it does not have; keep",
        ),
        ("b/b-N1.wav", "b/b-X1.flac", "1 recordings of toy have no emotion, where 2 should"),
        ("b/b-Q1.wav", "b/b-X1.flac", "1 recordings of toy have no emotion, where 2 should"),
        ("b/b-Q1.wav", "b/b-S1.WAV", r"b-Q1\.wav: toy has no emotion 'Q'; it has S, N, X"),
    ],
)
def test_what_a_corpus_does_not_have_is_refused(
    toy: Corpus, tmp_path: Path, more: str, less: str | None, complaint: str
) -> None:
    (tmp_path / "toy" / more).touch()
    if less:
        (tmp_path / "toy" / less).unlink()
    with pytest.raises(ValueError, match=complaint):
        toy.utterances(tmp_path / "toy")


def test_a_folder_that_is_none_is_named(toy: Corpus, tmp_path: Path) -> None:
    for wrong in ("absent", "toy.toml"):
        with pytest.raises(ValueError, match=rf"{wrong} is no folder; unpack toy\.zip"):
            toy.utterances(tmp_path / wrong)
        with pytest.raises(ValueError, match=rf"{wrong} is no folder; unpack toy\.zip"):
            toy.find(tmp_path / wrong)


@pytest.mark.parametrize("name", ["toy", "TOY", "Toy", "toy-speech_V2", "Toy Speech (v2)"])
def test_the_folder_is_found_under_its_usual_names(toy: Corpus, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "another").mkdir()
    (tmp_path / "toy").rename(tmp_path / "data" / name)
    assert toy.find(tmp_path / "data") == tmp_path / "data" / name
    assert toy.find(tmp_path / "data" / name) == tmp_path / "data" / name


def test_an_empty_folder_of_the_name_does_not_hide_a_full_one(toy: Corpus, tmp_path: Path) -> None:
    (tmp_path / "Toy Speech (v2)").mkdir()
    assert toy.find(tmp_path) == tmp_path / "toy"
    shutil.rmtree(tmp_path / "toy")
    with pytest.raises(ValueError, match=r"\(v2\) holds no recording of toy; unpack"):
        toy.utterances(toy.find(tmp_path))


def test_a_linked_folder_is_found_and_read(toy: Corpus, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "toy", tmp_path / "data" / "toy", target_is_directory=True)
    assert len(toy.utterances(toy.find(tmp_path / "data"))) == 4


def test_a_data_folder_without_the_corpus_says_what_was_looked_for(
    toy: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "data" / "other").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"data holds no toy \(looked for toy, Toy Speech \(v2\)"):
        toy.find(tmp_path / "data")


def test_a_part_is_read_alone_and_from_the_whole(toy: Corpus, tmp_path: Path) -> None:
    sobs = toy.narrowed("sobs")
    assert [said.uri for said in sobs.utterances(tmp_path / "toy")] == ["a-S1", "b-S1"]
    for name in FILES:
        if "-S" not in name:
            (tmp_path / "toy" / name).unlink()
    assert [said.uri for said in sobs.utterances(tmp_path / "toy")] == ["a-S1", "b-S1"]
    (tmp_path / "toy" / "b" / "b-S1.WAV").unlink()
    with pytest.raises(ValueError, match="1 of the 2 recordings of toy:sobs, none of speaker b"):
        sobs.utterances(tmp_path / "toy")


def test_a_part_by_speakers_keeps_what_is_known_of_them(toy: Corpus) -> None:
    solo = toy.narrowed("solo")
    assert (solo.num_speakers, solo.genders, solo.name) == (1, {"a": "female"}, "toy")
    with pytest.raises(ValueError, match="unknown part 'duet' of toy; known are sobs, solo"):
        toy.narrowed("duet")


def test_an_unknown_corpus_is_answered_with_the_known_ones() -> None:
    for wrong in ("iemocap2", "../catalog/emodb2", ""):
        with pytest.raises(ValueError, match=f"unknown corpus '{wrong}'; known are .*emodb, emov"):
            Corpus.named(wrong)
    with pytest.raises(ValueError, match="unknown part 'latin' of esd; known are english, mand"):
        Corpus.named("esd:latin")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "Toy"\n', "", "these keys are missing or unknown: title"),
        ('title = "Toy"\n', 'title = ""\nsubtitle = ""\n', "missing or unknown: subtitle"),
        ('title = "Toy"\n', 'title = ""\npart = "x"\n', "missing or unknown: part"),
        ('"sadness"', '"tristesse"', "unknown emotion 'tristesse'; known are"),
        ("name =", "name", ".*line 2"),
        ("num_speakers = 2", "num_speakers = 3", "toy has num_speakers 3, and 2 named"),
        ("pattern =", "reader = 'toy'\npattern =", "needs a pattern or one of the readers iemo"),
        ("(?P<emotion>[A-Z])", "[A-Z]", "the pattern of toy needs groups speaker and emotion"),
        ("(?P<emotion>[A-Z])", "(?P<emotion>[A-Z]", "the pattern of toy is malformed: missing"),
    ],
)
def test_a_malformed_descriptor_is_named(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    (tmp_path / "toy.toml").write_text(TOY.replace(old, new))
    with pytest.raises(ValueError, match=rf"toy\.toml: .*{complaint}"):
        Corpus.from_toml(tmp_path / "toy.toml")


def test_relabelling_reaches_the_turns() -> None:
    turns = (Turn(0.5, 2.0, "excited"), Turn(3.0, 4.0, "sad"))
    [said] = relabelled(
        [Utterance("a", Path("a.wav"), "a", "toy", "excited", turns=turns)], {"excited": "happy"}
    )
    assert said.emotion == "happy"
    assert said.turns == (Turn(0.5, 2.0, "happy"), Turn(3.0, 4.0, "sad"))
