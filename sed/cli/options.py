"""Options that several commands have, spelled once: what hears, and what becomes a segment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sed.cli.settings import load_settings

SEGMENTS = "Segments (by default as suits the model)"
"""Panel of the help."""

Model = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Embedded model, a model's folder, or OWNER/NAME on the Hugging Face hub; see "
        "sed models.",
    ),
]

Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.")]

Dtype = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Numbers an encoder computes in: auto, float32, bfloat16, float16 or int8.",
    ),
]

Vad = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What finds the speech: silero, energy, none, or an RTTM or UEM file.",
    ),
]

Smoothing = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Smooth the posteriors: none, mean, median or total-variation.",
        rich_help_panel=SEGMENTS,
    ),
]

MinDuration = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How long an emotion lasts at least.",
        rich_help_panel=SEGMENTS,
    ),
]

Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="PROBABILITY",
        help="Emotions with a lower posterior count as neutral.",
        rich_help_panel=SEGMENTS,
    ),
]

Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        callback=load_settings,
        is_eager=True,
        help="TOML file of settings; options win.",
    ),
]

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]


def stages(context: typer.Context, **decoding: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the decoding and of the speech, from ``--config`` and from options.

    Parameters
    ----------
    context : typer.Context
        Of the command, in which ``--config`` has left its tables.
    **decoding
        Fields of `sed.decoding.Decoding` that options name; None where they do not.
    """
    tables = context.obj or {}
    changes = {key: value for key, value in decoding.items() if value is not None}
    return {**tables.get("decoding", {}), **changes}, dict(tables.get("speech", {}))


def check_min_duration(seconds: float | None) -> None:
    """Refuse a least duration that makes no sense.

    Raises
    ------
    ValueError
        If it is one.
    """
    if seconds is not None and not 0.0 <= seconds < 3600.0:
        raise ValueError(f"--min-duration takes 0 to 3600 seconds, not {seconds}")
