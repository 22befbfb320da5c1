"""What is known of one channel of a recording, as the lanes of a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.labels import NEUTRAL
from sed.report.lanes import (
    draw_emotions,
    draw_errors,
    draw_posteriors,
    draw_speech,
    draw_waveform,
    emotion_name,
)
from sed.scoring import Atoms, Pair, cut
from sed.scoring.regions import regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Lane(NamedTuple):
    """Name of a lane, its height in inches, and ``draw(axes, content, view)``."""

    name: str
    height: float
    draw: Callable[[Axes, Any, Segment], None]
    content: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """What is known of one channel of a recording; every part but the first may be missing.

    Parameters
    ----------
    annotation : Annotation
        Emotions that a system has found, or that a file holds.
    recording : Recording, optional
        Its waveform, read block by block.
    posteriors : (num_frames, num_classes) SlidingWindowFeature, optional
        Its labels name the classes.
    speech : Timeline, optional
    reference : Annotation, optional
        What the annotation is compared with; a strip beneath each hypothesis shows its errors.
    other : Annotation, optional
        Emotions that another system has found.
    names : (str, str)
        What the two systems are called.
    duration : float, optional
        Seconds; that of `recording` by default. Errors are counted up to there, without it over
        the extent of both sides.
    title : str
        Written above the panel.

    Raises
    ------
    ValueError
        If a segment has no place in time, or the classes of the posteriors no names.
    """

    annotation: Annotation
    recording: Recording | None = None
    posteriors: SlidingWindowFeature | None = None
    speech: Timeline | None = None
    reference: Annotation | None = None
    other: Annotation | None = None
    names: tuple[str, str] = ("emotions", "other")
    duration: float | None = None
    title: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for annotation in self._annotations():
            for start, end in annotation.itersegments():
                if not (math.isfinite(start) and math.isfinite(end)):
                    raise ValueError(f"a segment from {start} to {end} s cannot be drawn")
        if self.posteriors is not None and not self.posteriors.labels:
            raise ValueError("posteriors without labels cannot be drawn; name their classes")

    @property
    def end(self) -> float:
        """Second after which nothing is known."""
        timelines = [annotation.get_timeline(copy=False) for annotation in self._annotations()]
        ends = [timeline.extent().end for timeline in (*timelines, self.speech) if timeline]
        if self.posteriors is not None and self._duration is None:
            ends.append(self.posteriors.extent.end)
        return max(self._duration or 0.0, *ends, 0.0)

    def emotions(self) -> set[str]:
        """Names of all emotions that it shows."""
        found = {emotion_name(label) for side in self._annotations() for label in side.labels()}
        if self.posteriors is not None:
            found |= set(map(emotion_name, self.posteriors.labels)) - {NEUTRAL}
        return found

    def lanes(self, *, with_rates: bool) -> Iterator[Lane]:
        """From top to bottom.

        Parameters
        ----------
        with_rates : bool
            Whether a strip of errors is named with the error rate of the recording.

        Raises
        ------
        ValueError
            If the errors cannot be counted.
        """
        if self.recording is not None:
            yield Lane("waveform", 0.85, draw_waveform, self.recording)
        if self.posteriors is not None:
            yield Lane("posteriors", 0.75, draw_posteriors, self.posteriors)
        if self.speech is not None:
            yield Lane("speech", 0.13, draw_speech, self.speech)
        for name, annotation in zip(self.names, (self.annotation, self.other), strict=True):
            if annotation is None:
                continue
            yield Lane(name, 0.34, draw_emotions, annotation)
            if self.reference is not None:
                atoms = self.atoms(annotation)
                [errors] = atoms.errors()
                title = f"EDER {100 * errors.eder:.1f} %" if with_rates else "errors"
                yield Lane(title, 0.16, draw_errors, regions(atoms))
        if self.reference is not None:
            yield Lane("reference", 0.34, draw_emotions, self.reference)

    def atoms(self, hypothesis: Annotation) -> Atoms:
        """Scored time of a hypothesis; emotions of one's own are taken as they are.

        Raises
        ------
        ValueError
            If there is no reference, or the errors cannot be counted.
        """
        if self.reference is None:
            raise ValueError("errors are counted against a reference; give one")
        own = {name: name for name in self.emotions()}
        return cut([Pair(self.reference, hypothesis, duration=self._duration)], labels=own)

    @property
    def _duration(self) -> float | None:
        """Seconds of the recording, where anything tells."""
        if self.duration is None and self.recording is not None:
            return self.recording.duration
        return self.duration

    def _annotations(self) -> list[Annotation]:
        given = (self.annotation, self.other, self.reference)
        return [annotation for annotation in given if annotation is not None]
