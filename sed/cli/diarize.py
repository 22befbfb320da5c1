"""`sed diarize`: recordings to emotion segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sed.cli import archive, options
from sed.cli.errors import one_line_errors
from sed.cli.label import FORMAT_NAMES

WRITE = "Results"
"""Panel of the help."""

EPILOG = """
Exit status: 0 all well, 1 some recordings failed (the others are written), 2 wrong use.

Examples:

  sed diarize call.wav

  sed diarize call.wav --channel split --plot call.png --html call.html

  sed diarize calls/ --channel split --out emotions/ --format json

  sed diarize calls/ --parquet emotions/ --jobs 4

  ffmpeg -i talk.mkv -f wav - | sed diarize - --rttm -
"""


def diarize(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Audio or video files, folders (searched recursively), globs, or - for "
            "standard input; with --parquet also manifests and URIs.",
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
    model: options.Model = "timnet-mfcc",
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    vad: options.Vad = "silero",
    channel: Annotated[
        str,
        typer.Option(
            metavar="WHICH", help="mix, a channel's number, or split: each channel on its own."
        ),
    ] = "mix",
    smoothing: options.Smoothing = None,
    min_duration: options.MinDuration = None,
    threshold: options.Threshold = None,
    with_neutral: Annotated[
        bool,
        typer.Option(
            "--with-neutral",
            help="Write neutral stretches too, silence included: leaves no hole.",
            rich_help_panel=options.SEGMENTS,
        ),
    ] = False,
    parquet: archive.Parquet = None,
    jobs: archive.Jobs = None,
    engine: archive.Engine = None,
    address: archive.Address = None,
    retry_failed: archive.RetryFailed = False,
    config: options.Config = None,
    debug: options.Debug = False,
) -> None:
    """Find which emotion appears when, and write it as RTTM, JSON or another format.

    Prints a timeline where no file is asked for.
    """
    with one_line_errors(debug=debug):
        _check(channel=channel, min_duration=min_duration, format=format, out=out)
        given = archive.ArchiveOptions(parquet, engine, jobs, address, retry_failed)
        given.check(
            inputs,
            {
                "--rttm": rttm,
                "--json": json,
                "--plot": plot,
                "--html": html,
                "--timeline": timeline,
            },
        )
        tables = context.obj or {}
        changes = {
            "smoothing": smoothing,
            "min_duration_on": min_duration,
            "threshold": threshold,
            "with_neutral": with_neutral or None,
        }
        chosen = {key: value for key, value in changes.items() if value is not None}
        decoding, speech = {**tables.get("decoding", {}), **chosen}, tables.get("speech", {})
        if parquet is not None:
            from sed.archive.work import Work

            code = archive.diarize_into(
                inputs,
                given,
                Work(model, device, dtype, vad, channel, decoding, speech, out, format or "rttm"),
                quiet=quiet,
            )
            raise typer.Exit(code)
        from sed.cli.batch import Selection, diarize_all, load_pipeline
        from sed.cli.outputs import Outputs
        from sed.cli.pictures import Pictures

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
                model, device=device, dtype=dtype, vad=vad, decoding=decoding, speech=speech
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
    options.check_min_duration(min_duration)
    if format is not None:
        from sed.formats import format_named

        format_named(format, "")
        if out is None:
            instead = f" or write --{format} FILE" if format in ("rttm", "json") else ""
            raise ValueError(f"--format is that of the files in --out; add --out FOLDER{instead}")
