"""What is said one after the other: runs of one set of emotions on one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sed.scoring.atoms import Atoms

MIN_TICKS = 10_000
"""Stretches under 10 ms are left out: they could not win one of the paper's 20 ms frames, and
rounding to the milliseconds of an RTTM leaves such crumbs at a recording's end."""


@dataclass(frozen=True, eq=False)
class Stretches:
    """Runs of one side, in order of recording and time.

    ::

        hypothesis   |  happy  || happy |   |  sad  |
        stretches    |       happy      |   |  sad  |      gaps under 10 ms do not count
                                        |---|              neutral is a stretch like any other

    Parameters
    ----------
    recording : (num_stretches,) np.ndarray of int
    onset : (num_stretches,) np.ndarray of int
        Ticks.
    emotions : (num_stretches,) np.ndarray of int
        Sets of emotions.
    region : (num_stretches,) np.ndarray of int
        Number of the unbroken scored region that the stretch starts in.
    """

    recording: np.ndarray
    onset: np.ndarray
    emotions: np.ndarray
    region: np.ndarray


def stretches(atoms: Atoms, side: Literal["reference", "hypothesis"]) -> Stretches:
    """Runs of one set of emotions, whether or not a collar hides a part of them.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference = Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> reference[Segment(3.001, 5)] = "happy"
    >>> runs = stretches(cut([Pair(reference, Annotation(), duration=5.0)]), "reference")
    >>> runs.onset.tolist(), runs.emotions.tolist()
    ([0, 1000000], [0, 1])
    """
    emotions = atoms.reference if side == "reference" else atoms.hypothesis
    offset = atoms.onset + atoms.ticks
    breaks = _changes(atoms.recording)
    breaks[1:] |= atoms.onset[1:] != offset[:-1]
    region = np.cumsum(breaks)
    first = np.flatnonzero(breaks | _changes(emotions))
    last = np.append(first[1:], len(atoms)) - 1 if len(first) else first
    long = offset[last] - atoms.onset[first] >= MIN_TICKS
    first = first[long]
    opens = _changes(atoms.recording[first]) | _changes(emotions[first]) | _changes(region[first])
    first = first[opens]
    return Stretches(atoms.recording[first], atoms.onset[first], emotions[first], region[first])


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it, the first included."""
    changes = np.ones(len(values), dtype=bool)
    changes[1:] = values[1:] != values[:-1]
    return changes
