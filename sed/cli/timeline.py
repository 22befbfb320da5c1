"""A diarization as a picture of characters: bars over time, then the segments.

Emotions are told apart by colour, or by letters where there is none (a file, ``NO_COLOR``).
"""

from __future__ import annotations

from collections.abc import Iterable

from pyannote.core import Annotation, Segment, Timeline
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sed.colours import colour
from sed.labels import NEUTRAL, confidence_of

MAX_ROWS, MAX_SEGMENTS = 12, 40
MIN_SECONDS_PER_ROW = 30.0
INDENT = 10
"""Columns before a bar, for its time."""


def clock(seconds: float) -> str:
    """Time as people read it.

    Examples
    --------
    >>> clock(3.25), clock(75.5), clock(3725)
    ('0:03.2', '1:15.5', '1:02:05.0')
    """
    tenths = int(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest // 10:02}.{rest % 10}"


def render(
    annotation: Annotation,
    speech: Timeline,
    duration: float,
    *,
    title: str,
    width: int,
    coloured: bool = True,
) -> RenderableType:
    """Timeline, shares and segments of one recording.

    ::

        call  0:42.0
        0:00.0 ──███████── ────████████──    ─────   0:42.0
        speech 71 %   happy 18 %   angry 12 %

    Parameters
    ----------
    annotation : Annotation
    speech : Timeline
        Neutral speech is drawn as a line, silence as nothing.
    duration : float
        Seconds.
    title : str
    width : int
        Columns of the terminal.
    coloured : bool
        Whether colours tell emotions apart, or letters.
    """
    marks = marks_of(annotation, coloured)
    parts: list[RenderableType] = [Text.assemble((title, "bold"), f"  {clock(duration)}")]
    bar_width = max(10, width - 2 * INDENT - 2)
    num_rows = max(1, min(MAX_ROWS, round(duration / MIN_SECONDS_PER_ROW)))
    span = duration / num_rows
    for row in range(num_rows):
        start = row * span
        drawn = bar(annotation, speech, Segment(start, start + span), bar_width, marks)
        onset, offset = clock(start), clock(start + span)
        parts.append(Text.assemble(f"{onset:>{INDENT - 1}} ", drawn, f" {offset}"))
    parts.append(_shares(annotation, speech, duration, marks))
    if len(annotation):
        parts.append(Padding(_segments(annotation), (0, 0, 0, INDENT), expand=False))
    return Group(*parts)


def marks_of(annotation: Annotation, coloured: bool) -> dict[str, str]:
    """Character of each emotion: a block to colour, or the first letter that no other has."""
    marks = {NEUTRAL: "─"}
    for label in annotation.labels():
        letters = (letter for letter in label if letter not in marks.values())
        marks.setdefault(str(label), "█" if coloured else next(letters, "?"))
    return marks


def bar(
    annotation: Annotation, speech: Timeline, row: Segment, width: int, marks: dict[str, str]
) -> Text:
    """One row: the emotion in the middle of each column, else speech, else silence."""
    text = Text()
    cell = row.duration / width
    emotional = [
        (segment, str(label))
        for segment, _, label in annotation.crop(row).itertracks(yield_label=True)
        if label != NEUTRAL
    ]
    stretches = list(speech.crop(row))
    for column in range(width):
        middle = row.start + (column + 0.5) * cell
        label = next((name for segment, name in emotional if segment.overlaps(middle)), None)
        if label is not None:
            text.append(marks[label], style=colour(label))
        elif any(segment.overlaps(middle) for segment in stretches):
            text.append(marks[NEUTRAL], style=colour(NEUTRAL))
        else:
            text.append(" ")
    return text


def _shares(
    annotation: Annotation, speech: Timeline, duration: float, marks: dict[str, str]
) -> Text:
    """How much of the recording is speech, and each emotion."""
    text = Text(" " * INDENT)
    items: Iterable[tuple[str, float]] = [("speech", speech.support().duration())] + [
        (str(label), seconds) for label, seconds in annotation.chart()
    ]
    for name, seconds in items:
        style = colour(NEUTRAL if name == "speech" else name)
        text.append(marks.get(name, marks[NEUTRAL]) + " ", style=style)
        text.append(f"{name} {100 * seconds / duration:.0f} %   ")
    if len(annotation) == 0:
        text.append("no emotion found" if len(speech) else "no speech found", style="italic")
    return text


def _segments(annotation: Annotation) -> Table:
    """Table of the segments, the first ones where there are many."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("onset", justify="right")
    table.add_column("offset", justify="right")
    table.add_column("emotion")
    table.add_column("confidence", justify="right")
    tracks = list(annotation.itertracks(yield_label=True))
    for segment, _, label in tracks[:MAX_SEGMENTS]:
        confidence = confidence_of(label)
        table.add_row(
            clock(segment.start),
            clock(segment.end),
            Text(str(label), style=colour(label)),
            "" if confidence is None else f"{confidence:.2f}",
        )
    if len(tracks) > MAX_SEGMENTS:
        table.add_row("", "", f"… {len(tracks) - MAX_SEGMENTS} more; --rttm FILE writes all", "")
    return table


def print_timeline(
    console: Console, annotation: Annotation, speech: Timeline, duration: float, *, title: str
) -> None:
    """Print the timeline of one recording, and an empty line after it."""
    console.print(
        render(
            annotation,
            speech,
            duration,
            title=title,
            width=console.width,
            coloured=is_coloured(console),
        )
    )
    console.print()


def is_coloured(console: Console) -> bool:
    """Whether colours can tell emotions apart on a console."""
    # The eight standard colours are too few: angry and happy would be one.
    return console.color_system not in (None, "standard") and not console.no_color
