"""Folds: which recordings each network of a cross-validation learns from and is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

BY = ("utterance", "speaker")
"""What a fold is made of."""


@dataclass(frozen=True, eq=False)
class Fold:
    """What one network learns from and is tested on.

    Parameters
    ----------
    seed : int
        Of its weights, batches and dropout.
    train, test : (num_recordings,) np.ndarray of int
        Numbers of recordings; none is in both.
    """

    seed: int
    train: np.ndarray
    test: np.ndarray


def folds(speakers: Sequence[str], *, by: str, seed: int, num_folds: int = 10) -> list[Fold]:
    """Folds that test on every recording once.

    ::

        utterance    test  |x  x    x |  x      |    x     x|      speakers on both sides
        speaker      test  |xxxxx     |     xxx |        xxx|      those of a fold are nowhere else

    Parameters
    ----------
    speakers : sequence of str
        Who speaks in each recording.
    by : {"utterance", "speaker"}
        With ``utterance`` recordings are dealt out by chance, as the TIM-Net authors do, and every
        speaker is known from the training. With ``speaker`` whole speakers are.
    seed : int
        Of the chance, and of the networks.
    num_folds : int
        There are no more folds than speakers where they are dealt out.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If there are too few recordings or speakers.

    Examples
    --------
    >>> found = folds(["a", "a", "b", "b", "c", "c"], by="speaker", seed=0)
    >>> sorted(fold.test.tolist() for fold in found)
    [[0, 1], [2, 3], [4, 5]]
    """
    if by not in BY:
        raise ValueError(f"folds are made by utterance or speaker, not by {by!r}")
    if num_folds < 2:
        raise ValueError(f"num_folds is {num_folds}; a cross-validation has 2 folds at least")
    units = len(set(speakers)) if by == "speaker" else len(speakers)
    if units < min(num_folds, 2 if by == "speaker" else num_folds):
        raise ValueError(f"{units} {by}s are too few for {num_folds} folds")
    if by == "speaker":
        number = min(num_folds, units)
        dealt = GroupKFold(number, shuffle=True, random_state=seed).split(speakers, groups=speakers)
    else:
        dealt = KFold(num_folds, shuffle=True, random_state=seed).split(speakers)
    # Folds of a seed differ, and none is a fold of another seed's.
    return [Fold(1000 * seed + place, *parts) for place, parts in enumerate(dealt)]
