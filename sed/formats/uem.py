"""UEM, the regions of each recording that are to be scored or diarized.

::

    <uri> <channel> <onset> <offset>
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyannote.core import Timeline

from sed.files import whole_file
from sed.formats.base import checked_segment, number
from sed.formats.text import read_text
from sed.labels import spelling_in_rttm

_COMMENT = ";;"


def read_uem(path: str | Path) -> list[Timeline]:
    """Scored regions of each recording in a UEM file.

    Returns
    -------
    list of Timeline
        One for each recording, named by its `uri`.

    Raises
    ------
    ValueError
        If a line is no UEM line; the message names file and line.
    """
    timelines: dict[str, Timeline] = {}
    for line_number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(_COMMENT):
            continue
        where = f"{path}, line {line_number}"
        if len(fields) != 4:
            raise ValueError(f"{where}: {len(fields)} fields; a UEM line has 4")
        uri, _, onset, offset = fields
        segment = checked_segment(
            where, number(where, "onset", onset), number(where, "offset", offset)
        )
        timelines.setdefault(uri, Timeline(uri=uri)).add(segment)
    return list(timelines.values())


def write_uem(path: str | Path, timelines: Iterable[Timeline]) -> None:
    """Write scored regions, each timeline under its `uri`.

    Raises
    ------
    ValueError
        If a name would be read as a comment.
    """
    with whole_file(path) as stream:
        for timeline in timelines:
            if str(timeline.uri).startswith(_COMMENT):
                raise ValueError(f"{path}: {timeline.uri!r} would be read as a comment; rename it")
            for segment in timeline:
                stream.write(
                    f"{spelling_in_rttm(timeline.uri)} 1 {segment.start:.3f} {segment.end:.3f}\n"
                )
