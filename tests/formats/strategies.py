"""Random annotations as any system might give them: overlaps, any script, some confidences."""

from __future__ import annotations

from hypothesis import strategies as st
from pyannote.core import Annotation, Segment

from sed.formats import AnnotatedRecording
from sed.frames import to_seconds, to_ticks
from sed.labels import EMOTIONS, Emotion, confidence_of

URIS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
Rows = list[tuple[int, int, str, float | None]]


@st.composite
def annotations(draw: st.DrawFn, ticks: int = 1) -> Annotation:
    """Annotation whose boundaries are multiples of `ticks`; equal segments differ in emotion."""
    annotation = Annotation(uri=draw(URIS))
    spans = st.tuples(st.integers(0, 40), st.integers(2, 10), st.sampled_from(sorted(EMOTIONS)))
    # from a few places only, so that segments often touch, overlap or are equal
    for track, (start, length, name) in enumerate(draw(st.lists(spans, max_size=6, unique=True))):
        offset = draw(st.sampled_from([0, 123_457]))
        confidence = draw(st.none() | st.integers(0, 1000).map(lambda n: n / 1000))
        segment = Segment(
            to_seconds(ticks * (offset + start)), to_seconds(ticks * (offset + start + length))
        )
        if name not in annotation.get_labels(segment):
            annotation[segment, track] = Emotion(name, confidence=confidence)
    return annotation


def rows(recording: AnnotatedRecording | Annotation) -> Rows:
    """Segments in ticks with emotion and confidence, in a fixed order."""
    annotation = recording if isinstance(recording, Annotation) else recording.annotation
    found = [
        (to_ticks(segment.start), to_ticks(segment.end), str(label), confidence_of(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    return sorted(found, key=lambda row: row[:3])
