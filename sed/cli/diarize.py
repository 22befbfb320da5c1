"""`sed diarize`: recordings to emotion segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sed.cli.errors import one_line_errors
from sed.cli.label import FORMAT_NAMES
from sed.cli.settings import load_settings

WRITE, SEGMENTS = "Results", "Segments (by default as suits the model)"
"""Panels of the help."""

EPILOG = """
Exit status: 0 all well, 1 some recordings failed (the others are written), 2 wrong use.

Examples:

  sed diarize call.wav

  sed diarize call.wav --channel split --plot call.png --html call.html

  sed diarize calls/ --channel split --out emotions/ --format json

  ffmpeg -i talk.mkv -f wav - | sed diarize - --rttm -
"""


def diarize(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Audio or video files, folders (searched recursively), globs, or - for "
            "standard input.",
            show_default=False,
        ),
    ],
    rttm: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write RTTM of all recordings; - prints it.", rich_help_panel=WRITE
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write JSON of all recordings; - prints it.", rich_help_panel=WRITE
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write one file per recording.", rich_help_panel=WRITE),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Format of the files in --out: {FORMAT_NAMES}; by default rttm.",
            rich_help_panel=WRITE,
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Draw the recording: .png, .svg or .pdf; FOLDER/ for a picture of each.",
            rich_help_panel=WRITE,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page with player, timeline and table; it needs no network.",
            rich_help_panel=WRITE,
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="Print the timeline although files are written.",
            rich_help_panel=WRITE,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print errors only: no timeline, no progress.",
            rich_help_panel=WRITE,
        ),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Embedded model, a model's folder, or OWNER/NAME on the Hugging Face hub; see "
            "sed models.",
        ),
    ] = "timnet-mfcc",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Numbers an encoder computes in: auto, float32, bfloat16, float16 or int8.",
        ),
    ] = "auto",
    vad: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What finds the speech: silero, energy, none, or an RTTM or UEM file.",
        ),
    ] = "silero",
    channel: Annotated[
        str,
        typer.Option(
            metavar="WHICH", help="mix, a channel's number, or split: each channel on its own."
        ),
    ] = "mix",
    smoothing: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Smooth the posteriors: none, mean, median or total-variation.",
            rich_help_panel=SEGMENTS,
        ),
    ] = None,
    min_duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long an emotion lasts at least.",
            rich_help_panel=SEGMENTS,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="PROBABILITY",
            help="Emotions with a lower posterior count as neutral.",
            rich_help_panel=SEGMENTS,
        ),
    ] = None,
    with_neutral: Annotated[
        bool,
        typer.Option(
            "--with-neutral",
            help="Write neutral stretches too, silence included: leaves no hole.",
            rich_help_panel=SEGMENTS,
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=load_settings,
            is_eager=True,
            help="TOML file of settings; options win.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Find which emotion appears when, and write it as RTTM, JSON or another format.

    Prints a timeline where no file is asked for.
    """
    with one_line_errors(debug=debug):
        _check(channel=channel, min_duration=min_duration, format=format, out=out)
        from sed.cli.batch import Selection, diarize_all, load_pipeline
        from sed.cli.outputs import Outputs
        from sed.cli.pictures import Pictures

        tables = context.obj or {}
        changes = {
            "smoothing": smoothing,
            "min_duration_on": min_duration,
            "threshold": threshold,
            "with_neutral": with_neutral or None,
        }
        decoding = {key: value for key, value in changes.items() if value is not None}
        outputs = Outputs(
            rttm,
            json,
            out,
            format or "rttm",
            timeline=timeline,
            quiet=quiet,
            pictures=None if plot is None else Pictures(plot, inputs),
            html=html,
        )
        with outputs:
            pipeline = load_pipeline(
                model,
                device=device,
                dtype=dtype,
                vad=vad,
                decoding={**tables.get("decoding", {}), **decoding},
                speech=tables.get("speech", {}),
            )
            code = diarize_all(pipeline, Selection(inputs, channel), outputs, debug=debug)
    raise typer.Exit(code)


def _check(
    *, channel: str, min_duration: float | None, format: str | None, out: Path | None
) -> None:
    """Refuse what cannot be meant, before anything heavy is imported.

    Raises
    ------
    ValueError
        If an option has no such value or lacks the one it belongs to.
    """
    if channel not in ("mix", "split") and not (channel.isdecimal() and int(channel) > 0):
        raise ValueError(f"--channel takes mix, split or a number from 1 on, not {channel!r}")
    if min_duration is not None and not 0.0 <= min_duration < 3600.0:
        raise ValueError(f"--min-duration takes 0 to 3600 seconds, not {min_duration}")
    if format is not None:
        from sed.formats import format_named

        format_named(format, "")
        if out is None:
            instead = f" or write --{format} FILE" if format in ("rttm", "json") else ""
            raise ValueError(f"--format is that of the files in --out; add --out FOLDER{instead}")
