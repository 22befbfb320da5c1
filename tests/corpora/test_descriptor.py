"""Corpora as data: every recording of the real ones, and errors that say what is missing."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from sed.corpora import Corpus
from sed.corpora.descriptor import CATALOG
from sed.labels import canonical

NAMES = sorted(path.stem for path in CATALOG.glob("*.toml"))

TOY = r"""
name = "toy"
title = "Toy"
language = "en"
homepage = "https://example.org"
licence = "none"
citation = "none"
obtain = "unpack toy.zip"
files = "*/*.wav"
pattern = '(?P<speaker>[ab])-(?P<emotion>[HN])\d'
num_files = 4
num_speakers = 2
[emotions]
H = "joy"
N = "neutral"
"""


@pytest.fixture
def toy(tmp_path: Path) -> Corpus:
    """Corpus of four recordings, unpacked in ``tmp_path/toy``."""
    (tmp_path / "toy.toml").write_text(TOY)
    for name in ("a/a-H1.wav", "a/a-N1.wav", "b/b-H1.wav", "b/b-N1.wav", "b/b-X1.wav", "readme"):
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Corpus.from_toml(tmp_path / "toy.toml")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("emodb", {"angry": 127, "bored": 81, "disgusted": 46, "fearful": 69, "happy": 71,
                   "neutral": 79, "sad": 62}),
        ("emovo", dict.fromkeys(["angry", "disgusted", "fearful", "happy", "neutral", "sad",
                                 "surprised"], 84)),
        ("ravdess", {"neutral": 96, **dict.fromkeys(["angry", "calm", "disgusted", "fearful",
                                                     "happy", "sad", "surprised"], 192)}),
    ],
)  # fmt: skip
def test_every_recording_of_the_real_corpora_is_found(
    shared: Path, name: str, counts: dict[str, int]
) -> None:
    """The counts are those that the corpora's authors published."""
    utterances = Corpus.named(name).utterances(shared / "corpora" / name)
    assert Counter(utterance.emotion for utterance in utterances) == counts
    assert len({utterance.uri for utterance in utterances}) == len(utterances)
    assert all(utterance.corpus == name and utterance.sentence for utterance in utterances)


@pytest.mark.parametrize("name", ["emodb", "emovo", "ravdess"])
def test_speakers_and_emotions_are_those_of_a_table(shared: Path, name: str) -> None:
    """A table that was made from the file names by someone else."""
    folder = shared / "corpora" / name
    with open(folder / "manifest.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = {row["file"]: (row["speaker"], canonical(row["emotion"])) for row in rows}
    found = {
        utterance.path.relative_to(folder).as_posix(): (utterance.speaker, utterance.emotion)
        for utterance in Corpus.named(name).utterances(folder)
    }
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_descriptor_of_the_catalog_is_complete(name: str) -> None:
    corpus = Corpus.named(name)
    assert corpus.name == name
    assert all((corpus.title, corpus.homepage, corpus.licence, corpus.citation, corpus.obtain))
    assert "neutral" in corpus.emotions.values()


def test_a_corpus_is_what_its_names_say(toy: Corpus, tmp_path: Path) -> None:
    utterances = toy.utterances(tmp_path / "toy")
    assert [(u.uri, u.speaker, u.emotion, u.sentence) for u in utterances] == [
        ("a-H1", "a", "happy", None),
        ("a-N1", "a", "neutral", None),
        ("b-H1", "b", "happy", None),
        ("b-N1", "b", "neutral", None),
    ]


def test_nothing_is_written_into_a_corpus(toy: Corpus, tmp_path: Path) -> None:
    before = sorted((tmp_path / "toy").rglob("*"))
    toy.utterances(tmp_path / "toy")
    assert sorted((tmp_path / "toy").rglob("*")) == before


def test_a_corpus_that_is_half_unpacked_is_refused(toy: Corpus, tmp_path: Path) -> None:
    (tmp_path / "toy" / "b" / "b-H1.wav").unlink()
    with pytest.raises(ValueError, match="3 of 4 recordings of 2 of 2 speakers of toy; unpack toy"):
        toy.utterances(tmp_path / "toy")
    (tmp_path / "toy" / "b" / "b-N1.wav").unlink()
    with pytest.raises(ValueError, match="2 of 4 recordings of 1 of 2 speakers"):
        toy.utterances(tmp_path / "toy")
    with pytest.raises(ValueError, match=r"absent holds 0 of 4 .*https://example\.org"):
        toy.utterances(tmp_path / "absent")


def test_more_than_a_corpus_has_is_refused(toy: Corpus, tmp_path: Path) -> None:
    (tmp_path / "toy" / "b" / "b-H2.wav").touch()
    with pytest.raises(ValueError, match="5 of 4 recordings"):
        toy.utterances(tmp_path / "toy")


def test_an_unknown_corpus_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown corpus 'iemocap2'; known are .*emodb, emovo"):
        Corpus.named("iemocap2")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "Toy"\n', "", r"toy\.toml: .* missing or unknown: title"),
        ('title = "Toy"\n', 'title = ""\nsubtitle = ""\n', r"toy\.toml: .* unknown: subtitle"),
        ('"joy"', '"joie"', r"toy\.toml: unknown emotion 'joie'; known are"),
        ("name =", "name", r"toy\.toml: .*line 2"),
    ],
)
def test_a_malformed_descriptor_is_named(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    (tmp_path / "toy.toml").write_text(TOY.replace(old, new))
    with pytest.raises(ValueError, match=complaint):
        Corpus.from_toml(tmp_path / "toy.toml")
