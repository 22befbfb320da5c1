"""Confusion matrix in seconds: what was said against what was heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sed.frames import TICKS_PER_SECOND
from sed.labels import NEUTRAL
from sed.scoring.atoms import Atoms


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Scored time of each set of emotions in the reference against each in the hypothesis.

    Neutral is a row and a column. Emotions that overlap are one of their own, ``happy+sad``, so
    that nothing is counted twice: the matrix sums to the scored time and its diagonal is the
    correct time.

    Parameters
    ----------
    labels : tuple of str
        Neutral, the emotions, then those that overlap.
    ticks : (num_labels, num_labels) np.ndarray of int
        One row for each label of the reference, one column for each of the hypothesis.
    """

    labels: tuple[str, ...]
    ticks: np.ndarray

    @property
    def seconds(self) -> np.ndarray:
        """(num_labels, num_labels) np.ndarray of seconds."""
        return self.ticks / TICKS_PER_SECOND


def confusion(atoms: Atoms) -> ConfusionMatrix:
    """Confusion matrix of all recordings.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "sad"
    >>> matrix = confusion(cut([Pair(reference, hypothesis, duration=5.0)]))
    >>> matrix.labels
    ('neutral', 'happy', 'sad')
    >>> matrix.seconds
    array([[2., 0., 1.],
           [1., 0., 1.],
           [0., 0., 0.]])
    """
    table = {
        (atoms.name(said), atoms.name(heard)): ticks
        for (said, heard), ticks in atoms.table().items()
    }
    names = {NEUTRAL, *(name for pair in table for name in pair)}
    labels = sorted(names, key=lambda name: (name != NEUTRAL, name.count("+"), name))
    place = {name: index for index, name in enumerate(labels)}
    ticks = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (said, heard), count in table.items():
        ticks[place[said], place[heard]] = count
    return ConfusionMatrix(tuple(labels), ticks)
