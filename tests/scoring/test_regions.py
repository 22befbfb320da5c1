"""Where errors lie: the same rules as their sums."""

from __future__ import annotations

import numpy as np
import pytest
from pyannote.core import Annotation, Segment

from sed.scoring import Pair, cut
from sed.scoring.atoms import PARTS
from sed.scoring.regions import regions


def annotation(rng: np.random.Generator) -> Annotation:
    """Emotions that overlap, touch and repeat."""
    made = Annotation()
    for track in range(rng.integers(0, 30)):
        start = round(float(rng.uniform(0, 50)), 3)
        end = round(start + float(rng.exponential(4)) + 0.001, 3)
        made[Segment(start, end), track] = str(rng.choice(["happy", "sad", "angry", "neutral"]))
    return made


@pytest.mark.parametrize("collar", [0.0, 0.25])
@pytest.mark.parametrize("duration", [None, 40.0])
def test_regions_add_up_to_the_errors_tick_by_tick(
    rng: np.random.Generator, duration: float | None, collar: float
) -> None:
    pairs = [Pair(annotation(rng), annotation(rng), duration=duration) for _ in range(40)]
    atoms = cut(pairs, collar=collar)
    found = regions(atoms)
    for recording, errors in enumerate(atoms.errors()):
        here = found.recording == recording
        sums = {
            part: int(found.ticks[here & (found.part == index)].sum())
            for index, part in enumerate(PARTS)
        }
        assert sums == {part: getattr(errors, part) for part in PARTS}
        assert int(found.ticks[here].sum()) == errors.total
    assert {int(part) for part in found.part} == set(range(5))


def test_neighbours_of_one_part_are_one_region() -> None:
    """Two false alarms that touch are one; what lies between two pieces of a UEM is not bridged."""
    hypothesis = Annotation()
    hypothesis[Segment(1, 2)] = "happy"
    hypothesis[Segment(2, 4)] = "sad"
    hypothesis[Segment(3, 5)] = "happy"
    found = regions(cut([Pair(Annotation(), hypothesis, duration=6.0)]))
    assert [PARTS[part] for part in found.part] == ["correct", "false_alarm", "correct"]
    assert found.ticks.tolist() == [1_000_000, 4_000_000, 1_000_000]
    with_collar = regions(cut([Pair(hypothesis, hypothesis, duration=6.0)], collar=0.1))
    assert (with_collar.part == 0).all()
    assert len(with_collar.part) == 6
