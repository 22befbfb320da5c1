"""`sed stream`: sound as it comes to emotion segments as they become certain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sed.cli import options
from sed.cli.errors import one_line_errors

SOUND, RESULTS = "Sound", "Results"
"""Panels of the help."""

EPILOG = """
Ctrl-C ends the stream: what was heard is worked on and written before.

Exit status: 0 the sound has ended, or Ctrl-C at a microphone; 1 the sound broke off or is none;
2 wrong use; 130 Ctrl-C while something else was heard.

Examples:

  sed stream

  sed stream --latency 1 --rttm live.rttm --timeline

  ffmpeg -loglevel error -i https://radio.example/live -f wav - | sed stream - --json -

  arecord -f S16_LE -r 16000 -t raw | sed stream - --raw s16le --rate 16000
"""


def stream(
    context: typer.Context,
    input: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            help="A file, a FIFO, a device, or - for standard input; by default the microphone.",
            show_default=False,
        ),
    ] = None,
    device_in: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Microphone, by name or number.", rich_help_panel=SOUND),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODING",
            help="Sound without a header: s16le, s24le, f32le, u8, mulaw, alaw and others; needs "
            "--rate.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="HZ",
            help="Samples per second, of raw sound or a microphone.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Channels of raw sound; by default one.", rich_help_panel=SOUND),
    ] = None,
    channel: Annotated[
        str,
        typer.Option(metavar="WHICH", help="mix, or a channel's number.", rich_help_panel=SOUND),
    ] = "mix",
    latency: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long a segment may take to become certain, 0.5 to 5; inf waits for the end "
            "and finds what sed diarize does.",
        ),
    ] = 2.0,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write JSON lines as they become certain; - prints them, as is done where "
            "nothing else is asked for.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    rttm: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write RTTM line by line, to be followed; - prints it.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="Show the last minute although there is another output.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No timeline, no warnings.", rich_help_panel=RESULTS),
    ] = False,
    model: options.Model = "timnet-mfcc",
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    vad: Annotated[
        str, typer.Option(metavar="NAME", help="What finds the speech: silero or none.")
    ] = "silero",
    smoothing: options.Smoothing = None,
    min_duration: options.MinDuration = None,
    threshold: options.Threshold = None,
    config: options.Config = None,
    debug: options.Debug = False,
) -> None:
    """Find emotions in sound while it comes: a microphone, a pipe, a call.

    Shows a timeline on a terminal, and prints JSON lines elsewhere.
    """
    with one_line_errors(debug=debug):
        options.check_min_duration(min_duration)
        from sed.cli.live_outputs import LiveOutputs
        from sed.cli.sources import find_source

        outputs = LiveOutputs(json, rttm, timeline=timeline, quiet=quiet)
        source = find_source(
            input,
            device=device_in,
            raw=raw,
            rate=rate,
            num_channels=channels,
            channel=_channel_number(channel),
        )
        decoding, speech = options.stages(
            context, smoothing=smoothing, min_duration_on=min_duration, threshold=threshold
        )
        from sed.cli.batch import log_lines
        from sed.cli.hearing import hear
        from sed.loading import load_pipeline

        pipeline = load_pipeline(
            model, device=device, dtype=dtype, vad=vad, decoding=decoding, speech=speech
        )
        with log_lines(quiet=quiet):
            code = hear(source, outputs, pipeline, latency, quiet=quiet, debug=debug)
    raise typer.Exit(code)


def _channel_number(channel: str) -> int | None:
    """Number of a channel, None for the mean of all.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if channel == "mix":
        return None
    if not (channel.isdecimal() and int(channel) > 0):
        raise ValueError(
            f"--channel takes mix or a number from 1 on, not {channel!r}; a stream is one channel"
        )
    return int(channel)
