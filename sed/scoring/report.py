"""The report on a score: the tables that were asked for, and the rules that are in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sed.frames import to_seconds
from sed.labels import NEUTRAL
from sed.scoring.bootstrap import NUM_RESAMPLES
from sed.scoring.boundaries import TOLERANCE
from sed.scoring.render import RENDERERS
from sed.scoring.score import Score
from sed.scoring.tables import (
    Table,
    boundaries_table,
    comparison_table,
    confusion_table,
    emotions_table,
    intervals_table,
    parts_table,
    recordings_table,
    systems_table,
    transitions_table,
)

_LISTED = 10  # names in a note; JSON lists all


@dataclass(frozen=True)
class ReportOptions:
    """What a report holds beside the error rates.

    Parameters
    ----------
    per_file : bool
        Each recording.
    transitions, confusion, boundaries : bool
        Sequences of emotions; the confusion matrix; where emotions change.
    tolerance : float
        Seconds that a boundary may be off.
    confidence : float, optional
        Probability of intervals; none are drawn without it.
    """

    per_file: bool = False
    transitions: bool = False
    confusion: bool = False
    boundaries: bool = False
    tolerance: float = TOLERANCE
    confidence: float | None = None


@dataclass(frozen=True)
class Report:
    """Tables of scores, and the rules they were counted by.

    Parameters
    ----------
    tables : tuple of Table
    notes : tuple of str
        The rules in words, a line each.
    rules : dict
        The rules for programs.
    """

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    rules: dict[str, Any]

    def text(self, format: str = "table") -> str:
        """Report in one of the formats ``table``, ``json``, ``csv``, ``markdown``, ``latex``.

        Raises
        ------
        ValueError
            If there is no such format.
        """
        if format not in RENDERERS:
            raise ValueError(f"no report format {format!r}; there are {', '.join(RENDERERS)}")
        return RENDERERS[format](self)


def report(
    systems: Sequence[tuple[str, Score]],
    *,
    options: ReportOptions | None = None,
    format: str = "table",
) -> Report:
    """Report on one system, or on two that are compared.

    Parameters
    ----------
    systems : sequence of (str, Score)
        Name and score of the system, and of the one it is compared with.
    options : ReportOptions, optional
    format : str, optional
        What the report will be printed as. CSV starts with the recordings and the totals, and
        holds no other table that was not asked for, so that any program can read it.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.formats import AnnotatedRecording
    >>> from sed.scoring import score
    >>> said, heard = Annotation(uri="call"), Annotation(uri="call")
    >>> said[Segment(1, 3)] = "happy"
    >>> heard[Segment(2, 4)] = "happy"
    >>> found = score([AnnotatedRecording(said, duration=5.0)], [heard])
    >>> print(report([("ours", found)], format="csv").text("csv"), end="")
    recording,eder,false_alarm,missed_emotion,confusion,overlap,correct,total
    pooled,0.4,1.0,1.0,0.0,0.0,3.0,5.0
    macro,0.4,,,,,,
    """
    options = options or ReportOptions()
    name, score = systems[0]
    for_program = format == "csv"
    tables: list[Table] = []
    if for_program or options.per_file:
        files = list(zip(score.uris, score.errors, strict=True)) if options.per_file else []
        tables.append(_with_totals(recordings_table(files), score))
    if not for_program:
        tables.append(systems_table([*systems, *score.baselines().items()]))
    if options.confidence is not None:
        tables.append(
            intervals_table(
                (each_name, each.intervals(confidence=options.confidence))
                for each_name, each in systems
            )
        )
    if not for_program:
        tables.append(parts_table(score.pooled))
    if not for_program or options.confusion:
        tables.append(emotions_table(score.detections()))
    if options.confusion:
        tables.append(confusion_table(score.confusion()))
    if options.transitions:
        tables.append(transitions_table(score.transitions()))
    if options.boundaries:
        tables.append(boundaries_table(score.boundaries(tolerance=options.tolerance)))
    for other_name, other in systems[1:]:
        confidence = 0.95 if options.confidence is None else options.confidence
        differences = score.compare(other, confidence=confidence)
        tables.append(comparison_table((name, other_name), differences))
    return Report(tuple(tables), _notes(systems, options), _rules(systems, options))


def _with_totals(table: Table, score: Score) -> Table:
    """Table whose totals are those of all recordings, shown or not."""
    totals = recordings_table(zip(score.uris, score.errors, strict=True)).rows[-2:]
    return Table(table.name, table.title, table.columns, (*table.rows[:-2], *totals), num_totals=2)


def _rules(systems: Sequence[tuple[str, Score]], options: ReportOptions) -> dict[str, Any]:
    """Rules in force, for programs."""
    score = systems[0][1]
    matched = score.matched
    drawn = options.confidence is not None or len(systems) > 1
    return {
        "recordings": len(score.uris),
        "scored_seconds": to_seconds(score.pooled.total),
        "durations": dict(matched.durations),
        "uem": score.uem,
        "collar": score.collar,
        "neutral": "absence of an emotion, on both sides",
        "utterance_label": "longest, neutral included",
        "intervals": (
            {"method": "percentile bootstrap over recordings", "resamples": NUM_RESAMPLES}
            if drawn
            else None
        ),
        "missing": {name: list(each.matched.missing) for name, each in systems},
        "extra": {name: list(each.matched.extra) for name, each in systems},
        "outside_uem": list(matched.outside_uem),
        "only_in_uem": list(matched.only_in_uem),
        "not_scored": list(score.not_scored),
    }


_SOURCES = {
    "reference": "the reference",
    "uem": "the UEM",
    "audio": "the audio",
    "extent": "the extent of both sides' emotions, because none is known",
}


def _notes(systems: Sequence[tuple[str, Score]], options: ReportOptions) -> tuple[str, ...]:
    """Rules in force, in words."""
    score = systems[0][1]
    matched = score.matched
    sources = [
        f"{_SOURCES[source]} ({count})" for source, count in matched.durations.items() if count
    ]
    collar = f"collar ±{score.collar:g} s around reference boundaries" if score.collar else None
    notes = [
        f"{len(score.uris)} recordings, {to_seconds(score.pooled.total):.2f} s scored; durations "
        f"from {' and '.join(sources)}",
        f"{collar or 'no collar'}; {f'UEM {score.uem}' if score.uem else 'no UEM'}; {NEUTRAL} is "
        "the absence of an emotion",
        "pooled: sum of errors over sum of durations; macro: mean over recordings, the published "
        "number",
        f"WAR and UAR: each recording's longest label, {NEUTRAL} included",
    ]
    if score.speechbrain is not None:
        notes.append("SpeechBrain: its macro EDER, a cross-check where every file has one emotion")
    if len(systems) > 1:
        notes.append("difference: the second system minus the first, [low, high]")
    if options.confidence is not None or len(systems) > 1:
        confidence = 0.95 if options.confidence is None else options.confidence
        paired = ", p-values by paired bootstrap" if len(systems) > 1 else ""
        notes.append(
            f"{100 * confidence:g} % intervals by bootstrap over recordings, {NUM_RESAMPLES} draws"
            + paired
        )
    for name, each in systems:
        whose = f" in {name}" if len(systems) > 1 else ""
        notes += _listed(f"missing{whose}, scored as {NEUTRAL}", each.matched.missing)
        notes += _listed(f"extra{whose}, not scored", each.matched.extra)
    notes += _listed("not in the UEM, not scored", matched.outside_uem)
    notes += _listed("in the UEM without a reference, not scored", matched.only_in_uem)
    notes += _listed("without scored time, not in the macro mean", score.not_scored)
    return tuple(notes)


def _listed(what: str, names: Sequence[str]) -> list[str]:
    """Note that names some recordings, none if there are none."""
    if not names:
        return []
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{what} ({len(names)}): {', '.join(names[:_LISTED])}{more}"]
