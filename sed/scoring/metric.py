"""The error rate in the manner of pyannote.metrics: one call for each file, then the total."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, overload

from pyannote.core import Annotation, Segment, Timeline

from sed.scoring.eder import eder
from sed.scoring.errors import EmotionErrors
from sed.scoring.tables import Table, recordings_table


class EmotionDiarizationErrorRate:
    """``EDER = (false alarm + missed emotion + confusion + overlap) / duration``.

    The parts are those of `sed.scoring.eder`. ``abs(metric)`` is the pooled rate, the sum of
    all errors over the sum of all durations; `macro` is the mean of the rates of the files,
    which is what papers publish.

    Parameters
    ----------
    collar : float, optional
        Seconds on each side of a reference boundary that are not scored.
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Examples
    --------
    >>> metric = EmotionDiarizationErrorRate()
    >>> reference, hypothesis = Annotation(uri="call"), Annotation(uri="call")
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> metric(reference, hypothesis, duration=5.0)
    0.4
    >>> metric(reference, reference, duration=10.0)
    0.0
    >>> round(abs(metric), 4), metric.macro, metric["false_alarm"]
    (0.1333, 0.2, 1000000)
    >>> metric(reference, hypothesis, uem=Timeline([Segment(1, 3)]), detailed=True).missed_emotion
    1000000
    """

    name = "emotion diarization error rate"

    def __init__(self, *, collar: float = 0.0, labels: Mapping[str, str] | None = None) -> None:
        self.collar = collar
        self.labels = labels
        self.reset()

    def reset(self) -> None:
        """Forget all files."""
        self._files: list[tuple[str, EmotionErrors]] = []
        self._sum = EmotionErrors.zero()

    @overload
    def __call__(
        self,
        reference: Annotation,
        hypothesis: Annotation,
        *,
        uem: Timeline | Segment | None = None,
        duration: float | None = None,
        uri: str | None = None,
        detailed: Literal[False] = False,
    ) -> float: ...

    @overload
    def __call__(
        self,
        reference: Annotation,
        hypothesis: Annotation,
        *,
        uem: Timeline | Segment | None = None,
        duration: float | None = None,
        uri: str | None = None,
        detailed: Literal[True],
    ) -> EmotionErrors: ...

    def __call__(
        self,
        reference: Annotation,
        hypothesis: Annotation,
        *,
        uem: Timeline | Segment | None = None,
        duration: float | None = None,
        uri: str | None = None,
        detailed: bool = False,
    ) -> float | EmotionErrors:
        """Score one file and add it to the total.

        Parameters
        ----------
        reference, hypothesis : Annotation
        uem : Timeline or Segment, optional
            Regions to score.
        duration : float, optional
            Seconds of the recording.
        uri : str, optional
            Name in the report; the reference's by default.
        detailed : bool, optional
            Give the parts instead of the rate.

        Raises
        ------
        ValueError
            If a label is unknown or a time is no number.
        """
        errors = eder(
            reference,
            hypothesis,
            uem=uem,
            duration=duration,
            collar=self.collar,
            labels=self.labels,
        )
        self._files.append((str(reference.uri if uri is None else uri), errors))
        self._sum += errors
        return errors if detailed else errors.eder

    def __abs__(self) -> float:
        """Pooled rate of all files so far."""
        return self._sum.eder

    @property
    def total(self) -> EmotionErrors:
        """Errors of all files so far."""
        return self._sum

    @property
    def macro(self) -> float:
        """Mean rate of the files with scored time, NaN without any."""
        rates = [errors.eder for _, errors in self._files if errors.total]
        return math.fsum(rates) / len(rates) if rates else math.nan

    def __getitem__(self, part: str) -> int:
        """Ticks of one part, such as ``false_alarm``, of all files so far."""
        if part not in EmotionErrors.__dataclass_fields__:
            known = ", ".join(EmotionErrors.__dataclass_fields__)
            raise KeyError(f"no part {part!r}; there are {known}")
        return int(getattr(self._sum, part))

    def __iter__(self) -> Iterator[tuple[str, EmotionErrors]]:
        """Uri and errors of each file."""
        return iter(self._files)

    def __len__(self) -> int:
        """Number of files."""
        return len(self._files)

    def report(self) -> Table:
        """Table of all files with their parts, and the pooled and macro totals below."""
        return recordings_table(self._files)

    def __str__(self) -> str:
        """The report as text."""
        return str(self.report())
