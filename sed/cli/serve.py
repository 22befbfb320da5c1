"""`sed serve`: the HTTP service."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from sed.cli.errors import one_line_errors

LIMITS, MODEL = "Limits", "Model"
"""Panels of the help."""

EPILOG = """
Ctrl-C or SIGTERM ends it: what was accepted is on the disk and goes on at the next start.

Exit status: 0 ended by a signal, 2 wrong use.

Examples:

  sed serve

  curl -F file=@call.wav "http://127.0.0.1:8000/v1/diarize?format=rttm"

  SED_TOKEN=$(cat token) sed serve --host 0.0.0.0 --folder /var/lib/sed
"""


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8000,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where jobs and their audio are kept.",
            show_default="~/.local/state/sed/service",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="SED_TOKEN",
            show_envvar=False,
            help="What clients must send, as Authorization: Bearer TOKEN; better given as the "
            "environment variable SED_TOKEN, which other users do not see.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody in who reaches the address.")
    ] = False,
    keep: Annotated[
        float,
        typer.Option(
            metavar="HOURS", help="How long results and audio stay.", rich_help_panel=LIMITS
        ),
    ] = 24.0,
    max_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="Largest recording, as 500MB or 1GiB.", rich_help_panel=LIMITS
        ),
    ] = "1GiB",
    max_duration: Annotated[
        float,
        typer.Option(metavar="HOURS", help="Longest recording.", rich_help_panel=LIMITS),
    ] = 12.0,
    max_queue: Annotated[
        int, typer.Option(help="Jobs that wait at most.", rich_help_panel=LIMITS)
    ] = 100,
    max_uploads: Annotated[
        int, typer.Option(help="Uploads at a time.", rich_help_panel=LIMITS)
    ] = 8,
    upload_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="How long an upload may stand still.", rich_help_panel=LIMITS
        ),
    ] = 30.0,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long /v1/diarize waits for a result.",
            rich_help_panel=LIMITS,
        ),
    ] = 60.0,
    jobs: Annotated[
        int, typer.Option(help="Recordings at a time, with one model.", rich_help_panel=LIMITS)
    ] = 1,
    max_streams: Annotated[
        int, typer.Option(help="Live streams at a time.", rich_help_panel=LIMITS)
    ] = 4,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Embedded model, a model's folder, or OWNER/NAME on the Hugging Face hub; see "
            "sed models.",
            rich_help_panel=MODEL,
        ),
    ] = "timnet-mfcc",
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.", rich_help_panel=MODEL),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Numbers an encoder computes in: auto, float32, bfloat16, float16 or int8.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    vad: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What finds the speech: silero, energy or none.",
            rich_help_panel=MODEL,
        ),
    ] = "silero",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only, not the address.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Answer over HTTP: recordings in, emotions out, with a queue that survives restarts.

    The interface is described at /docs of the address that is printed.
    """
    with one_line_errors(debug=debug):
        _check_token(host, token, no_token=no_token)
        try:
            from sed.service.app import create_app
            from sed.service.server import address, listen
            from sed.service.server import serve as serve_app
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("sed", "numpy"):
                raise
            raise ValueError(
                f"the service needs {error.name}: pip install 'speech-emotion-diarization[serve]'"
            ) from None
        from sed.service.settings import Settings, size_in_bytes
        from sed.service.worker import Diarizer

        def load() -> Diarizer:
            from sed.cli.batch import load_pipeline
            from sed.cli.progress import SPEECH_SHARE

            pipeline = load_pipeline(
                model, device=device, dtype=dtype, vad=vad, decoding={}, speech={}
            )
            has_encoder = pipeline.inference.model.specifications.context is None
            return Diarizer(pipeline, model, SPEECH_SHARE["encoder" if has_encoder else "light"])

        settings = Settings(
            folder=folder or _default_folder(),
            token=None if no_token else token,
            hosts=() if token or no_token else (host, "localhost", "127.0.0.1", "::1"),
            max_size=size_in_bytes(max_size),
            max_duration=3600 * max_duration,
            max_queue=max_queue,
            max_uploads=max_uploads,
            upload_timeout=upload_timeout,
            wait=wait,
            keep=3600 * keep,
            num_workers=jobs,
            max_streams=max_streams,
        )
        with listen(host, port) as listening:
            app = create_app(settings, load)
            if not quiet:
                print(
                    f"sed: listening on {address(listening)}, jobs in {settings.folder}", flush=True
                )
            serve_app(app, listening)


def _check_token(host: str, token: str | None, *, no_token: bool) -> None:
    """Refuse to let strangers in by accident.

    Raises
    ------
    ValueError
        If others reach the address and neither a token nor `no_token` is given, or both are.
    """
    if token and no_token:
        raise ValueError("--no-token lets everybody in, but a token is given; leave one out")
    if not (token or no_token or _is_own(host)):
        raise ValueError(
            f"{host} can be reached from other machines; give a token as SED_TOKEN, or let "
            f"everybody in by --no-token"
        )


def _is_own(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _default_folder() -> Path:
    """Folder of programs' lasting data, as the XDG specification has it."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "sed" / "service"
