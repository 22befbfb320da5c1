"""Tiers, the lanes of annotation tools: which of them hold emotions, and how overlaps share them.

::

    emotion       |  happy  |      |     sad     |
    confidence    |  0.81   |      |    0.64     |
    emotion 2         |   surprised   |             where emotions overlap
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    checked_emotion,
    checked_segment,
    number,
    on_grid,
    one_line,
    place,
    spelled,
)
from sed.formats.folders import named_after
from sed.labels import confidence_of

EMOTION, CONFIDENCE = "emotion", "confidence"
"""Names of the first tiers; those of overlaps are followed by a number."""

SILENCE = frozenset(("", "#", "<p:>", "<sil>", "pause", "sil", "silence", "silent", "sp"))
"""Texts that mark a stretch in which nobody speaks, as empty ones do."""

_NAMED = re.compile(rf"({EMOTION}|{CONFIDENCE})s?(?![a-z])[\s_-]*(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Interval:
    """A stretch of a tier, in seconds; `where` is what errors name."""

    where: str
    onset: float
    offset: float
    text: str


@dataclass(frozen=True)
class Tier:
    """A tier as a file holds it."""

    name: str
    intervals: Sequence[Interval]


@dataclass(frozen=True)
class Cells:
    """A tier to write: onset, offset and text of its cells, in whole parts of a second.

    `parent` names the emotions that confidences belong to, cell by cell.
    """

    name: str
    parent: str | None = None
    cells: list[tuple[int, int, str]] = field(default_factory=list)


def tiers_of(annotation: Annotation, per_second: int) -> list[Cells]:
    """Tiers that hold an annotation, within each of which nothing overlaps.

    Examples
    --------
    >>> from pyannote.core import Segment
    >>> annotation = Annotation()
    >>> annotation[Segment(0, 2)] = "happy"
    >>> annotation[Segment(1, 3)] = "sad"
    >>> [(tier.name, tier.cells) for tier in tiers_of(annotation, 1000)]
    [('emotion', [(0, 2000, 'happy')]), ('emotion 2', [(1000, 3000, 'sad')])]
    """
    lanes = [Cells(EMOTION)]
    confidences = [Cells(CONFIDENCE, parent=EMOTION)]
    for onset, offset, label in sorted(on_grid(annotation, per_second)):
        free = (i for i, lane in enumerate(lanes) if not lane.cells or lane.cells[-1][1] <= onset)
        index = next(free, len(lanes))
        if index == len(lanes):
            lanes.append(Cells(f"{EMOTION} {index + 1}"))
            confidences.append(Cells(f"{CONFIDENCE} {index + 1}", parent=lanes[-1].name))
        lanes[index].cells.append((onset, offset, one_line(label)))
        confidence = confidence_of(label)
        if confidence is not None:
            confidences[index].cells.append((onset, offset, spelled(confidence)))
    pairs = zip(lanes, confidences, strict=True)
    return [tier for pair in pairs for tier in pair if tier.cells or tier is lanes[0]]


def recording_of(
    tiers: Sequence[Tier],
    source: str,
    mapping: Mapping[str, str] | None,
    *,
    duration: float | None = None,
    path: Path | None = None,
) -> AnnotatedRecording:
    """Recording of a file's tiers.

    Emotions are what stands in tiers named ``emotion``, with anything behind it, or in the only
    tier that holds something. Empty stretches and silence are none; neutral is kept where it is
    written. A confidence belongs to the emotion in whose middle it stands, so that it stays with
    one whose ends were moved.

    Raises
    ------
    ValueError
        If no tier can be chosen, or what it holds are no emotions.
    """
    named = [(_NAMED.fullmatch(tier.name.strip()), tier) for tier in tiers]
    chosen = [(m[2], tier) for m, tier in named if m and m[1].lower() == EMOTION]
    confidences = {m[2]: tier for m, tier in named if m and m[1].lower() == CONFIDENCE}
    if not chosen:
        filled = [t for m, t in named if not m and any(i.text.strip() for i in t.intervals)]
        if len(filled) > 1 or not tiers:
            names = ", ".join(repr(tier.name) for tier in filled) or "none"
            raise ValueError(
                f"{source}: no tier is named {EMOTION!r} (those with intervals: {names}); "
                "rename the one that holds emotions"
            )
        chosen = [("", tier) for tier in filled]
    uri, channel = named_after(PurePath(PurePath(source).name))
    annotation = Annotation(uri=uri)
    for key, tier in chosen:
        known = sorted(
            confidences[key].intervals if key in confidences else (), key=lambda i: i.onset
        )
        for interval in tier.intervals:
            text = interval.text.strip()
            if text.lower() in SILENCE:
                continue
            place(
                interval.where,
                annotation,
                checked_segment(interval.where, interval.onset, interval.offset),
                checked_emotion(interval.where, text, _confidence(interval, known), mapping),
            )
    return AnnotatedRecording(annotation, duration=duration, channel=channel, path=path)


def _confidence(interval: Interval, known: Sequence[Interval]) -> float | None:
    """Number that stands in the middle of an interval, of intervals in order of onset."""
    middle = (interval.onset + interval.offset) / 2
    index = bisect_right(known, middle, key=lambda other: other.onset) - 1
    if index < 0 or known[index].offset <= middle or not known[index].text.strip():
        return None
    return number(known[index].where, CONFIDENCE, known[index].text.strip())
