"""Precision, recall and F1 of each emotion, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sed.labels import NEUTRAL
from sed.scoring.atoms import Atoms


@dataclass(frozen=True)
class Detection:
    """``precision = hit / (hit + false)``, ``recall = hit / (hit + missed)`` of one emotion.

    Parameters
    ----------
    emotion : str
        Neutral is the time without any.
    hit, false, missed : int
        Ticks in which both sides, only the hypothesis, only the reference hold the emotion.
    """

    emotion: str
    hit: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of the hypothesis's time that is right; NaN where it has none."""
        heard = self.hit + self.false
        return self.hit / heard if heard else math.nan

    @property
    def recall(self) -> float:
        """Share of the reference's time that was found; NaN where it has none."""
        said = self.hit + self.missed
        return self.hit / said if said else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where no side holds the emotion."""
        time = 2 * self.hit + self.false + self.missed
        return 2 * self.hit / time if time else math.nan


def detections(atoms: Atoms) -> list[Detection]:
    """Precision, recall and F1 of neutral and of each emotion, by name.

    Where emotions overlap, each is looked at alone.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 5)] = "happy"
    >>> neutral, happy = detections(cut([Pair(reference, hypothesis, duration=5.0)]))
    >>> happy.emotion, round(happy.precision, 3), happy.recall
    ('happy', 0.333, 0.5)
    """
    scored = atoms.scored

    def one(name: str, said: np.ndarray, heard: np.ndarray) -> Detection:
        def time(mask: np.ndarray) -> int:
            return int(atoms.ticks[mask & scored].sum())

        return Detection(name, time(said & heard), time(~said & heard), time(said & ~heard))

    neutral = one(NEUTRAL, atoms.reference == 0, atoms.hypothesis == 0)
    emotions = [
        one(name, (atoms.reference >> bit & 1) == 1, (atoms.hypothesis >> bit & 1) == 1)
        for bit, name in enumerate(atoms.emotions)
    ]
    return [neutral, *sorted(emotions, key=lambda detection: detection.emotion)]
