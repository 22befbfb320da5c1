"""A stream of recordings through the pipeline; one that fails does not stop the others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.core import Timeline

from sed.audio import Recording
from sed.cli.errors import EXPECTED, FAILED, describe, report
from sed.cli.inputs import Input, find_inputs, spool_folder
from sed.cli.outputs import Outputs
from sed.cli.progress import DiarizationProgress
from sed.decoding import Binarize
from sed.formats import AnnotatedRecording
from sed.pipeline import Pipeline
from sed.vad import VAD, VADS, Oracle, vad_named


@dataclass(frozen=True)
class Selection:
    """What is diarized: inputs as given, and "mix", "split" or a channel's number."""

    inputs: Sequence[str]
    channel: str


def load_pipeline(
    model: str, *, device: str, vad: str, decoding: dict[str, Any], speech: dict[str, Any]
) -> Pipeline:
    """Pipeline of the command's options.

    Raises
    ------
    ValueError
        If the model, device, VAD or a setting does not exist.
    """
    try:
        binarize = Binarize(**speech)
        return Pipeline.from_pretrained(
            model,
            device=choose_device(device),
            vad=choose_vad(vad),
            binarize=binarize,
            decoding=decoding,
        )
    except TypeError as error:  # a dataclass without the field that a table of --config names
        raise ValueError(f"unknown setting in [decoding] or [speech]: {error}") from None


def choose_device(name: str) -> str:
    """Torch device of a name; "auto" is the GPU where there is one.

    Raises
    ------
    ValueError
        If this machine has no such device.
    """
    import torch

    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available.get(name.partition(":")[0], False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"--device {name} is not available here; choose auto or {usable}")
    return name


def choose_vad(name: str) -> VAD:
    """Detector of a name, or the regions of an RTTM or UEM file."""
    if name not in VADS and Path(name).is_file():
        return Oracle.from_file(name)
    return vad_named(name)


def diarize_all(pipeline: Pipeline, selection: Selection, outputs: Outputs, *, debug: bool) -> int:
    """Diarize every recording and hand it to the outputs as soon as it is done.

    Returns
    -------
    int
        Exit code: 0, or 1 if some recordings failed.

    Raises
    ------
    OSError
        If an output cannot be written.
    """
    _print_log_lines()
    only = list(selection.inputs)
    single = len(only) == 1 and not Path(only[0]).is_dir()
    num_done = num_failed = 0
    with (
        spool_folder() as spool,
        DiarizationProgress(1 if single else None, quiet=outputs.quiet) as progress,
    ):
        for item in find_inputs(only, spool=spool):
            progress.begin(item.path.name)
            try:
                channels, speech = _diarize_one(pipeline, item, selection.channel, progress)
            except EXPECTED as error:
                message = describe(error)
                name = str(item.path)
                report(message if name in message else f"{name}: {message}", debug=debug)
                num_failed += 1
                continue
            with progress.paused():
                outputs.add(channels, speech)
            num_done += 1
            progress.end()
    if num_failed and not outputs.quiet and num_done + num_failed > 1:
        print(f"sed: {num_failed} of {num_done + num_failed} recordings failed", file=sys.stderr)
    return FAILED if num_failed else 0


def _diarize_one(
    pipeline: Pipeline, item: Input, channel: str, progress: DiarizationProgress
) -> tuple[list[AnnotatedRecording], list[Timeline]]:
    """Channels of one recording with their emotions, and the speech of each."""
    number = int(channel) if channel.isdigit() else None
    recording = Recording.open(item.path, uri=item.uri, channel=number)
    sides = recording.split() if channel == "split" else (recording,)
    channels, speech = [], []
    for side in sides:
        heard: list[Timeline] = []

        def hook(step: str, artifact: object, **progress_of: Any) -> None:
            if step == "speech" and isinstance(artifact, Timeline):
                heard.append(artifact)  # noqa: B023
            progress.hook(step, artifact, **progress_of)

        annotation = pipeline(side, hook=hook)
        channels.append(
            AnnotatedRecording(
                annotation, duration=side.duration, channel=side.channel or 1, path=item.path
            )
        )
        speech.append(heard[0])
    return channels, speech


def _print_log_lines() -> None:
    """Show the package's log lines, such as a truncated file, as lines on standard error."""
    logger = logging.getLogger("sed")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("sed: %(message)s"))
        logger.addHandler(handler)
