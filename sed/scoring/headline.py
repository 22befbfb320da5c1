"""The four numbers that a system is known by, for any weighting of the recordings."""

from __future__ import annotations

import numpy as np

from sed.scoring.atoms import Atoms
from sed.scoring.errors import EmotionErrors
from sed.scoring.utterance import utterance_labels

HEADLINE = ("pooled", "macro", "war", "uar")
"""Pooled and macro EDER, and the two accuracies at utterance level."""


class Headline:
    """Pooled EDER, macro EDER, WAR and UAR as functions of how often each recording counts.

    Once each gives the numbers themselves, other counts are the draws of a bootstrap, so an
    interval is always one of the printed statistic.

    Parameters
    ----------
    atoms : Atoms
    errors : sequence of EmotionErrors
        Those of `atoms`, recording by recording.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference = Annotation()
    >>> reference[Segment(1, 4)] = "happy"
    >>> atoms = cut([Pair(reference, Annotation(), duration=5.0),
    ...              Pair(Annotation(), Annotation(), duration=1.0)])
    >>> Headline(atoms, atoms.errors())(np.array([[1, 1], [0, 2]])).tolist()
    [[0.5, 0.3, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]]
    """

    def __init__(self, atoms: Atoms, errors: list[EmotionErrors]) -> None:
        said = utterance_labels(atoms, "reference")
        heard = utterance_labels(atoms, "hypothesis")
        self.num_recordings = len(errors)
        wrong = [error.errors for error in errors]
        total = [error.total for error in errors]
        rate = [error.eder for error in errors]  # 0 where nothing was scored, and not counted
        counted = [error.total > 0 for error in errors]
        right = [r is not None and r == h for r, h in zip(said, heard, strict=True)]
        self._sums = np.array([wrong, total, rate, counted, right], dtype=float).T.reshape(-1, 5)
        classes = sorted({label for label in said if label is not None})
        self._members = np.array([[label == c for c in classes] for label in said], dtype=float)
        self._members = self._members.reshape(self.num_recordings, len(classes))
        self._hits = self._members * self._sums[:, 4:]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Headline numbers of weighted recordings, NaN where nothing is counted.

        Parameters
        ----------
        weights : (num_draws, num_recordings) np.ndarray
            How often each recording counts.

        Returns
        -------
        (num_draws, 4) np.ndarray
            In the order of `HEADLINE`.
        """
        weights = np.asarray(weights, dtype=float)
        wrong, total, rate, counted, right = (weights @ self._sums).T
        members = weights @ self._members
        present = members > 0
        recalls = np.divide(
            weights @ self._hits, members, where=present, out=np.zeros_like(members)
        )
        columns = [
            _ratio(wrong, total),
            _ratio(rate, counted),
            _ratio(right, counted),
            _ratio(recalls.sum(axis=1), present.sum(axis=1)),
        ]
        return np.stack(columns, axis=1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where there is none."""
    out = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, where=denominator > 0, out=out)
