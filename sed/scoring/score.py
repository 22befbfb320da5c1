"""Everything there is to say about the hypotheses of a system, counted from one cut of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pyannote.core import Timeline

from sed.scoring.atoms import Atoms, cut
from sed.scoring.baselines import baselines
from sed.scoring.bootstrap import (
    NUM_RESAMPLES,
    Difference,
    Interval,
    bootstrap,
    paired_bootstrap,
)
from sed.scoring.boundaries import TOLERANCE, BoundaryAgreement, boundaries
from sed.scoring.collection import Annotations, Matched, Side, match, read_side
from sed.scoring.confusion import ConfusionMatrix, confusion
from sed.scoring.crosscheck import speechbrain_eder
from sed.scoring.detection import Detection, detections
from sed.scoring.errors import EmotionErrors
from sed.scoring.headline import HEADLINE, Headline
from sed.scoring.tracks import EmotionCodes, Pair
from sed.scoring.transitions import Transition, transitions


@dataclass(frozen=True, eq=False)
class Score:
    """Scores of one system, and the rules they were counted by.

    Parameters
    ----------
    atoms : Atoms
        The scored time.
    matched : Matched
        Which recordings were scored, where their durations come from, and what was left over.
    collar : float
        Seconds on each side of a reference boundary that were not scored.
    uem : str or None
        The UEM, None without one.
    """

    atoms: Atoms = field(repr=False)
    matched: Matched = field(repr=False)
    collar: float
    uem: str | None

    @cached_property
    def uris(self) -> tuple[str, ...]:
        """Names of the recordings, in order."""
        return tuple(pair.name for pair in self.matched.pairs)

    @cached_property
    def errors(self) -> list[EmotionErrors]:
        """Errors of each recording."""
        return self.atoms.errors()

    @cached_property
    def pooled(self) -> EmotionErrors:
        """Sum of the errors; its `eder` is the sum of errors over the sum of durations."""
        return sum(self.errors, EmotionErrors.zero())

    @cached_property
    def macro(self) -> float:
        """Mean of the recordings' rates, the published number; NaN where nothing was scored."""
        rates = [errors.eder for errors in self.errors if errors.total]
        return math.fsum(rates) / len(rates) if rates else math.nan

    @cached_property
    def not_scored(self) -> tuple[str, ...]:
        """Recordings without scored time, which the macro mean leaves out."""
        return tuple(
            uri for uri, errors in zip(self.uris, self.errors, strict=True) if not errors.total
        )

    @cached_property
    def headline(self) -> Headline:
        """Pooled and macro EDER, WAR and UAR for any weighting of the recordings."""
        return Headline(self.atoms, self.errors)

    @property
    def war(self) -> float:
        """Share of recordings whose longest label is right."""
        return self._headline_now()["war"]

    @property
    def uar(self) -> float:
        """Mean of that share over the classes of the references."""
        return self._headline_now()["uar"]

    def _headline_now(self) -> dict[str, float]:
        numbers = self.headline(np.ones((1, len(self.errors))))[0]
        return dict(zip(HEADLINE, numbers.tolist(), strict=True))

    @cached_property
    def speechbrain(self) -> float | None:
        """Macro rate by SpeechBrain's formula; None where it does not apply.

        It needs whole recordings of known duration without a collar, exactly one emotion in each
        reference, and hypotheses that do not overlap.
        """
        if self.collar or self.uem is not None or self.matched.durations["extent"]:
            return None
        codes = _identity(self.atoms.emotions)
        rates = [_speechbrain(pair, codes) for pair in self.matched.pairs]
        known = [rate for rate in rates if rate is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(rates) else None

    def detections(self) -> list[Detection]:
        """Precision, recall and F1 of each emotion."""
        return detections(self.atoms)

    def confusion(self) -> ConfusionMatrix:
        """Confusion matrix in seconds."""
        return confusion(self.atoms)

    def transitions(self) -> list[Transition]:
        """Accuracy for each sequence of emotions."""
        return transitions(self.atoms)

    def boundaries(self, *, tolerance: float = TOLERANCE) -> BoundaryAgreement:
        """How well the changes of emotion were found."""
        return boundaries(self.atoms, tolerance=tolerance)

    def baselines(self) -> dict[str, Score]:
        """Scores of the trivial systems on the same time."""
        trivial = {}
        for baseline in baselines(self.atoms):
            pairs = tuple(baseline.apply(pair) for pair in self.matched.pairs)
            matched = replace(self.matched, pairs=pairs)
            trivial[baseline.name] = Score(baseline.atoms, matched, self.collar, self.uem)
        return trivial

    def intervals(
        self, *, confidence: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
    ) -> dict[str, Interval]:
        """Bootstrap intervals of ``pooled``, ``macro``, ``war`` and ``uar``."""
        found = bootstrap(
            self.headline,
            len(self.errors),
            confidence=confidence,
            num_resamples=num_resamples,
            seed=seed,
        )
        return dict(zip(HEADLINE, found, strict=True))

    def compare(
        self,
        other: Score,
        *,
        confidence: float = 0.95,
        num_resamples: int = NUM_RESAMPLES,
        seed: int = 0,
    ) -> dict[str, Difference]:
        """Paired bootstrap of ``other - self`` for the same four numbers.

        Raises
        ------
        ValueError
            If the two were not scored on the same recordings by the same rules.
        """
        if (self.uris, self.collar, self.uem) != (other.uris, other.collar, other.uem):
            raise ValueError("two systems are compared on the same recordings, collar and UEM only")
        found = paired_bootstrap(
            self.headline,
            other.headline,
            len(self.errors),
            confidence=confidence,
            num_resamples=num_resamples,
            seed=seed,
        )
        return dict(zip(HEADLINE, found, strict=True))


def score(
    reference: Annotations | Side,
    hypothesis: Annotations | Side,
    *,
    labels: Mapping[str, str] | None = None,
    collar: float = 0.0,
    uem: str | Path | Iterable[Timeline] | None = None,
    audio: str | Path | None = None,
) -> Score:
    """Score the hypotheses of a system against references.

    Parameters
    ----------
    reference, hypothesis : path, iterable of AnnotatedRecording or Annotation, or Side
        A ZED folder, a file or folder of RTTM or JSON, a SpeechBrain manifest, a Parquet dataset,
        recordings in memory, or what `sed.scoring.read_side` gave.
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.
    collar : float, optional
        Seconds on each side of a reference boundary that are not scored.
    uem : path or iterable of Timeline, optional
        Regions to score.
    audio : path, optional
        Folder of the recordings, whose durations fill in for unknown ones.

    Raises
    ------
    ValueError
        If a file is malformed, a label unknown, or nothing is left to score.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.formats import AnnotatedRecording
    >>> reference, hypothesis = Annotation(uri="call"), Annotation(uri="call")
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> found = score([AnnotatedRecording(reference, duration=5.0)], [hypothesis])
    >>> found.macro, found.speechbrain, found.war, [t.accuracy for t in found.transitions()]
    (0.4, 0.4, 1.0, [1.0])
    """
    said = reference if isinstance(reference, Side) else read_side(reference, labels=labels)
    heard = hypothesis if isinstance(hypothesis, Side) else read_side(hypothesis, labels=labels)
    if uem is not None and not isinstance(uem, str | Path):
        uem = list(uem)
    matched = match(said, heard, uem=uem, audio=audio)
    # `labels` were applied while reading; applied twice, a swap of two would undo itself
    known = {name: name for name in said.new_emotions | heard.new_emotions}
    where = None if uem is None else str(uem) if isinstance(uem, str | Path) else "given"
    return Score(cut(matched.pairs, collar=collar, labels=known), matched, collar, where)


def _identity(emotions: Iterable[str]) -> EmotionCodes:
    """Codes of emotions that may be new ones."""
    return EmotionCodes({name: name for name in emotions})


def _speechbrain(pair: Pair, codes: EmotionCodes) -> float | None:
    if pair.duration is None:
        return None
    return speechbrain_eder(pair.reference, pair.hypothesis, duration=pair.duration, codes=codes)
