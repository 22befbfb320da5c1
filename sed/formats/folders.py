"""Folders of annotation files: how recordings and files are named after each other.

::

    deep/call.TextGrid             <->  recording deep/call
    deep/call.channel2.TextGrid    <->  recording deep/call, channel 2

Formats that hold one recording have no place for its name, so their files carry it, as
`sed diarize` names the recordings of a folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath

from sed.formats.base import AnnotatedRecording, Format

_CHANNEL = re.compile(r"(.+)\.channel([1-9]\d{0,8})", re.DOTALL)


def named_after(path: PurePath) -> tuple[str, int]:
    """Uri and channel of the recording in a file that holds one.

    Examples
    --------
    >>> named_after(PurePath("deep/call.vtt")), named_after(PurePath("call.channel2.vtt"))
    (('deep/call', 1), ('call', 2))
    """
    name = path.with_suffix("").as_posix() if path.name else str(path)
    match = _CHANNEL.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 1)


def one_file_each(
    recordings: Iterable[AnnotatedRecording], format: Format
) -> Iterator[tuple[Path, list[AnnotatedRecording]]]:
    """Files that recordings are written to, below a folder: one for each uri, or each channel.

    A channel stands in a file's name where its format holds one recording, and it is one of
    several or not the first.

    Raises
    ------
    ValueError
        If a uri leads out of the folder.

    Examples
    --------
    >>> from pyannote.core import Annotation
    >>> from sed.formats import FORMATS
    >>> sides = [AnnotatedRecording(Annotation(uri="call"), channel=n) for n in (1, 2)]
    >>> [path.as_posix() for path, _ in one_file_each(sides, FORMATS["rttm"])]
    ['call.rttm']
    >>> [path.as_posix() for path, _ in one_file_each(sides, FORMATS["srt"])]
    ['call.channel1.srt', 'call.channel2.srt']
    """
    recordings = list(recordings)
    num_channels = Counter(recording.uri for recording in recordings)
    files: dict[str, list[AnnotatedRecording]] = {}
    for recording in recordings:
        name = recording.uri
        if format.single and (num_channels[name] > 1 or recording.channel != 1):
            name = f"{name}.channel{recording.channel}"
        files.setdefault(name, []).append(recording)
    for name, held in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise ValueError(f"the recording {name!r} cannot name a file of the folder; rename it")
        yield Path(name + format.suffixes[0]), held
