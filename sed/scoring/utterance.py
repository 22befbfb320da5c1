"""Utterance level: one label for a whole recording, and the two accuracies of the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sed.labels import NEUTRAL
from sed.scoring.atoms import Atoms


def war(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """``WAR = right / all``: weighted average recall, which is WA, which is accuracy.

    Parameters
    ----------
    references, hypotheses : sequence of str
        One label for each utterance.

    Raises
    ------
    ValueError
        If the sequences are empty or differ in length.

    Examples
    --------
    >>> war(["happy", "happy", "happy", "sad"], ["happy", "happy", "happy", "happy"])
    0.75
    """
    _check(references, hypotheses)
    return sum(r == h for r, h in zip(references, hypotheses, strict=True)) / len(references)


def uar(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """``UAR = mean over classes of right / all of the class``: unweighted average recall.

    The classes are those of the references; UA and balanced accuracy are other names of it.

    Parameters
    ----------
    references, hypotheses : sequence of str
        One label for each utterance.

    Raises
    ------
    ValueError
        If the sequences are empty or differ in length.

    Examples
    --------
    >>> uar(["happy", "happy", "happy", "sad"], ["happy", "happy", "happy", "happy"])
    0.5
    """
    _check(references, hypotheses)
    recalls = []
    for label in sorted(set(references)):
        heard = [h for r, h in zip(references, hypotheses, strict=True) if r == label]
        recalls.append(heard.count(label) / len(heard))
    return sum(recalls) / len(recalls)


def _check(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Refuse sequences that cannot be compared."""
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    if not references:
        raise ValueError("there are no utterances to compare")


def utterance_labels(atoms: Atoms, side: Literal["reference", "hypothesis"]) -> list[str | None]:
    """Label that holds most of each recording's scored time, neutral included.

    ::

        reference    |  neutral  |      happy      | neutral |      label: happy

    Of labels that last equally long the first by name is taken, emotions before neutral. None
    stands for a recording without scored time.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference = Annotation()
    >>> reference[Segment(1, 4)] = "happy"
    >>> utterance_labels(cut([Pair(reference, Annotation(), duration=5.0)]), "reference")
    ['happy']
    """
    masks = atoms.reference if side == "reference" else atoms.hypothesis
    ticks = atoms.ticks * atoms.scored
    order = sorted(range(len(atoms.emotions)), key=lambda bit: atoms.emotions[bit])
    names = [*(atoms.emotions[bit] for bit in order), NEUTRAL]
    columns = [(masks >> bit & 1) == 1 for bit in order] + [masks == 0]
    time = np.zeros((atoms.num_recordings, len(columns)), dtype=np.int64)
    for column, held in enumerate(columns):
        np.add.at(time[:, column], atoms.recording[held], ticks[held])
    longest, most = time.argmax(axis=1).tolist(), time.max(axis=1, initial=0).tolist()
    return [names[label] if m else None for label, m in zip(longest, most, strict=True)]
