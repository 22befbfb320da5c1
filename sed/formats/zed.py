"""ZED.json, the annotation of the Zaion Emotion Dataset, and SpeechBrain's manifests of its shape.

::

    {"id": {"wav": "datafolder/…", "duration": 4.2,
            "emotion": [{"emo": "happy", "start": 0.5, "end": 1.75}]}}

The literal word ``datafolder`` stands for the folder that holds the corpus; a word in braces, such
as ``{data_root}``, for one that only the reader of the manifest knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pyannote.core import Annotation

from sed.formats.base import (
    AnnotatedRecording,
    Format,
    checked_emotion,
    checked_segment,
    number,
    place,
)
from sed.formats.structured import entries, load_object, optional_duration

DATA_FOLDER = "datafolder"
"""What stands for the corpus folder in a ``wav`` path."""


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recordings of a ZED.json or a SpeechBrain manifest.

    Labels may be whole words or the letters n, h, s, a. The audio's path is resolved against the
    folder of the file.

    Examples
    --------
    >>> text = '''{"a": {"wav": "datafolder/a.wav", "duration": 4.2,
    ...     "emotion": [{"emo": "h", "start": 0.5, "end": 1.75}]}}'''
    >>> [recording] = parse(text, "corpus/ZED.json")
    >>> recording.path.as_posix(), recording.annotation.labels()
    ('corpus/a.wav', ['happy'])
    """
    folder = Path(source).parent
    recordings = []
    for uri, item in load_object(text, source).items():
        where = f"{source}, recording {uri!r}"
        annotation = Annotation(uri=uri)
        for event in entries(where, item, "emotion"):
            place(
                where,
                annotation,
                checked_segment(
                    where,
                    number(where, "start", event.get("start")),
                    number(where, "end", event.get("end")),
                ),
                checked_emotion(where, event.get("emo"), None, mapping),
            )
        wav = item.get("wav")
        recordings.append(
            AnnotatedRecording(
                annotation,
                duration=optional_duration(where, item.get("duration")),
                path=_resolve(wav, folder) if isinstance(wav, str) else None,
            )
        )
    return recordings


def _resolve(wav: str, folder: Path) -> Path | None:
    """Path of the audio, with the word for the corpus folder replaced; None where none tells."""
    parts = Path(wav).parts
    if parts and parts[0].startswith("{") and parts[0].endswith("}"):
        return None
    return folder.joinpath(*parts[1:]) if parts and parts[0] == DATA_FOLDER else folder / wav


def encode(recording: AnnotatedRecording) -> str:
    """One recording as a member of a ZED.json object.

    Raises
    ------
    ValueError
        If the recording's duration is unknown, which the format demands, or it is one of several
        channels, which the format cannot tell apart.
    """
    if recording.duration is None:
        raise ValueError(f"ZED.json needs the duration of {recording.uri!r}, which is unknown")
    if recording.channel != 1:
        raise ValueError(
            f"ZED.json knows no channels, and {recording.uri!r} has a channel {recording.channel}; "
            "write rttm or json"
        )
    emotion = [
        {"emo": str(label), "start": round(segment.start, 6), "end": round(segment.end, 6)}
        for segment, _, label in recording.annotation.itertracks(yield_label=True)
    ]
    wav = recording.path or Path(DATA_FOLDER, f"{recording.uri}.wav")
    item = {"wav": str(wav), "duration": round(recording.duration, 6), "emotion": emotion}
    return (
        f"{json.dumps(recording.uri, ensure_ascii=False)}: {json.dumps(item, ensure_ascii=False)}"
    )


ZED = Format(
    name="zed",
    suffixes=(".json",),
    description="ZED.json, as in the Zaion Emotion Dataset and SpeechBrain's manifests",
    parse=parse,
    encode=encode,
    recognises=lambda text: '"emotion"' in text,
    header="{\n",
    separator=",\n",
    footer="\n}\n",
    holds_confidence=False,
)
