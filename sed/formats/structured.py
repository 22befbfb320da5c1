"""The package's own JSON: everything a diarization knows, in full words.

::

    {"recordings": [{"uri": "call", "channel": 1, "duration": 12.4, "segments": [
        {"onset": 0.5, "offset": 1.75, "emotion": "happy", "confidence": 0.81}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from sed.labels import confidence_of


def load_object(text: str, source: str) -> dict[str, Any]:
    """JSON object of a text.

    Raises
    ------
    ValueError
        If the text is no JSON, holds NaN, repeats a key, or is no object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"{source}: the key {twice!r} stands twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{source}: {constant} is not a number that JSON allows")

    try:
        # no number here has more digits, and Python refuses to read some thousands of them
        content = json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=refuse,
            parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits),
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{source}, line {error.lineno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError(f"{source}: nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"{source}: a JSON object is expected, not a {type(content).__name__}")
    return content


def entries(where: str, container: object, key: str) -> list[dict[str, Any]]:
    """List of objects under a key.

    Raises
    ------
    ValueError
        If there is none.
    """
    items = container.get(key) if isinstance(container, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"{where}: {key!r} must be a list of objects")
    return items


def optional_duration(where: str, value: object) -> float | None:
    """Duration in seconds, None where the file has none.

    Raises
    ------
    ValueError
        If it is negative or no number.
    """
    if value is None:
        return None
    duration = number(where, "duration", value)
    if not 0 <= duration < 1e9:
        raise ValueError(f"{where}: duration {duration} s is not possible")
    return duration


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recordings of the package's own JSON.

    Examples
    --------
    >>> text = '{"recordings": [{"uri": "call", "duration": 2.0, "segments": []}]}'
    >>> [recording] = parse(text, "call.json")
    >>> recording.uri, recording.duration, recording.channel
    ('call', 2.0, 1)
    """
    recordings = []
    for item in entries(source, load_object(text, source), "recordings"):
        uri = item.get("uri")
        if not isinstance(uri, str) or not uri:
            raise ValueError(f"{source}: a recording has no 'uri'")
        where = f"{source}, recording {uri!r}"
        annotation = Annotation(uri=uri)
        for segment in entries(where, item, "segments"):
            confidence = segment.get("confidence")
            place(
                where,
                annotation,
                checked_segment(
                    where,
                    number(where, "onset", segment.get("onset")),
                    number(where, "offset", segment.get("offset")),
                ),
                checked_emotion(
                    where,
                    segment.get("emotion"),
                    None if confidence is None else number(where, "confidence", confidence),
                    mapping,
                ),
            )
        path = item.get("path")
        recordings.append(
            AnnotatedRecording(
                annotation,
                duration=optional_duration(where, item.get("duration")),
                channel=channel_number(where, item.get("channel", 1)),
                path=Path(path) if isinstance(path, str) else None,
            )
        )
    return recordings


def encode(recording: AnnotatedRecording) -> str:
    """One recording as a JSON object.

    Examples
    --------
    >>> encode(AnnotatedRecording(Annotation(uri="call"), duration=2.0))
    '{"uri": "call", "channel": 1, "duration": 2.0, "segments": []}'
    """
    segments = []
    for segment, _, label in recording.annotation.itertracks(yield_label=True):
        entry = {
            "onset": round(segment.start, 6),
            "offset": round(segment.end, 6),
            "emotion": str(label),
        }
        confidence = confidence_of(label)
        if confidence is not None:
            entry["confidence"] = round(confidence, 4)
        segments.append(entry)
    item: dict[str, Any] = {"uri": recording.uri, "channel": recording.channel}
    if recording.path is not None:
        item["path"] = str(recording.path)
    if recording.duration is not None:
        item["duration"] = round(recording.duration, 6)
    return json.dumps({**item, "segments": segments}, ensure_ascii=False)


JSON = Format(
    name="json",
    suffixes=(".json",),
    description="JSON in full words, with durations and confidences",
    parse=parse,
    encode=encode,
    recognises=lambda text: '"recordings"' in text[:200],
    header='{"recordings": [\n',
    separator=",\n",
    footer="\n]}\n",
)
