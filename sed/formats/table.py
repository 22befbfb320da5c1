"""CSV, a row for each segment, in the convention of audformat's segmented tables.

::

    file,start,end,emotion,confidence
    deep/call.wav,0 days 00:00:00.500000,0 days 00:00:01.750000,happy,0.81
    deep/other.wav,0 days 00:00:00.000000,,,

A file is its recording's uri and ending. A row without end and emotion stands for a recording in
which there is no emotion. The column `channel` is there if any channel is not the first.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    Format,
    channel_number,
    checked_emotion,
    checked_segment,
    number,
    on_grid,
    place,
    spelled,
)
from sed.frames import TICKS_PER_SECOND
from sed.labels import confidence_of

COLUMNS = ("file", "start", "end", "emotion")
"""Columns that must be there; confidence and channel may, and others are ignored."""

_DURATION = re.compile(r"(?:(-?\d+) days?)?,? ?\+?(?:(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?))?")


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    r"""Recordings of a table, in order of appearance.

    A recording's uri is its file without the ending; where two files would share it, the later
    one keeps its ending. Files are taken to lie below the folder of the table.

    Examples
    --------
    >>> [recording] = parse("file,start,end,emotion\ncall.wav,0.5,1.75,happy\n", "db/emotion.csv")
    >>> recording.uri, recording.path.as_posix(), recording.annotation.labels()
    ('call', 'db/call.wav', ['happy'])
    """
    names: dict[str, str] = {}  # uri of each file
    annotations: dict[tuple[str, int], Annotation] = {}
    for where, row in _rows(text, source):
        file = row["file"]
        if file not in names:
            uri = _without_ending(file)
            names[file] = file if uri in names.values() else uri
        channel = channel_number(where, row.get("channel") or 1)
        annotation = annotations.setdefault((file, channel), Annotation(uri=names[file]))
        label, score = row["emotion"].strip(), (row.get("confidence") or "").strip()
        if not label:
            continue
        if row["end"].strip() in ("", "NaT"):
            raise ValueError(f"{where}: an emotion without an end; write one")
        confidence = number(where, "confidence", score) if score else None
        place(
            where,
            annotation,
            checked_segment(
                where, _seconds(where, "start", row["start"]), _seconds(where, "end", row["end"])
            ),
            checked_emotion(where, label, confidence, mapping),
        )
    return [
        AnnotatedRecording(annotation, channel=channel, path=Path(source).parent / file)
        for (file, channel), annotation in annotations.items()
    ]


def _rows(text: str, source: str) -> list[tuple[str, dict[str, str]]]:
    """Rows by column, each with the place that errors name."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, dict[str, str]]] = []
    header: list[str] = []
    try:
        for fields in reader:
            where = f"{source}, line {reader.line_num}"
            if not header:
                header = [name.strip() for name in fields]
                missing = [name for name in COLUMNS if name not in header]
                if missing:
                    raise ValueError(
                        f"{where}: no column {', '.join(missing)}; a table has {', '.join(COLUMNS)}"
                    )
                if len(set(header)) < len(header):
                    raise ValueError(f"{where}: two columns have one name")
            elif fields:
                if len(fields) != len(header):
                    raise ValueError(f"{where}: {len(fields)} fields; the table has {len(header)}")
                row = dict(zip(header, fields, strict=True))
                if not row["file"]:
                    raise ValueError(f"{where}: a row without a file")
                rows.append((where, row))
    except csv.Error as error:
        raise ValueError(f"{source}, line {reader.line_num}: not CSV ({error})") from None
    if not header:
        raise ValueError(f"{source}: is empty; a table has the columns {', '.join(COLUMNS)}")
    return rows


def _seconds(where: str, name: str, value: str) -> float:
    """Time as pandas writes durations, or in seconds.

    Examples
    --------
    >>> _seconds("", "start", "0 days 00:00:00.500000"), _seconds("", "start", "1.25")
    (0.5, 1.25)
    """
    match = _DURATION.fullmatch(value.strip())
    if match is None or not any(match.groups()):
        return number(where, name, value)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _without_ending(file: str) -> str:
    """File without what follows the last dot of its name."""
    name, dot, ending = file.rpartition(".")
    return name if dot and name and "/" not in ending else file


def document(recordings: Sequence[AnnotatedRecording]) -> str:
    r"""Table of recordings.

    Examples
    --------
    >>> document([AnnotatedRecording(Annotation(uri="call"))])
    'file,start,end,emotion,confidence\ncall.wav,0 days 00:00:00.000000,,,\n'
    """
    channels = any(recording.channel != 1 for recording in recordings)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, "confidence", *(["channel"] if channels else [])])
    for recording in recordings:
        ending = (recording.path.suffix if recording.path else "") or ".wav"  # as in ZED.json
        rows = [
            [
                _timedelta(onset),
                _timedelta(offset),
                str(label),
                "" if (confidence := confidence_of(label)) is None else spelled(confidence),
            ]
            for onset, offset, label in on_grid(recording.annotation, TICKS_PER_SECOND)
        ]
        for row in rows or [[_timedelta(0), "", "", ""]]:
            last = [str(recording.channel)] if channels else []
            writer.writerow([recording.uri + ending, *row, *last])
    return stream.getvalue()


def _timedelta(ticks: int) -> str:
    """Time as pandas writes durations.

    Examples
    --------
    >>> _timedelta(500_000)
    '0 days 00:00:00.500000'
    """
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} days {hours:02}:{minutes:02}:{seconds:02}.{fraction:06}"


CSV = Format(
    name="csv",
    suffixes=(".csv",),
    description="CSV, in the convention of audformat's segmented tables",
    parse=parse,
    encode=lambda recording: document([recording]),
    recognises=lambda text: set(COLUMNS) <= set(text.partition("\n")[0].strip().split(",")),
    document=document,
)
