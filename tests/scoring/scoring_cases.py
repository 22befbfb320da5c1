"""Random recordings on a coarse grid, and their errors counted cell by cell."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline

CELLS_PER_SECOND = 10
TICKS_PER_CELL = 1_000_000 // CELLS_PER_SECOND
CELLS = range(-20, 120)  # beyond everything that is drawn, collars included

Event = tuple[int, int, str]  # first cell, number of cells, emotion

emotions = st.sampled_from(["happy", "sad", "angry"])
labels = st.sampled_from(["happy", "sad", "angry", "neutral"])
events = st.lists(
    st.tuples(st.integers(-5, 65), st.integers(1, 20), labels), max_size=8, unique=True
)
regions = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 30)), min_size=1, max_size=3)
durations = st.integers(1, 70)
collars = st.integers(0, 4)


@st.composite
def disjoint_events(draw: st.DrawFn) -> list[Event]:
    """Events that do not overlap each other, and may touch."""
    found: list[Event] = []
    cell = 0
    for gap, length, emotion in draw(
        st.lists(st.tuples(st.integers(0, 8), st.integers(1, 15), emotions), max_size=6)
    ):
        found.append((cell + gap, length, emotion))
        cell += gap + length
    return found


def annotation(events: Iterable[Event], uri: str = "recording") -> Annotation:
    """Annotation of events, every one a track of its own."""
    made = Annotation(uri=uri)
    for track, (first, length, emotion) in enumerate(events):
        segment = Segment(first / CELLS_PER_SECOND, (first + length) / CELLS_PER_SECOND)
        made[segment, track] = emotion
    return made


def timeline(regions: Iterable[tuple[int, int]]) -> Timeline:
    """UEM of regions, given as first cell and number of cells."""
    return Timeline([Segment(a / CELLS_PER_SECOND, (a + n) / CELLS_PER_SECOND) for a, n in regions])


def emotions_at(events: Iterable[Event], cell: int) -> frozenset[str]:
    """Emotions of a cell, neutral being none."""
    return frozenset(e for a, n, e in events if a <= cell < a + n and e != "neutral")


def scored_cells(
    reference: list[Event],
    hypothesis: list[Event],
    *,
    duration: int | None = None,
    regions: list[tuple[int, int]] | None = None,
    collar: int = 0,
) -> list[int]:
    """Cells that the rules leave to score."""
    cells = set(CELLS)
    if duration is None and regions is None:
        held = [c for c in CELLS if emotions_at([*reference, *hypothesis], c)]
        cells = set(range(min(held), max(held) + 1)) if held else set()
    if duration is not None:
        cells &= set(range(duration))
    if regions is not None:
        cells &= {c for a, n in regions for c in range(a, a + n)}
    for emotion in {e for _, _, e in reference if e != "neutral"}:
        own = [event for event in reference if event[2] == emotion]
        for cell in CELLS:
            if bool(emotions_at(own, cell - 1)) != bool(emotions_at(own, cell)):
                cells -= set(range(cell - collar, cell + collar))
    return sorted(cells)


def count(reference: list[Event], hypothesis: list[Event], cells: Iterable[int]) -> dict[str, int]:
    """Parts of the errors in ticks, by the table of the rules, one cell after the other."""
    parts = dict.fromkeys(
        ("false_alarm", "missed_emotion", "confusion", "overlap", "correct", "total"), 0
    )
    for cell in cells:
        said, heard = emotions_at(reference, cell), emotions_at(hypothesis, cell)
        if said == heard:
            kind = "correct"
        elif not said:
            kind = "false_alarm"
        elif heard < said:
            kind = "missed_emotion"
        elif not said & heard:
            kind = "confusion"
        else:
            kind = "overlap"
        parts[kind] += TICKS_PER_CELL
        parts["total"] += TICKS_PER_CELL
    return parts
