"""Splits: nobody is on two sides, nobody is lost, and the same seed is the same split."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sed.corpora import Utterance
from sed.corpora.splits import PARTS, split


def voices(sizes: list[int], corpus: str = "toy") -> list[Utterance]:
    """Recordings of speakers, as many of each as the list says."""
    return [
        Utterance(f"{speaker:02}-{number}", Path(), f"{speaker:02}", corpus, "happy")
        for speaker, size in enumerate(sizes)
        for number in range(size)
    ]


SIZES = st.lists(st.integers(1, 30), min_size=3, max_size=40)
SHARES = st.sampled_from([0.05, 0.1, 0.2, 0.3])
SEEDS = st.integers(0, 2**32)


@given(SIZES, SHARES, SHARES, SEEDS, st.sampled_from(["speaker", "utterance"]))
def test_every_recording_is_in_one_part_and_no_speaker_in_two(
    sizes: list[int], valid: float, test: float, seed: int, by: str
) -> None:
    given = voices(sizes)
    parts = split(given, by=by, valid=valid, test=test, seed=seed)
    assert tuple(parts) == PARTS
    assert Counter(u.uri for part in parts.values() for u in part) == Counter(u.uri for u in given)
    assert all(parts.values())
    if by == "speaker":
        speakers = [{utterance.speaker for utterance in part} for part in parts.values()]
        assert sum(map(len, speakers)) == len(set().union(*speakers))


@given(SIZES, SHARES, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_matter(
    sizes: list[int], valid: float, test: float, seed: int, shuffler: random.Random
) -> None:
    given = voices(sizes)
    expected = split(given, valid=valid, test=test, seed=seed)
    shuffler.shuffle(given)
    assert split(given, valid=valid, test=test, seed=seed) == expected


@given(st.lists(st.integers(1, 30), min_size=20, max_size=40), SHARES, SHARES, SEEDS)
def test_shares_are_met_as_nearly_as_whole_speakers_allow(
    sizes: list[int], valid: float, test: float, seed: int
) -> None:
    parts = split(voices(sizes), valid=valid, test=test, seed=seed)
    for part, share in (("valid", valid), ("test", test)):
        missed = abs(len(parts[part]) - share * sum(sizes))
        alone = len({utterance.speaker for utterance in parts[part]}) == 1
        assert missed <= max(sizes) * (1.0 if alone else 0.5)


def test_shares_of_recordings_are_met_exactly() -> None:
    parts = split(voices([50, 30, 20]), by="utterance", valid=0.1, test=0.25)
    assert {part: len(there) for part, there in parts.items()} == {
        "train": 65,
        "valid": 10,
        "test": 25,
    }


def test_the_split_of_a_seed_is_that_of_every_machine() -> None:
    """A golden value: results of different years stay comparable."""
    parts = split(voices([1] * 10), valid=0.2, test=0.2, seed=0)
    found = {part: [int(utterance.speaker) for utterance in there] for part, there in parts.items()}
    # printf '0\\000toy\\000%s' 00 | sha256sum, and so on, in order: 09 01 03 06 05 04 ...
    assert found == {"train": [0, 2, 4, 5, 7, 8], "valid": [3, 6], "test": [1, 9]}


def test_another_seed_is_another_split() -> None:
    tests = {
        tuple(u.speaker for u in split(voices([1] * 10), seed=seed)["test"]) for seed in range(40)
    }
    assert len(tests) == 10


def test_a_recording_more_leaves_the_order_of_speakers() -> None:
    before = split(voices([4] * 10), seed=3)
    after = split(voices([4] * 9 + [5]), seed=3)
    for part in PARTS:
        assert {u.speaker for u in before[part]} == {u.speaker for u in after[part]}


def test_equal_names_of_two_corpora_are_two_speakers() -> None:
    both = voices([2, 2], "one") + voices([2, 2], "other")
    assert [len(part) for part in split(both, valid=0.25, test=0.25).values()] == [4, 2, 2]


def test_speakers_can_be_chosen() -> None:
    parts = split(voices([3] * 6), valid=("01", "04"), test=("05",))
    speakers = {part: sorted({u.speaker for u in there}) for part, there in parts.items()}
    assert speakers == {"train": ["00", "02", "03"], "valid": ["01", "04"], "test": ["05"]}


def test_a_part_may_be_empty_and_another_everything() -> None:
    given = voices([2, 2])
    assert split(given, valid=0, test=1) == {"train": [], "valid": [], "test": given}
    assert split(given, valid=0, test=0) == {"train": given, "valid": [], "test": []}
    halves = split(voices([1] * 5), valid=0.5, test=0.5)
    assert [len(part) for part in halves.values()] in ([0, 3, 2], [0, 2, 3])


def test_too_few_speakers_are_refused_and_never_shared() -> None:
    with pytest.raises(
        ValueError, match="^2 speakers cannot be split into train, valid, test; set"
    ):
        split(voices([50, 50]))
    assert [len(part) for part in split(voices([50, 50]), valid=0).values()] == [50, 0, 50]
    with pytest.raises(ValueError, match="1 speaker cannot be split into train, test; .*utterance"):
        split(voices([50]), valid=0)
    with pytest.raises(ValueError, match="2 utterances cannot be split into .* to 0$"):
        split(voices([2]), by="utterance")
    with pytest.raises(ValueError, match="0 speakers"):
        split([])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"valid": 1.5}, "the share of valid is 1.5, not between 0 and 1"),
        ({"test": -0.1}, "the share of test is -0.1"),
        ({"test": float("nan")}, "the share of test is nan"),
        ({"valid": 0.6, "test": 0.6}, "valid 0.6 and test 0.6 are more than 1"),
        ({"test": ["99"]}, "no speaker '99' to choose; there are 00, 01, 02"),
        ({"test": ["00"], "valid": ["00"]}, "no speaker '00' to choose; there are 01, 02"),
        ({"test": ["00", "01"], "valid": ["02"]}, "0 speakers cannot be split into train"),
        ({"test": ["00"], "by": "utterance"}, "test cannot be speakers in a split by utterance"),
        ({"by": "sentence"}, "by speaker or utterance, not by 'sentence'"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        split(voices([3, 3, 3]), **options)
