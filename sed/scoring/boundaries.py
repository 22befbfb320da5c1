"""Where emotions change: how far off the hypothesis's boundaries are, and how many are right."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from sed.frames import TICKS_PER_SECOND, to_ticks
from sed.scoring.atoms import Atoms
from sed.scoring.stretches import stretches

TOLERANCE = 0.25
"""Seconds a boundary may be off and still count as found."""


@dataclass(frozen=True)
class BoundaryAgreement:
    """``F1 = 2 matched / (reference + hypothesis)`` of the boundaries.

    Parameters
    ----------
    num_reference, num_hypothesis, num_matched : int
        Boundaries of each side, and pairs of them within the tolerance, each used once.
    deviation : float
        Seconds from a reference boundary to the hypothesis boundary nearest to it in the same
        recording: the median. Infinite where most have none, NaN without reference boundaries.
    tolerance : float
        Seconds.
    """

    num_reference: int
    num_hypothesis: int
    num_matched: int
    deviation: float
    tolerance: float

    @property
    def precision(self) -> float:
        """Share of the hypothesis's boundaries that are right; NaN where it has none."""
        return self.num_matched / self.num_hypothesis if self.num_hypothesis else math.nan

    @property
    def recall(self) -> float:
        """Share of the reference's boundaries that were found; NaN where it has none."""
        return self.num_matched / self.num_reference if self.num_reference else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where neither side has a boundary."""
        both = self.num_reference + self.num_hypothesis
        return 2 * self.num_matched / both if both else math.nan


def boundaries(atoms: Atoms, *, tolerance: float = TOLERANCE) -> BoundaryAgreement:
    """Compare the times at which the emotions of each side change.

    Which emotion comes and goes plays no part (EDER sees to that), nor does a collar. The ends of
    the recording and of its scored regions are no boundaries: nobody had to find them.

    ::

        reference    |   neutral   |     happy     | neutral |
        boundaries                 ^               ^
        hypothesis   |  neutral |        sad       |  happy  |
        boundaries              ^                  ^
        deviation               <-->               0

    Parameters
    ----------
    atoms : Atoms
    tolerance : float, optional
        Seconds a boundary may be off and still count as found.

    Raises
    ------
    ValueError
        If the tolerance is negative or no number.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(1.1, 4)] = "happy"
    >>> found = boundaries(cut([Pair(reference, hypothesis, duration=5.0)]))
    >>> found.num_matched, found.f1, found.deviation
    (1, 0.5, 0.55)
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"a tolerance of {tolerance} s is not possible; give seconds, 0 or more")
    said, heard = _times(atoms, "reference"), _times(atoms, "hypothesis")
    deviations: list[float] = []
    matched = 0
    for recording, times in said.items():
        found = heard.get(recording, [])
        deviations += _distances(times, found)
        matched += _matches(times, found, to_ticks(tolerance))
    return BoundaryAgreement(
        num_reference=len(deviations),
        num_hypothesis=sum(map(len, heard.values())),
        num_matched=matched,
        deviation=statistics.median(deviations) / TICKS_PER_SECOND if deviations else math.nan,
        tolerance=tolerance,
    )


def _times(atoms: Atoms, side: Literal["reference", "hypothesis"]) -> dict[int, list[int]]:
    """Ticks at which the emotions of one side change, by the recording's index, in order."""
    runs = stretches(atoms, side)
    goes_on = runs.region[1:] == runs.region[:-1]
    times: dict[int, list[int]] = {}
    for recording, onset in zip(
        runs.recording[1:][goes_on].tolist(), runs.onset[1:][goes_on].tolist(), strict=True
    ):
        times.setdefault(recording, []).append(onset)
    return times


def _distances(times: list[int], found: list[int]) -> list[float]:
    """Distance of each time to the nearest one found; both lists are in order."""
    distances: list[float] = []
    nearest = 0
    for time in times:
        while nearest + 1 < len(found) and abs(found[nearest + 1] - time) <= abs(
            found[nearest] - time
        ):
            nearest += 1
        distances.append(abs(found[nearest] - time) if found else math.inf)
    return distances


def _matches(times: list[int], found: list[int], tolerance: int) -> int:
    """Most pairs within the tolerance when each time is used once.

    On a line, giving each time the earliest one left within reach is the best there is.
    """
    matches = next_found = 0
    for time in times:
        while next_found < len(found) and found[next_found] < time - tolerance:
            next_found += 1
        if next_found < len(found) and found[next_found] <= time + tolerance:
            matches += 1
            next_found += 1
    return matches
