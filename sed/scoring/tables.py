"""Scores as tables: what is shown, before anything is known about how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sed.frames import to_seconds
from sed.scoring.bootstrap import Difference, Interval
from sed.scoring.errors import EmotionErrors

if TYPE_CHECKING:
    from sed.scoring.boundaries import BoundaryAgreement
    from sed.scoring.calibration import Calibration
    from sed.scoring.confusion import ConfusionMatrix
    from sed.scoring.detection import Detection
    from sed.scoring.score import Score
    from sed.scoring.transitions import Transition

Kind = Literal["text", "count", "seconds", "rate", "probability"]
Value = str | int | float | Interval | None

_SHORT = {"missed_emotion": "missed"}  # so that the table of recordings fits 80 columns
_NUMBERS = {"pooled": "pooled EDER", "macro": "macro EDER", "war": "WAR", "uar": "UAR"}

PARTS = ("false_alarm", "missed_emotion", "confusion", "overlap", "correct", "total")
"""Parts of the errors in the order in which they are shown."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        In JSON and CSV, such as ``false_alarm``.
    kind : str
        ``seconds`` are shown with two or three decimals, a ``rate`` in percent; JSON and CSV
        carry seconds and fractions in full.
    title : str, optional
        For people; the name without underscores by default.
    """

    name: str
    kind: Kind = "text"
    title: str | None = None

    @property
    def heading(self) -> str:
        """Title with its unit."""
        unit = {"seconds": " s", "rate": " %"}.get(self.kind, "")
        return (self.name.replace("_", " ") if self.title is None else self.title) + unit


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns.

    Parameters
    ----------
    name : str
        Key in JSON.
    title : str
    columns : tuple of Column
    rows : tuple of tuple
        None and NaN stand for what does not exist.
    num_totals : int, optional
        Rows at the end that sum up the others.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    num_totals: int = 0

    def __str__(self) -> str:
        """Table as Markdown."""
        from sed.scoring.render import markdown_table

        return markdown_table(self)


def recordings_table(files: Iterable[tuple[str, EmotionErrors]]) -> Table:
    """Parts of each file in seconds, then the pooled and the macro total.

    Examples
    --------
    >>> errors = EmotionErrors(false_alarm=500_000, missed_emotion=0, confusion=0, overlap=0,
    ...                        correct=1_500_000, total=2_000_000)
    >>> [row[:3] for row in recordings_table([("call", errors)]).rows]
    [('call', 0.25, 0.5), ('pooled', 0.25, 0.5), ('macro', 0.25, None)]
    """
    files = list(files)
    pooled = sum((errors for _, errors in files), EmotionErrors.zero())
    rates = [errors.eder for _, errors in files if errors.total]
    macro = math.fsum(rates) / len(rates) if rates else None

    def row(name: str, errors: EmotionErrors) -> tuple[Value, ...]:
        seconds = errors.seconds()
        return (name, errors.eder if errors.total else None, *(seconds[part] for part in PARTS))

    return Table(
        "recordings",
        "Recordings",
        (
            Column("recording"),
            Column("eder", "rate", "EDER"),
            *(Column(part, "seconds", _SHORT.get(part)) for part in PARTS),
        ),
        (
            *(row(uri, errors) for uri, errors in files),
            row("pooled", pooled),
            ("macro", macro, *[None] * len(PARTS)),
        ),
        num_totals=2,
    )


def systems_table(systems: Iterable[tuple[str, Score]]) -> Table:
    """Pooled and macro EDER, WAR and UAR, a row for each system."""
    systems = list(systems)
    rows: list[tuple[Value, ...]] = [
        (
            name,
            score.pooled.eder if score.pooled.total else None,
            score.macro,
            score.war,
            score.uar,
            score.speechbrain,
        )
        for name, score in systems
    ]
    columns: tuple[Column, ...] = (
        Column("system"),
        Column("pooled_eder", "rate", "pooled EDER"),
        Column("macro_eder", "rate", "macro EDER"),
        Column("war", "rate", "WAR"),
        Column("uar", "rate", "UAR"),
        Column("speechbrain_macro_eder", "rate", "SpeechBrain"),
    )
    if all(score.speechbrain is None for _, score in systems):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table("systems", "Emotion diarization error rate", columns, tuple(rows))


def intervals_table(systems: Iterable[tuple[str, dict[str, Interval]]]) -> Table:
    """Where the numbers of each system lie."""
    rows = tuple(
        (name, _NUMBERS[number], interval.value, interval.low, interval.high)
        for name, intervals in systems
        for number, interval in intervals.items()
    )
    columns = (
        Column("system"),
        Column("number"),
        Column("value", "rate"),
        Column("low", "rate"),
        Column("high", "rate"),
    )
    return Table("intervals", "Intervals", columns, rows)


def parts_table(pooled: EmotionErrors) -> Table:
    """Parts of the pooled errors in seconds, and in percent of the scored time."""
    total = pooled.total
    rows = tuple(
        (
            part.replace("_", " "),
            to_seconds(getattr(pooled, part)),
            getattr(pooled, part) / total if total else None,
        )
        for part in PARTS
    )
    columns = (Column("part"), Column("time", "seconds"), Column("share", "rate"))
    return Table("parts", "Parts of the pooled EDER", columns, rows, num_totals=1)


def emotions_table(found: Iterable[Detection]) -> Table:
    """Precision, recall and F1 of each emotion, and the times they come from."""
    rows = tuple(
        (
            detection.emotion,
            detection.precision,
            detection.recall,
            detection.f1,
            to_seconds(detection.hit + detection.missed),
            to_seconds(detection.hit + detection.false),
            to_seconds(detection.hit),
        )
        for detection in found
    )
    columns = (
        Column("emotion"),
        Column("precision", "rate"),
        Column("recall", "rate"),
        Column("f1", "rate", "F1"),
        Column("reference", "seconds"),
        Column("hypothesis", "seconds"),
        Column("both", "seconds"),
    )
    return Table("emotions", "Emotions, by time", columns, rows)


def transitions_table(found: Sequence[Transition]) -> Table:
    """Accuracy of each sequence of emotions, and of all together."""
    total, correct = sum(t.total for t in found), sum(t.correct for t in found)
    rows: list[tuple[Value, ...]] = [(t.sequence, t.total, t.correct, t.accuracy) for t in found]
    rows.append(("all", total, correct, correct / total if total else None))
    columns = (
        Column("transition"),
        Column("total", "count"),
        Column("correct", "count"),
        Column("accuracy", "rate"),
    )
    return Table("transitions", "Emotion transitions", columns, tuple(rows), num_totals=1)


def confusion_table(matrix: ConfusionMatrix) -> Table:
    """Confusion matrix in seconds, the reference in rows."""
    rows = tuple(
        (label, *seconds)
        for label, seconds in zip(matrix.labels, matrix.seconds.tolist(), strict=True)
    )
    columns = (
        Column("reference", title="reference \\ hypothesis"),
        *(Column(label, "seconds") for label in matrix.labels),
    )
    return Table("confusion", "Confusion matrix", columns, rows)


def boundaries_table(found: BoundaryAgreement) -> Table:
    """How well the changes of emotion were found."""
    columns = (
        Column("tolerance", "seconds", "within"),
        Column("median_deviation", "seconds", "median off"),
        Column("precision", "rate"),
        Column("recall", "rate"),
        Column("f1", "rate", "F1"),
        Column("reference", "count", "ref."),
        Column("hypothesis", "count", "hyp."),
        Column("matched", "count", "both"),
    )
    row = (
        found.tolerance,
        found.deviation,
        found.precision,
        found.recall,
        found.f1,
        found.num_reference,
        found.num_hypothesis,
        found.num_matched,
    )
    return Table("boundaries", "Boundaries", columns, (row,))


def calibration_table(found: Calibration) -> Table:
    """How often frames are right, by how sure the classifier was of them; then of all.

    Examples
    --------
    >>> import numpy as np
    >>> from sed.scoring import calibration
    >>> table = calibration_table(calibration(np.array([0.5, 0.5]), np.array([True, True])))
    >>> table.title, table.rows[0]
    ('Calibration error 50.00 %', ('0.47 to 0.53', 1.0, 0.5, 1.0))
    """
    total, num_bins = found.total, len(found.bins)
    rows: list[tuple[Value, ...]] = [
        (
            f"{index / num_bins:.2f} to {(index + 1) / num_bins:.2f}",
            *_shares(count, confidence, right, total),
        )
        for index, (count, confidence, right) in enumerate(found.bins)
        if count
    ]
    sums = sum(found.confidence), sum(found.right)
    rows.append(("all", *_shares(total, *sums, total)))
    columns = (
        Column("confidence"),
        Column("frames", "rate"),
        Column("mean_confidence", "rate"),
        Column("accuracy", "rate"),
    )
    title = f"Calibration error {found.error:.2%}".replace("%", " %")
    return Table("calibration", title, columns, tuple(rows), num_totals=1)


def _shares(count: int, confidence: float, right: int, total: int) -> tuple[Value, ...]:
    """Share of the frames, their mean confidence, and how often they are right."""
    return (count / total, confidence / count, right / count) if count else (None, None, None)


def comparison_table(names: tuple[str, str], differences: dict[str, Difference]) -> Table:
    """Difference of two systems in each number, its interval and p-value."""
    rows = tuple(
        (_NUMBERS[name], found.first, found.second, found.interval, found.p_value)
        for name, found in differences.items()
    )
    columns = (
        Column("number"),
        Column("first", "rate"),
        Column("second", "rate"),
        Column("difference", "rate"),
        Column("p_value", "probability", "p"),
    )
    title = f"Paired comparison of {names[0]} (first) and {names[1]} (second)"
    return Table("comparison", title, columns, rows)
