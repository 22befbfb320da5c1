"""TextGrid, the tiers of Praat: written in its long text form, read in that and the short one.

::

    File type = "ooTextFile"
    Object class = "TextGrid"

    xmin = 0
    xmax = 2
    tiers? <exists>
    size = 1
    item []:
        item [1]:
            class = "IntervalTier"
            name = "emotion"
            xmin = 0
            xmax = 2
            intervals: size = 3
            intervals [1]:
                xmin = 0
                xmax = 0.5
                text = ""

Praat reads numbers, quoted texts and flags that stand free, and takes the rest for comments; so
does this reader, to which both forms are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sed.formats.base import AnnotatedRecording, Format, number
from sed.formats.structured import optional_duration
from sed.formats.tiers import Interval, Tier, recording_of, tiers_of
from sed.frames import TICKS_PER_SECOND

_TOKEN = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"'
    r"|(?P<open>\")"
    r"|(?P<comment>![^\n]*)"
    r"|<(?P<flag>\w+)>"
    r"|(?P<word>[^\s\"]+)"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)


@dataclass(frozen=True)
class _Token:
    """A number, text or flag, and the line it stands in."""

    kind: str
    value: str
    line: int


class _Tokens:
    """What stands free in a TextGrid, one after the other."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._tokens = self._read(text)
        self.where = f"{source}, line 1"

    def _read(self, text: str) -> Iterator[_Token]:
        line, counted = 1, 0
        for match in _TOKEN.finditer(text):
            line, counted = line + text.count("\n", counted, match.start()), match.start()
            kind, value = str(match.lastgroup), match[match.lastgroup or 0]
            if kind == "open":
                raise ValueError(f"{self._source}, line {line}: the quote is never closed")
            if kind == "text":
                yield _Token(kind, value.replace('""', '"'), line)
            elif kind == "flag":
                yield _Token(kind, value, line)
            elif kind == "word" and _NUMBER.fullmatch(value):
                yield _Token("number", value, line)

    def next(self, kind: str, meaning: str) -> str:
        """Value of the next token, which must be of a kind."""
        token = next(self._tokens, None)
        if token is None:
            raise ValueError(f"{self._source}: the file ends where {meaning} should stand")
        self.where = f"{self._source}, line {token.line}"
        if token.kind != kind:
            raise ValueError(f"{self.where}: {token.value[:40]!r} stands in place of {meaning}")
        return token.value

    def seconds(self, meaning: str) -> float:
        """Time in seconds."""
        return number(self.where, meaning, self.next("number", meaning))

    def count(self, meaning: str) -> int:
        """Whole number."""
        digits = self.next("number", meaning)
        if not digits.isdecimal() or len(digits) > 9:
            raise ValueError(f"{self.where}: {meaning} is {digits[:40]!r}, not a whole number")
        return int(digits)


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recording of a TextGrid, named after its file; see `sed.formats.tiers.recording_of`.

    Points are ignored.

    Examples
    --------
    >>> from pyannote.core import Annotation
    >>> text = encode(AnnotatedRecording(Annotation(), duration=2.0))
    >>> [recording] = parse(text, "folder/call.TextGrid")
    >>> recording.uri, recording.duration
    ('call', 2.0)
    """
    tokens = _Tokens(text, source)
    try:
        kinds = tokens.next("text", "ooTextFile"), tokens.next("text", "TextGrid")
    except ValueError:
        kinds = ("", "")
    if not kinds[0].startswith("ooTextFile") or kinds[1] != "TextGrid":
        raise ValueError(f"{source}, line 1: is no TextGrid in Praat's long or short text form")
    tokens.seconds("the onset")
    duration = optional_duration(tokens.where, tokens.seconds("the offset"))
    tiers = []
    if tokens.next("flag", "<exists>") == "exists":
        for _ in range(tokens.count("the number of tiers")):
            tier = _tier(tokens)
            if tier is not None:
                tiers.append(tier)
    return [recording_of(tiers, source, mapping, duration=duration)]


def _tier(tokens: _Tokens) -> Tier | None:
    """Next tier; None where it is one of points."""
    kind, name = tokens.next("text", "the class of a tier"), tokens.next("text", "its name")
    if kind not in ("IntervalTier", "TextTier"):
        raise ValueError(f"{tokens.where}: {kind[:40]!r} is no class of tiers")
    tokens.seconds("the onset of a tier")
    tokens.seconds("its offset")
    intervals = []
    for _ in range(tokens.count("the size of a tier")):
        onset = tokens.seconds("an onset")
        offset = tokens.seconds("an offset") if kind == "IntervalTier" else onset
        text = tokens.next("text", "a text")
        intervals.append(Interval(tokens.where, onset, offset, text))
    return Tier(name, intervals) if kind == "IntervalTier" else None


def encode(recording: AnnotatedRecording) -> str:
    """A recording as a TextGrid, without a hole from its beginning to its end.

    Where the duration is unknown, that is the end of the last segment.

    Raises
    ------
    ValueError
        If there is neither a duration nor a segment: Praat opens no TextGrid without extent.
    """
    tiers = tiers_of(recording.annotation, TICKS_PER_SECOND)
    ends = [cell[1] for tier in tiers for cell in tier.cells]
    end = max([round((recording.duration or 0.0) * TICKS_PER_SECOND), *ends])
    if end <= 0:
        raise ValueError(
            f"a TextGrid needs the duration of {recording.uri!r}, which has no segment either"
        )
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_seconds(end)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for index, tier in enumerate(tiers, start=1):
        cells = list(_without_holes(tier.cells, end))
        lines += [
            f"    item [{index}]:",
            '        class = "IntervalTier"',
            f'        name = "{tier.name}"',
            "        xmin = 0",
            f"        xmax = {_seconds(end)}",
            f"        intervals: size = {len(cells)}",
        ]
        for position, (onset, offset, text) in enumerate(cells, start=1):
            doubled = text.replace('"', '""')
            lines += [
                f"        intervals [{position}]:",
                f"            xmin = {_seconds(onset)}",
                f"            xmax = {_seconds(offset)}",
                f'            text = "{doubled}"',
            ]
    return "\n".join(lines) + "\n"


def _without_holes(cells: list[tuple[int, int, str]], end: int) -> Iterator[tuple[int, int, str]]:
    """Cells with empty ones between them.

    ::

        cells            |--happy--|     |-sad-|
        without holes  |-|--happy--|-----|-sad-|---|
                       0                           end
    """
    done = 0
    for onset, offset, text in cells:
        if done < onset:
            yield done, onset, ""
        yield onset, offset, text
        done = offset
    if done < end:
        yield done, end, ""


def _seconds(ticks: int) -> str:
    """Time as people write it: no digits that say nothing."""
    return f"{ticks / TICKS_PER_SECOND:.6f}".rstrip("0").rstrip(".")


TEXTGRID = Format(
    name="textgrid",
    suffixes=(".TextGrid",),
    description="TextGrid, the tiers of Praat",
    parse=parse,
    encode=encode,
    single=True,
)
