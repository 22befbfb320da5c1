"""Lanes of a picture: each draws one thing that is known of a recording over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.colours import colour
from sed.frames import TICKS_PER_SECOND
from sed.labels import NEUTRAL, canonical
from sed.report.columns import column_means, envelope
from sed.report.text import ink_on, printable, width_of
from sed.scoring.atoms import PARTS
from sed.scoring.regions import Regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERRORS: Mapping[str, tuple[str, str]] = {
    "false_alarm": ("#EE3377", ""),
    "missed_emotion": ("#222222", ""),
    "confusion": ("#7B4FB5", "//////"),
    "overlap": ("#B3B300", "......"),
}
"""Colour and hatch of each part of the errors, none of them an emotion's."""

_SIGNAL, _SPEECH = "#5B6770", "#8A9299"
_QUIET = 0.01  # an amplitude below which a waveform is not made larger
_CROWD = 100  # boxes of one colour, each of which a line around it would make too wide


def draw_waveform(axes: Axes, recording: Recording, view: Segment) -> None:
    """Lowest and highest sample of every column, as large as the lane is."""
    edges, low, high = envelope(recording, start=view.start, end=view.end)
    if not len(low):
        return
    peak = max(_QUIET, float(np.abs(low).max()), float(np.abs(high).max()))
    axes.stairs(
        high, edges, baseline=low, fill=True, facecolor=_SIGNAL, edgecolor=_SIGNAL, linewidth=0.5
    )
    axes.set_ylim(-1.08 * peak, 1.08 * peak)


def draw_posteriors(axes: Axes, posteriors: SlidingWindowFeature, view: Segment) -> None:
    """Posteriors of the emotions on top of each other; what is left above them is neutral."""
    edges, means = column_means(posteriors, start=view.start, end=view.end)
    axes.set_ylim(0, 1)
    if not len(means):
        return
    bottom = np.zeros(len(means))
    names = [emotion_name(label) for label in posteriors.labels]
    for column, label in sorted(enumerate(names), key=lambda item: item[1]):
        if label == NEUTRAL:
            continue
        top = bottom + means[:, column]
        axes.stairs(top, edges, baseline=bottom, fill=True, facecolor=colour(label), linewidth=0)
        bottom = top


def draw_speech(axes: Axes, speech: Timeline, view: Segment) -> None:
    """Where the detector heard speech."""
    _boxes(axes, [(segment, 0.0, 1.0) for segment in speech], _SPEECH)


def draw_emotions(axes: Axes, annotation: Annotation, view: Segment) -> None:
    """Segments in the colours of their emotions, the name in those that have room for it."""
    tracks = [
        (segment, emotion_name(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    places = levels([segment for segment, _ in tracks])
    by_emotion: dict[str, list[tuple[Segment, float, float]]] = {}
    for (segment, emotion), (level, count) in zip(tracks, places, strict=True):
        box = (segment, 1 - (level + 1) / count, 1 - level / count)
        by_emotion.setdefault(emotion, []).append(box)
    for emotion in sorted(by_emotion):
        _boxes(axes, by_emotion[emotion], colour(emotion))
        for segment, bottom, top in by_emotion[emotion]:
            if top - bottom > 0.45:
                middle = (bottom + top) / 2 - 0.02  # where small letters look centred
                _write(axes, segment & view, middle, emotion, colour(emotion), view)


def draw_errors(axes: Axes, regions: Regions, view: Segment) -> None:
    """Where a hypothesis is wrong, coloured by the part of the error rate."""
    for part, (fill, hatch) in ERRORS.items():
        kept = np.flatnonzero(regions.part == PARTS.index(part))
        onsets = (regions.onset[kept] / TICKS_PER_SECOND).tolist()
        offsets = ((regions.onset + regions.ticks)[kept] / TICKS_PER_SECOND).tolist()
        segments = [Segment(*times) for times in zip(onsets, offsets, strict=True)]
        _boxes(axes, [(segment, 0.0, 1.0) for segment in segments], fill, hatch=hatch)


def emotion_name(label: object) -> str:
    """Canonical name of a label, or the label itself where it is an emotion of one's own.

    Examples
    --------
    >>> emotion_name("h"), emotion_name("bemused")
    ('happy', 'bemused')
    """
    try:
        return canonical(str(label))
    except ValueError:
        return str(label)


def levels(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    """Level of each segment among those that overlap, and how many levels these need.

    ::

        segments   |-----|  |----------|     level 0 of 1    0 of 2
                               |---|  |---|                  1 of 2   1 of 2

    Parameters
    ----------
    segments : sequence of Segment
        In order of their onsets.

    Returns
    -------
    list of (level, num_levels)

    Examples
    --------
    >>> levels([Segment(0, 2), Segment(3, 6), Segment(4, 5), Segment(5.5, 7)])
    [(0, 1), (0, 2), (1, 2), (1, 2)]
    """
    placed: list[int] = []
    counts: list[int] = []
    ends: list[float] = []  # of the last segment on each level of the present group
    for segment in segments:
        if all(end <= segment.start for end in ends):
            counts += [len(ends)] * (len(placed) - len(counts))
            ends = []
        free = (level for level, end in enumerate(ends) if end <= segment.start)
        level = next(free, len(ends))
        ends[level : level + 1] = [segment.end]
        placed.append(level)
    counts += [len(ends)] * (len(placed) - len(counts))
    return list(zip(placed, counts, strict=True))


def _boxes(
    axes: Axes, boxes: Sequence[tuple[Segment, float, float]], fill: str, *, hatch: str = ""
) -> None:
    """Rectangles ``(segment, bottom, top)``.

    Few of them leave a mark however short they are; of many each has its share of the colour.
    """
    from matplotlib.collections import PolyCollection

    if not boxes:
        return
    corners = [
        [(segment.start, bottom), (segment.start, top), (segment.end, top), (segment.end, bottom)]
        for segment, bottom, top in boxes
    ]
    crowded = len(boxes) > _CROWD
    line = {"linewidth": 0 if crowded else 0.4, "snap": False if crowded else None}
    styles: list[dict[str, Any]] = [{"facecolor": fill, "edgecolor": fill, **line}]
    if hatch:
        styles.append({"facecolor": "none", "edgecolor": "white", "hatch": hatch, "linewidth": 0})
    for style in styles:
        axes.add_collection(PolyCollection(corners, **style), autolim=False)


def _write(axes: Axes, seen: Segment, y: float, text: str, fill: str, view: Segment) -> None:
    """Text in the middle of what is seen of a segment, if there is room."""
    text = printable(text, 40)
    inches = axes.bbox.width / axes.figure.dpi
    if seen.duration / view.duration * inches > width_of(text) + 0.06:
        axes.text(seen.middle, y, text, ha="center", va="center", color=ink_on(fill), fontsize=8.5)
