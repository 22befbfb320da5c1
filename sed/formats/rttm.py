"""RTTM, the line format of diarization, with the emotion in the place of the speaker's name.

::

    SPEAKER <uri> <channel> <onset> <duration> <NA> <NA> <emotion> <confidence> <NA>

RTTM knows no emotion type, and an unknown type is fatal in md-eval and dropped by pyannote, so
lines are of type SPEAKER and every diarization tool can open them.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    Format,
    channel_number,
    checked_emotion,
    checked_segment,
    number,
    place,
)
from sed.labels import confidence_of, spelling_in_rttm

_MISSING = "<NA>"
_OTHER_TYPES = frozenset(
    "A/P CB EDIT FILLER IP LEXEME NO_RT_METADATA NON-LEX NON-SPEECH NOSCORE SEGMENT SPKR-INFO SU"
    .split()
)  # fmt: skip


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recordings of an RTTM text, in order of appearance.

    Examples
    --------
    >>> [recording] = parse("SPEAKER call 1 0.5 1.25 <NA> <NA> happy 0.81 <NA>", "call.rttm")
    >>> recording.uri, [(s.start, s.end, e) for s, _, e in
    ...     recording.annotation.itertracks(yield_label=True)]
    ('call', [(0.5, 1.75, 'happy')])
    """
    annotations: dict[tuple[str, int], Annotation] = {}
    for line_number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(";;") or fields[0] in _OTHER_TYPES:
            continue
        where = f"{source}, line {line_number}"
        if fields[0] != "SPEAKER":
            raise ValueError(f"{where}: {fields[0][:40]!r} is no RTTM type; is this an RTTM file?")
        if not 8 <= len(fields) <= 10:
            raise ValueError(f"{where}: {len(fields)} fields; a SPEAKER line has 10")
        uri, channel_field, onset_field, duration_field = fields[1:5]
        onset = number(where, "onset", onset_field)
        duration = number(where, "duration", duration_field)
        score = fields[8] if len(fields) > 8 else _MISSING
        confidence = None if score == _MISSING else number(where, "confidence", score)
        key = (uri, channel_number(where, channel_field))
        if key not in annotations:
            annotations[key] = Annotation(uri=uri)
        place(
            where,
            annotations[key],
            checked_segment(where, onset, onset + duration),
            checked_emotion(where, fields[7], confidence, mapping),
        )
    return [
        AnnotatedRecording(annotation, channel=channel)
        for (_, channel), annotation in annotations.items()
    ]


def encode(recording: AnnotatedRecording) -> str:
    r"""RTTM lines of a recording; a recording without emotions has none.

    Onset and offset are rounded to milliseconds each, so segments that touch still touch.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> annotation = Annotation(uri="call")
    >>> annotation[Segment(0.5, 1.75)] = "happy"
    >>> encode(AnnotatedRecording(annotation))
    'SPEAKER call 1 0.500 1.250 <NA> <NA> happy <NA> <NA>\n'
    """
    lines = []
    for segment, _, label in recording.annotation.itertracks(yield_label=True):
        onset, offset = round(segment.start * 1000), round(segment.end * 1000)
        if offset <= onset:
            continue  # shorter than the format can say
        confidence = confidence_of(label)
        lines.append(
            f"SPEAKER {spelling_in_rttm(recording.uri)} {recording.channel} "
            f"{onset / 1000:.3f} {(offset - onset) / 1000:.3f} {_MISSING} {_MISSING} "
            f"{spelling_in_rttm(label)} "
            f"{_MISSING if confidence is None else f'{confidence:.3f}'} {_MISSING}\n"
        )
    return "".join(lines)


RTTM = Format(
    name="rttm",
    suffixes=(".rttm",),
    description="RTTM, one line per segment, the emotion in the speaker's place",
    parse=parse,
    encode=encode,
)
