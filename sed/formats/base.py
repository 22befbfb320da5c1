"""What every annotation format shares: the thing it stores, and how formats describe themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyannote.core import Annotation, Segment

from sed.frames import to_seconds, to_ticks
from sed.labels import Emotion, canonical


@dataclass(frozen=True)
class AnnotatedRecording:
    """Emotions of one channel of one recording, as a file holds them.

    Parameters
    ----------
    annotation : Annotation
        Its `uri` names the recording, its labels are full emotion names.
    duration : float, optional
        Seconds; None where the format does not say.
    channel : int
        Counted from 1, as in RTTM.
    path : Path, optional
        The audio, where the format says.
    """

    annotation: Annotation
    duration: float | None = None
    channel: int = 1
    path: Path | None = field(default=None, compare=False)

    @property
    def uri(self) -> str:
        """Name of the recording."""
        return str(self.annotation.uri)


Parser = Callable[[str, str, Mapping[str, str] | None], list[AnnotatedRecording]]
"""``(text, source, label_mapping)`` to recordings; `source` is what errors name."""


@dataclass(frozen=True)
class Format:
    """One annotation format: how to recognise, read and write it.

    A file is ``header + separator.join(encode(recording) …) + footer``, so an archive of any
    length is written as a stream. A `single` format holds one recording, which is named by its
    file. A format whose first line depends on all recordings has a `document`, which makes a file
    of all at once.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    parse: Parser
    encode: Callable[[AnnotatedRecording], str]
    recognises: Callable[[str], bool] = lambda text: True
    header: str = ""
    separator: str = ""
    footer: str = ""
    single: bool = False
    document: Callable[[Sequence[AnnotatedRecording]], str] | None = None
    holds_confidence: bool = True

    def is_ending_of(self, path: str | Path) -> bool:
        """Whether a file is named like one of this format, in any case."""
        return Path(path).suffix.lower() in {suffix.lower() for suffix in self.suffixes}


def place(where: str, annotation: Annotation, segment: Segment, emotion: Emotion) -> None:
    """Add a segment, beside equal segments of other emotions, never in their place.

    Raises
    ------
    ValueError
        If the same emotion already holds the same segment.
    """
    tracks = annotation.get_tracks(segment)
    if any(annotation[segment, track] == emotion for track in tracks):
        raise ValueError(f"{where}: the {emotion} segment at {segment.start:.3f} s stands twice")
    annotation[segment, str(len(tracks))] = emotion


def checked_emotion(
    where: str, label: object, confidence: float | None, mapping: Mapping[str, str] | None
) -> Emotion:
    """Label of a file as an emotion.

    Raises
    ------
    ValueError
        If the label is unknown or the confidence no number between 0 and 1.
    """
    if not isinstance(label, str):
        raise ValueError(f"{where}: the emotion is {label!r}, not a name")
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        raise ValueError(f"{where}: confidence {confidence} is not between 0 and 1")
    try:
        return Emotion(canonical(label, mapping), confidence=confidence)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def checked_segment(where: str, onset: float, offset: float) -> Segment:
    """Times of a file, on whole ticks, as a segment.

    Raises
    ------
    ValueError
        If the segment starts before zero, is empty, or a time is not a finite number.
    """
    for name, seconds in (("onset", onset), ("offset", offset)):
        if not abs(seconds) < 1e9:  # also false for NaN; 1e9 s are thirty years
            raise ValueError(f"{where}: {name} {seconds} is not a time in seconds")
    start, end = to_ticks(onset), to_ticks(offset)
    if start < 0:
        raise ValueError(f"{where}: onset {onset} s is negative")
    if end <= start:
        raise ValueError(f"{where}: duration {offset - onset:.6g} s is not above zero")
    return Segment(to_seconds(start), to_seconds(end))


def number(where: str, name: str, value: object) -> float:
    """Value of a file as a float.

    Raises
    ------
    ValueError
        If it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{where}: {name} is {value!r}, not a number")
    try:
        return float(value)
    except (OverflowError, ValueError):
        raise ValueError(f"{where}: {name} is {str(value)[:40]!r}, not a number") from None


def channel_number(where: str, value: object) -> int:
    """Channel of a file.

    Raises
    ------
    ValueError
        If it is no whole number.
    """
    digits = str(value)
    if isinstance(value, bool) or not (digits.isdecimal() and len(digits) < 10):
        raise ValueError(f"{where}: channel {digits[:40]!r} is not a whole number")
    return int(digits)


def on_grid(annotation: Annotation, per_second: int) -> Iterator[tuple[int, int, str]]:
    """Onset, offset and label of each segment, in whole parts of a second.

    Segments that touch still touch. What is shorter than one part is left out, and so is what
    becomes equal to a segment of the same emotion.

    Examples
    --------
    >>> annotation = Annotation()
    >>> annotation[Segment(0.5, 1.2504)] = "happy"
    >>> list(on_grid(annotation, 1000))
    [(500, 1250, 'happy')]
    """
    written = set()
    for segment, _, label in annotation.itertracks(yield_label=True):
        onset, offset = round(segment.start * per_second), round(segment.end * per_second)
        if onset < offset and (onset, offset, label) not in written:
            written.add((onset, offset, label))
            yield onset, offset, label


def one_line(label: str) -> str:
    """Label without the white space that a text format gives a meaning."""
    return " ".join(label.split())


def spelled(confidence: float) -> str:
    """Confidence in four digits at most.

    Examples
    --------
    >>> spelled(0.81), spelled(1.0), spelled(0.12345)
    ('0.81', '1', '0.1235')
    """
    return f"{round(confidence, 4):g}"
