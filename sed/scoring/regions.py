"""Where the errors lie: stretches of time that count as one part of the error rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sed.scoring.atoms import Atoms


@dataclass(frozen=True, eq=False)
class Regions:
    """Stretches of one part, in order of recording and time; together they are all scored time.

    ::

        reference     |     happy     |      |  sad  |
        hypothesis        |   happy      |   | angry |
        regions       |ME | correct   |FA|ok |  CF   |

    Parameters
    ----------
    recording : (num_regions,) np.ndarray of int
        Index of the recording.
    onset, ticks : (num_regions,) np.ndarray of int
        Where the region starts and how long it lasts.
    part : (num_regions,) np.ndarray of int
        Index in `sed.scoring.atoms.PARTS`.
    """

    recording: np.ndarray
    onset: np.ndarray
    ticks: np.ndarray
    part: np.ndarray


def regions(atoms: Atoms) -> Regions:
    """Scored atoms of one part that follow each other, joined.

    Their ticks sum to those of `Atoms.errors`, part by part.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> found = regions(cut([Pair(reference, hypothesis, duration=5.0)]))
    >>> found.onset.tolist(), found.part.tolist()
    ([0, 1000000, 2000000, 3000000, 4000000], [0, 2, 0, 1, 0])
    """
    kept = np.flatnonzero(atoms.scored)
    recording, onset, part = atoms.recording[kept], atoms.onset[kept], atoms.parts()[kept]
    offset = onset + atoms.ticks[kept]
    opens = np.ones(len(kept), dtype=bool)
    opens[1:] = (
        (recording[1:] != recording[:-1]) | (part[1:] != part[:-1]) | (onset[1:] != offset[:-1])
    )
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(kept)) - 1 if len(first) else first
    return Regions(recording[first], onset[first], offset[last] - onset[first], part[first])
