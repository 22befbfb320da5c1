r"""Label track of Audacity: a line for each segment, the confidence behind the emotion.

::

    0.500000<TAB>1.750000<TAB>happy 0.81

A line that begins with a backslash holds the frequencies of the label before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    Format,
    checked_emotion,
    checked_segment,
    number,
    on_grid,
    one_line,
    place,
    spelled,
)
from sed.formats.folders import named_after
from sed.formats.tiers import SILENCE
from sed.frames import TICKS_PER_SECOND
from sed.labels import confidence_of

_LABEL = re.compile(r"(.*\S)\s+(\d*\.?\d+)")
_FIRST_LINE = re.compile(r"\s*\d+(\.\d+)?\t\d+(\.\d+)?(\t|\n|$)")


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    r"""Recording of a label track, named after its file.

    Labels of a point in time, of silence and empty ones are ignored.

    Examples
    --------
    >>> [recording] = parse("0.5\t1.75\thappy 0.81\n\\\t200.0\t4000.0\n", "folder/call.txt")
    >>> recording.uri, [(s.start, s.end, e, e.confidence) for s, _, e in
    ...     recording.annotation.itertracks(yield_label=True)]
    ('call', [(0.5, 1.75, 'happy', 0.81)])
    """
    uri, channel = named_after(PurePath(PurePath(source).name))
    annotation = Annotation(uri=uri)
    for line_number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        where = f"{source}, line {line_number}"
        fields = line.split("\t", maxsplit=2)
        if len(fields) < 2:
            raise ValueError(f"{where}: a label is an onset, an offset and a text, between tabs")
        onset, offset = number(where, "onset", fields[0]), number(where, "offset", fields[1])
        label = fields[2].strip() if len(fields) > 2 else ""
        if onset == offset or label.lower() in SILENCE:
            continue
        suffixed = _LABEL.fullmatch(label)
        confidence = float(suffixed[2]) if suffixed else None
        place(
            where,
            annotation,
            checked_segment(where, onset, offset),
            checked_emotion(where, suffixed[1] if suffixed else label, confidence, mapping),
        )
    return [AnnotatedRecording(annotation, channel=channel)]


def encode(recording: AnnotatedRecording) -> str:
    r"""Lines of a recording; one without emotions has none.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> annotation = Annotation(uri="call")
    >>> annotation[Segment(0.5, 1.75)] = "happy"
    >>> encode(AnnotatedRecording(annotation))
    '0.500000\t1.750000\thappy\n'
    """
    lines = []
    for onset, offset, label in on_grid(recording.annotation, TICKS_PER_SECOND):
        confidence = confidence_of(label)
        suffix = "" if confidence is None else f" {spelled(confidence)}"
        times = f"{onset / TICKS_PER_SECOND:.6f}\t{offset / TICKS_PER_SECOND:.6f}"
        lines.append(f"{times}\t{one_line(label)}{suffix}\n")
    return "".join(lines)


AUDACITY = Format(
    name="audacity",
    suffixes=(".txt",),
    description="label track of Audacity",
    parse=parse,
    encode=encode,
    recognises=lambda text: not text.strip() or _FIRST_LINE.match(text) is not None,
    single=True,
)
