"""What a live stream says, object by object."""

from __future__ import annotations

import numpy as np
from pyannote.core import Annotation, Segment, SlidingWindow, SlidingWindowFeature

from sed.events import Event, Events
from sed.labels import Emotion
from sed.live import Update


def annotation(*segments: tuple[float, float, str]) -> Annotation:
    found = Annotation(uri="call")
    for start, end, emotion in segments:
        found[Segment(start, end), start] = Emotion(emotion, confidence=0.51239)
    return found


def told(events: Events, settled: float, *segments, on=()) -> list[Event]:
    nothing = SlidingWindowFeature(np.empty((0, 2)), SlidingWindow(duration=0.02, step=0.02))
    update = Update(
        settled + 1, settled, annotation(*segments), annotation(*on), nothing, np.empty(0, bool)
    )
    return list(events(update))


def test_what_begins_changes_and_ends_is_told_once() -> None:
    events = Events("call")
    opened = {"type": "open", "uri": "call", "confidence": 0.5124}
    closed = {"type": "open", "uri": "call", "emotion": None, "confidence": None}
    assert told(events, 1.0) == []
    begun = [{**opened, "start": 1.5, "emotion": "happy"}]
    assert told(events, 2.0, on=[(1.5, 2.0, "happy")]) == begun
    assert told(events, 3.0, on=[(1.5, 3.0, "happy")]) == []
    assert told(events, 4.0, (1.5, 3.2, "happy"), on=[(3.2, 4.0, "sad")]) == [
        {"type": "segment", "uri": "call", "start": 1.5, "end": 3.2, "emotion": "happy",
         "confidence": 0.5124},
        {**opened, "start": 3.2, "emotion": "sad"},
    ]  # fmt: skip
    # the one that was on turned out too short to be a segment
    assert told(events, 5.0) == [{**closed, "start": 5.0}]
    assert told(events, 6.0) == []
    told(events, 7.0, on=[(6.0, 7.0, "sad")])
    assert told(events, 8.0, (6.0, 7.5, "sad"))[1:] == [{**closed, "start": 7.5}]
    assert events.settled(8.0) == {"type": "settled", "uri": "call", "until": 8.0}


def test_a_second_segment_of_the_same_emotion_begins_anew() -> None:
    events = Events("call")
    told(events, 2.0, on=[(1.0, 2.0, "sad")])
    [segment, begun] = told(events, 4.0, (1.0, 2.0, "sad"), on=[(3.0, 4.0, "sad")])
    assert (segment["type"], begun["type"], begun["start"]) == ("segment", "open", 3.0)


def test_emotions_without_a_confidence_say_so() -> None:
    found = Annotation(uri="call")
    found[Segment(0, 1)] = "happy"
    events = Events("call")
    nothing = SlidingWindowFeature(np.empty((0, 2)), SlidingWindow(duration=0.02, step=0.02))
    [event] = events(Update(2.0, 1.0, found, Annotation(), nothing, np.empty(0, bool)))
    assert event["confidence"] is None
