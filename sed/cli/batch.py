"""A stream of recordings through the pipeline; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sed.audio import Recording
from sed.cli.errors import EXPECTED, FAILED, describe, report
from sed.cli.inputs import STANDARD_INPUT, Input, find_inputs, spool_folder
from sed.cli.outputs import Diarized, Outputs
from sed.cli.progress import SPEECH_SHARE, DiarizationProgress
from sed.decoding import Binarize
from sed.formats import AnnotatedRecording
from sed.pipeline import Pipeline
from sed.processors import set_threads
from sed.vad import VAD, VADS, Oracle, vad_named


@dataclass(frozen=True)
class Selection:
    """What is diarized: inputs as given, and "mix", "split" or a channel's number."""

    inputs: Sequence[str]
    channel: str


def load_pipeline(
    model: str,
    *,
    device: str,
    dtype: str,
    vad: str,
    decoding: dict[str, Any],
    speech: dict[str, Any],
) -> Pipeline:
    """Pipeline of the command's options, on as many threads as there are cores for it.

    Raises
    ------
    ValueError
        If the model, device, VAD or a setting does not exist.
    """
    set_threads()
    return Pipeline.from_pretrained(
        model,
        device=choose_device(device),
        dtype=dtype,
        vad=choose_vad(vad),
        binarize=Binarize(**speech),
        decoding=decoding,
    )


def choose_device(name: str) -> str:
    """Torch device of a name; "auto" is a CUDA GPU where there is one, else the processor.

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
        return "cuda" if available["cuda"] else "cpu"
    kind, colon, index = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not available.get(kind) or (colon and index not in map(str, range(count))):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"--device {name} is not available here; choose auto or {usable}")
    return name


def choose_vad(name: str) -> VAD:
    """Detector of a name, or the regions of an RTTM or UEM file.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if name in VADS:
        return vad_named(name)
    if not Path(name).is_file():
        raise ValueError(f"--vad takes {', '.join(VADS)} or an RTTM or UEM file, not {name!r}")
    return Oracle.from_file(name)


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
    num_done = num_failed = 0

    def failed(name: str, message: str) -> None:
        nonlocal num_failed
        report(message if message.startswith(name) else f"{name}: {message}", debug=debug)
        num_failed += 1

    has_encoder = pipeline.inference.model.specifications.context is None
    with (
        _log_lines(quiet=outputs.quiet),
        spool_folder() as spool,
        DiarizationProgress(
            _count(selection.inputs),
            quiet=outputs.quiet,
            speech_share=SPEECH_SHARE["encoder" if has_encoder else "light"],
        ) as progress,
    ):
        for item in find_inputs(selection.inputs, spool=spool, on_error=failed):
            progress.begin(item.uri)
            try:
                sides = _diarize_one(pipeline, item, selection.channel, progress)
            except EXPECTED as error:
                failed(item.name, describe(error).replace(str(item.path), item.name))
            else:
                with progress.paused():
                    outputs.add(sides)
                    heard = any(side.speech for side in sides)
                    if not (heard or outputs.timeline or outputs.quiet):
                        report(f"{item.name}: no speech found")
                num_done += 1
            progress.end()
    if num_failed and not outputs.quiet and num_done + num_failed > 1:
        report(f"{num_failed} of {num_done + num_failed} recordings failed")
    return FAILED if num_failed else 0


def _count(inputs: Sequence[str]) -> int | None:
    """Number of recordings, None where only walking through folders would tell."""
    known = all(name == STANDARD_INPUT or Path(name).is_file() for name in inputs)
    return len(inputs) if known else None


def _diarize_one(
    pipeline: Pipeline, item: Input, channel: str, progress: DiarizationProgress
) -> list[Diarized]:
    """Channels of one recording with their emotions, and what these were found from."""
    number = int(channel) if channel.isdecimal() else None
    recording = Recording.open(item.path, uri=item.uri, channel=number)
    diarized = []
    for side in recording.split() if channel == "split" else (recording,):
        stages: dict[str, Any] = {}  # what each one gives last

        def hook(step: str, artifact: object, **progress_of: Any) -> None:
            stages[step] = artifact  # noqa: B023
            progress.hook(step, artifact, **progress_of)

        annotated = AnnotatedRecording(
            pipeline(side, hook=hook),
            duration=side.duration,
            channel=side.channel or 1,
            path=None if item.is_copy else item.path,
        )
        diarized.append(Diarized(annotated, side, stages["speech"], stages["emotions"]))
    return diarized


@contextlib.contextmanager
def _log_lines(*, quiet: bool) -> Iterator[None]:
    """Show what the package logs, such as a truncated file, as lines on standard error."""
    logger, handler = logging.getLogger("sed"), _Lines(logging.ERROR if quiet else logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints to whatever is standard error at that time: bars on a terminal stand aside."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        report(record.getMessage())
