"""A live stream as JSON: one object for everything that has become certain, or has begun.

::

    {"type": "open", "uri": "call", "start": 3.2, "emotion": "happy", "confidence": 0.74}
    {"type": "segment", "uri": "call", "start": 3.2, "end": 7.9, "emotion": "happy", ...}
    {"type": "open", "uri": "call", "start": 7.9, "emotion": null, "confidence": null}
    {"type": "end", "uri": "call", "duration": 61.4}

A segment is final: it is sent once, in the order of time. What is open may still grow or be merged
away by the smoothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sed.labels import confidence_of

if TYPE_CHECKING:
    from pyannote.core import Annotation

    from sed.live import Update

Event = dict[str, Any]
"""A JSON object."""


class Events:
    """Turns what a stream has found into objects, and knows which of it was told.

    Parameters
    ----------
    uri : str
        Name of the stream, the same in all objects.

    Examples
    --------
    >>> Events("call").end(61.4)
    {'type': 'end', 'uri': 'call', 'duration': 61.4}
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._open: tuple[str, float] | None = None

    def __call__(self, update: Update) -> Iterator[Event]:
        """Objects of an update: segments, then what is open if that is another than before."""
        ended = update.settled
        for fields in _segments(update.segments):
            ended = fields["end"]
            yield {"type": "segment", "uri": self._uri, **fields}
        for fields in _segments(update.open):
            begun = (fields["emotion"], fields["start"])
            if begun != self._open:
                del fields["end"]
                yield {"type": "open", "uri": self._uri, **fields}
            self._open = begun
            return
        if self._open is not None:
            self._open = None
            yield {
                "type": "open",
                "uri": self._uri,
                "start": round(ended, 6),
                "emotion": None,
                "confidence": None,
            }

    def settled(self, seconds: float) -> Event:
        """Object that says up to where nothing changes any more."""
        return {"type": "settled", "uri": self._uri, "until": round(seconds, 6)}

    def end(self, duration: float) -> Event:
        """Object that ends a stream of so many seconds."""
        return {"type": "end", "uri": self._uri, "duration": round(duration, 6)}


def _segments(annotation: Annotation) -> Iterator[Event]:
    """What an annotation says of each segment."""
    for segment, _, label in annotation.itertracks(yield_label=True):
        confidence = confidence_of(label)
        yield {
            "start": round(segment.start, 6),
            "end": round(segment.end, 6),
            "emotion": str(label),
            "confidence": None if confidence is None else round(confidence, 4),
        }
