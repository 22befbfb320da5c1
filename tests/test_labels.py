"""Emotions: every spelling finds its name, and a label keeps its confidence wherever it goes."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment

from sed.labels import (
    EMOTIONS,
    NEUTRAL,
    Emotion,
    canonical,
    confidence_of,
    parse_mapping,
    spelling_in_rttm,
)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [(spelling, name) for name, aliases in EMOTIONS.items() for spelling in (name, *aliases)],
)
def test_every_spelling_means_its_emotion_in_any_case(spelling: str, name: str) -> None:
    for variant in (spelling, spelling.upper(), spelling.title(), f" {spelling}\t"):
        assert canonical(variant) == name


def test_no_spelling_means_two_emotions() -> None:
    spellings = [s for name, aliases in EMOTIONS.items() for s in (name, *aliases)]
    assert len(spellings) == len(set(spellings))


def test_the_letters_of_zed_are_known() -> None:
    assert [canonical(letter) for letter in "nhsa"] == [NEUTRAL, "happy", "sad", "angry"]


@given(st.text().filter(lambda text: text.strip().lower() not in
                        {s for n, a in EMOTIONS.items() for s in (n, *a)}))  # fmt: skip
def test_an_unknown_label_is_answered_with_the_known_ones(label: str) -> None:
    with pytest.raises(ValueError) as caught:
        canonical(label)
    message = str(caught.value)
    assert repr(label) in message and "\n" not in message
    assert all(name in message for name in EMOTIONS)


def test_a_mapping_wins_over_the_built_in_spellings_and_may_bring_new_emotions() -> None:
    mapping = {"a": "anxious", "schadenfreude": "gleeful"}
    assert canonical("a", mapping) == "anxious"
    assert canonical("schadenfreude", mapping) == "gleeful"
    assert canonical("h", mapping) == "happy"


def test_pairs_of_a_mapping_take_aliases_and_spaces() -> None:
    assert parse_mapping([" joie = Happiness ", "x=gleeful"]) == {"joie": "happy", "x": "gleeful"}


@pytest.mark.parametrize("pair", ["joie", "=happy", "joie=", " = ", ""])
def test_a_pair_without_two_sides_is_refused(pair: str) -> None:
    with pytest.raises(ValueError, match="SPELLING=EMOTION"):
        parse_mapping([pair])


def test_an_emotion_is_its_name() -> None:
    emotion = Emotion("happy", confidence=0.25)
    assert emotion == "happy" and "happy" == emotion
    assert hash(emotion) == hash("happy") and str(emotion) == f"{emotion}" == "happy"
    assert {"happy": 1}[emotion] == 1


@pytest.mark.parametrize("confidence", [None, 0.0, 0.25])
def test_an_emotion_keeps_its_confidence_in_copies_and_pickles(confidence: float | None) -> None:
    emotion = Emotion("happy", confidence=confidence)
    copies = [copy.copy(emotion), copy.deepcopy(emotion)]
    copies += [pickle.loads(pickle.dumps(emotion, p)) for p in range(2, pickle.HIGHEST_PROTOCOL)]
    for twin in copies:
        assert type(twin) is Emotion and twin == "happy"
        assert confidence_of(twin) == confidence


def test_an_emotion_keeps_its_confidence_through_pyannote() -> None:
    annotation = Annotation(uri="call")
    annotation[Segment(0, 2)] = Emotion("happy", confidence=0.25)
    for changed in (
        annotation.copy(),
        annotation.crop(Segment(1, 3)),
        annotation.crop(Segment(1, 3), mode="loose"),
        annotation.subset(["happy"]),
        copy.deepcopy(annotation),
        pickle.loads(pickle.dumps(annotation)),
    ):
        [(_, _, label)] = changed.itertracks(yield_label=True)
        assert label == "happy" and confidence_of(label) == 0.25


def test_a_plain_string_has_no_confidence() -> None:
    assert confidence_of("happy") is None


@given(st.text())
def test_a_spelling_in_rttm_is_at_most_one_field(name: str) -> None:
    assert len(spelling_in_rttm(name).split()) <= 1
    assert spelling_in_rttm(name).replace("_", "") == "".join(name.split()).replace("_", "")
