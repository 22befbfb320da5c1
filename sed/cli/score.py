"""``sed score``: how good hypotheses are, and by which rules that was counted."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sed.cli.errors import FAILED, one_line_errors
from sed.cli.errors import report as tell

EPILOG = """
Exit status: 0 all well, 1 hypotheses are missing, 2 wrong input.

Examples:

  sed score --ref zed/ --hyp out/

  sed score --ref test.json --hyp out/ --per-file --format csv > scores.csv

  sed score --ref zed/ --hyp new/ --compare old/ --confidence 0.95
"""


class ReportFormat(StrEnum):
    """What the report is printed as."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def score(
    reference: Annotated[
        Path,
        typer.Option(
            "--ref",
            metavar="PATH",
            help="References: a ZED folder, a SpeechBrain manifest, or a file or folder of RTTM, "
            "JSON, TextGrid, EAF, label tracks, CSV, VTT or SRT, or a Parquet dataset.",
        ),
    ],
    hypothesis: Annotated[
        Path,
        typer.Option(
            "--hyp", metavar="PATH", help="Hypotheses: a file or folder of any of these formats."
        ),
    ],
    format: Annotated[
        ReportFormat, typer.Option("--format", help="What the report is printed as.")
    ] = ReportFormat.TABLE,
    per_file: Annotated[bool, typer.Option("--per-file", help="Show every recording.")] = False,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPELLING=EMOTION",
            help="Further spelling of an emotion, such as joie=happy; several with commas, or the "
            "option again.",
        ),
    ] = None,
    collar: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Leave out this much on each side of a reference boundary."
        ),
    ] = 0.0,
    uem: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Score only the regions of this UEM file.")
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Recordings, named as the uris, whose durations are unknown."
        ),
    ] = None,
    transitions: Annotated[
        bool, typer.Option("--transitions", help="How many sequences of emotions are right.")
    ] = False,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Confusion matrix in seconds.")
    ] = False,
    boundaries: Annotated[
        bool, typer.Option("--boundaries", help="How well changes of emotion were found.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(metavar="SECONDS", help="How far a boundary may be off.")
    ] = 0.25,
    confidence: Annotated[
        float | None,
        typer.Option(metavar="PROBABILITY", help="Bootstrap intervals, 0.95 for instance."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="OTHER", help="Hypotheses of another system, for a paired test."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Confusion matrix and rates as a picture (PNG, PDF, SVG)."
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="End with 0 even where hypotheses are missing."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Emotion diarization error rate of hypotheses against references.

    Recordings are matched by exact uri. A missing hypothesis is scored as neutral and listed.
    """
    from sed.labels import parse_mapping
    from sed.scoring import ReportOptions, Side, read_side, report
    from sed.scoring import score as score_system

    with one_line_errors(debug=debug):
        mapping = parse_mapping(pair for given in labels or () for pair in given.split(","))

        def side(path: Path, consequence: str) -> Side:
            found = read_side(path, labels=mapping)
            if found.num_failed:
                recordings = "recording" if found.num_failed == 1 else "recordings"
                tell(f"{found.num_failed} {recordings} of {path} failed: {consequence}")
            return found

        references = side(reference, "not scored")
        systems = [
            (
                str(path),
                score_system(
                    references, side(path, "no hypothesis"), collar=collar, uem=uem, audio=audio
                ),
            )
            for path in (hypothesis, compare)
            if path is not None
        ]
        options = ReportOptions(
            per_file=per_file,
            transitions=transitions,
            confusion=confusion,
            boundaries=boundaries,
            tolerance=tolerance,
            confidence=confidence,
        )
        found = report(systems, options=options, format=format.value)
        if plot is not None:
            from sed.scoring.picture import save_picture

            save_picture(systems[0][1], plot, title=str(hypothesis))
        typer.echo(found.text(format.value), nl=False)
        if format is ReportFormat.CSV:
            typer.echo("\n".join(found.notes), err=True)  # a spreadsheet has no place for them
    if not allow_missing and any(system.matched.missing for _, system in systems):
        raise typer.Exit(FAILED)
