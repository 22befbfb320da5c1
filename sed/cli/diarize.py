"""`sed diarize`: recordings to emotion segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sed.cli.errors import WRONG_USE, one_line_errors, report
from sed.cli.settings import load_settings


def diarize(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Audio or video files, folders (searched recursively), globs, or - for "
            "standard input.",
            show_default=False,
        ),
    ],
    rttm: Annotated[
        Path | None, typer.Option(help="Write RTTM of all recordings to this file; - to print it.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write JSON of all recordings to this file; - to print it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write one file per recording into this folder.")
    ] = None,
    format: Annotated[str, typer.Option(help="Format of the files in --out: rttm or json.")] = (
        "rttm"
    ),
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Print the timeline although files are written.")
    ] = False,
    model: Annotated[str, typer.Option(help="Embedded model or a model's folder.")] = "timnet-mfcc",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    vad: Annotated[
        str,
        typer.Option(help="What finds the speech: silero, energy, none, or an RTTM or UEM file."),
    ] = "silero",
    channel: Annotated[
        str,
        typer.Option(help="mix, a channel's number, or split: each channel on its own."),
    ] = "mix",
    smoothing: Annotated[
        str | None,
        typer.Option(
            help="Smooth the posteriors: none, mean, median or total-variation.",
            show_default="the model's",
        ),
    ] = None,
    min_duration: Annotated[
        float | None,
        typer.Option(help="Seconds that an emotion lasts at least.", show_default="the model's"),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Emotions with a lower posterior count as neutral.", show_default="the model's"
        ),
    ] = None,
    with_neutral: Annotated[
        bool, typer.Option("--with-neutral", help="Write neutral stretches too; leaves no hole.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only, no timeline, no progress.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=load_settings, is_eager=True, help="TOML file of settings; options win."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Find which emotion appears when, and write it as RTTM or JSON.

    Prints a timeline where no file is asked for. Ends with 0 if all went well, 1 if some
    recordings failed (the others are written), 2 if it was used wrongly.

    Example: sed diarize call.wav --rttm call.rttm
    """
    if channel not in ("mix", "split") and not (channel.isdigit() and int(channel) > 0):
        report(f"--channel takes mix, split or a number from 1 on, not {channel!r}")
        raise typer.Exit(WRONG_USE)
    with one_line_errors(debug=debug):
        from sed.cli.batch import Outputs, Selection, diarize_all, load_pipeline

        tables = context.obj or {}
        changes = {
            "smoothing": smoothing,
            "min_duration_on": min_duration,
            "threshold": threshold,
            "with_neutral": with_neutral or None,
        }
        decoding = {key: value for key, value in changes.items() if value is not None}
        outputs = Outputs(rttm, json, out, format, timeline=timeline, quiet=quiet)
        with outputs:
            pipeline = load_pipeline(
                model,
                device=device,
                vad=vad,
                decoding={**tables.get("decoding", {}), **decoding},
                speech=tables.get("speech", {}),
            )
            code = diarize_all(pipeline, Selection(inputs, channel), outputs, debug=debug)
    raise typer.Exit(code)
