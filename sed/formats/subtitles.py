"""WebVTT and SRT, subtitles: the emotion is what is shown, and how sure the system is.

::

    00:00:00.500 --> 00:00:01.750
    happy (81 %)
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    Format,
    checked_emotion,
    checked_segment,
    on_grid,
    one_line,
    place,
)
from sed.formats.folders import named_after
from sed.formats.tiers import SILENCE
from sed.labels import confidence_of

_TIME = r"(?:(\d{1,6}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_CONFIDENCE = re.compile(r"(.*\S)\s*\((\d+(?:\.\d+)?) ?%\)")
_TAG = re.compile(r"<[^<>]*>")
_NO_CUES = ("NOTE", "STYLE", "REGION")


def parse_vtt(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    r"""Recording of a WebVTT file, named after it.

    Identifiers and settings of cues, notes and styles are ignored, and so are empty cues.

    Raises
    ------
    ValueError
        If the file does not begin with ``WEBVTT``, or a cue has no times or shows no emotion.

    Examples
    --------
    >>> text = "WEBVTT\n\n1\n00:00.500 --> 00:01.750 line:0\n<i>happy</i> (81 %)\n"
    >>> [recording] = parse_vtt(text, "folder/call.vtt")
    >>> recording.uri, [(s.start, s.end, e, e.confidence) for s, _, e in
    ...     recording.annotation.itertracks(yield_label=True)]
    ('call', [(0.5, 1.75, 'happy', 0.81)])
    """
    if re.match(r"WEBVTT(\s|$)", text) is None:
        raise ValueError(f"{source}, line 1: a WebVTT file begins with WEBVTT")
    (_, header), *cues = _blocks(text)
    for line, content in enumerate(header, start=1):
        if "-->" in content:
            raise ValueError(f"{source}, line {line}: an empty line is missing before the cue")
    kept = [(line, block) for line, block in cues if block[0].split()[0] not in _NO_CUES]
    return [_recording(kept, source, mapping, escapes=True)]


def parse_srt(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    r"""Recording of an SRT file, named after it.

    Raises
    ------
    ValueError
        If a subtitle has no times or shows no emotion.

    Examples
    --------
    >>> [recording] = parse_srt("1\n00:00:00,500 --> 00:00:01,750\nhappy\n", "call.srt")
    >>> recording.uri, recording.annotation.labels()
    ('call', ['happy'])
    """
    return [_recording(list(_blocks(text)), source, mapping, escapes=False)]


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty ones, with the number of the first of them."""
    block: list[str] = []
    lines = text.split("\n")
    for line_number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield line_number - len(block), block
            block = []


def _recording(
    blocks: list[tuple[int, list[str]]],
    source: str,
    mapping: Mapping[str, str] | None,
    *,
    escapes: bool,
) -> AnnotatedRecording:
    """Recording of cues, of which each may have one line before that of its times."""
    uri, channel = named_after(PurePath(PurePath(source).name))
    annotation = Annotation(uri=uri)
    for line, block in blocks:
        index = next((i for i in (0, 1) if i < len(block) and "-->" in block[i]), 0)
        where = f"{source}, line {line + index}"
        times = _TIMES.fullmatch(block[index])
        if times is None:
            raise ValueError(f"{where}: {block[index].strip()[:40]!r} are no times of a subtitle")
        onset, offset = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
        label = _TAG.sub("", " ".join(block[index + 1 :])).strip()
        if escapes:
            label = html.unescape(label).strip()
        if label.lower() in SILENCE:
            continue
        suffixed = _CONFIDENCE.fullmatch(label)
        confidence = round(float(suffixed[2]) / 100, 6) if suffixed else None
        place(
            where,
            annotation,
            checked_segment(where, onset, offset),
            checked_emotion(where, suffixed[1] if suffixed else label, confidence, mapping),
        )
    return AnnotatedRecording(annotation, channel=channel)


def _seconds(parts: tuple[str | None, ...]) -> float:
    """Hours, minutes, seconds and their fraction as seconds."""
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole + int(fraction.ljust(3, "0")) / 1000


def _clock(milliseconds: int, point: str) -> str:
    """Time of a cue.

    Examples
    --------
    >>> _clock(3_723_004, ",")
    '01:02:03,004'
    """
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{fraction:03}"


def _cues(recording: AnnotatedRecording, point: str) -> Iterator[tuple[str, str]]:
    """Times and text of each cue, rounded to milliseconds."""
    for onset, offset, label in on_grid(recording.annotation, 1000):
        confidence = confidence_of(label)
        percent = "" if confidence is None else f" ({round(100 * confidence, 2):g} %)"
        yield f"{_clock(onset, point)} --> {_clock(offset, point)}", one_line(label) + percent


def encode_vtt(recording: AnnotatedRecording) -> str:
    r"""Cues of a recording; one without emotions has none.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> annotation = Annotation(uri="call")
    >>> annotation[Segment(0.5, 1.75)] = "happy"
    >>> encode_vtt(AnnotatedRecording(annotation))
    '\n00:00:00.500 --> 00:00:01.750\nhappy\n'
    """
    cues = _cues(recording, ".")
    return "".join(f"\n{times}\n{html.escape(text, quote=False)}\n" for times, text in cues)


def encode_srt(recording: AnnotatedRecording) -> str:
    r"""Subtitles of a recording, numbered from 1; one without emotions has none.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> annotation = Annotation(uri="call")
    >>> annotation[Segment(0.5, 1.75)] = "happy"
    >>> encode_srt(AnnotatedRecording(annotation))
    '1\n00:00:00,500 --> 00:00:01,750\nhappy\n'
    """
    cues = enumerate(_cues(recording, ","), start=1)
    return "\n".join(f"{index}\n{times}\n{text}\n" for index, (times, text) in cues)


VTT = Format(
    name="vtt",
    suffixes=(".vtt",),
    description="WebVTT, subtitles of the web",
    parse=parse_vtt,
    encode=encode_vtt,
    header="WEBVTT\n",
    single=True,
)

SRT = Format(
    name="srt",
    suffixes=(".srt",),
    description="SRT, subtitles of video players",
    parse=parse_srt,
    encode=encode_srt,
    single=True,
)
