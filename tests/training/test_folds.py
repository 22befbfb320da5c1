"""Folds: every recording is tested once, and by speaker nobody stands on two sides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.training.folds import folds  # noqa: E402

SPEAKERS = [
    name for name, size in zip("abcdefg", (9, 1, 4, 7, 3, 6, 5), strict=True) for _ in range(size)
]


@pytest.mark.parametrize("by", ["utterance", "speaker"])
@pytest.mark.parametrize("num_folds", [2, 3, 7])
def test_every_recording_is_tested_once_by_a_network_that_did_not_learn_from_it(
    by: str, num_folds: int
) -> None:
    dealt = folds(SPEAKERS, by=by, seed=3, num_folds=num_folds)
    assert len(dealt) == num_folds
    everything = list(range(len(SPEAKERS)))
    assert sorted(np.concatenate([fold.test for fold in dealt]).tolist()) == everything
    for fold in dealt:
        assert sorted([*fold.train, *fold.test]) == everything
        assert len(fold.test) > 0


def test_by_speaker_nobody_is_on_both_sides() -> None:
    names = np.array(SPEAKERS)
    for fold in folds(SPEAKERS, by="speaker", seed=1, num_folds=3):
        assert not set(names[fold.train]) & set(names[fold.test])
    spread = folds(SPEAKERS, by="utterance", seed=1, num_folds=3)
    assert all(set(names[fold.train]) & set(names[fold.test]) for fold in spread)


def test_by_speaker_there_are_no_more_folds_than_speakers() -> None:
    assert len(folds(SPEAKERS, by="speaker", seed=1)) == 7
    assert len(folds(SPEAKERS, by="utterance", seed=1)) == 10
    assert Counter(len(fold.test) for fold in folds(["a", "b"], by="speaker", seed=1)) == {1: 2}


@pytest.mark.parametrize("by", ["utterance", "speaker"])
def test_the_seed_decides(by: str) -> None:
    def tests(seed: int) -> list[list[int]]:
        return [fold.test.tolist() for fold in folds(SPEAKERS, by=by, seed=seed, num_folds=3)]

    assert tests(1) == tests(1) != tests(2)


def test_no_two_networks_have_the_same_seed() -> None:
    seeds = [fold.seed for seed in range(20) for fold in folds(SPEAKERS, by="utterance", seed=seed)]
    assert len(set(seeds)) == len(seeds) == 200


@pytest.mark.parametrize(
    ("speakers", "by", "num_folds", "complaint"),
    [
        (["a", "b", "c"], "utterance", 4, "3 utterances are too few for 4 folds"),
        (["a", "a", "a"], "speaker", 2, "1 speakers are too few for 2 folds"),
        (["a", "b"], "sentence", 2, "by utterance or speaker, not by 'sentence'"),
        (["a", "b"], "speaker", 1, "num_folds is 1; a cross-validation has 2 folds at least"),
    ],
)
def test_too_few_are_refused(speakers: list[str], by: str, num_folds: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        folds(speakers, by=by, seed=1, num_folds=num_folds)
