"""A stream of recordings through the pipeline; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sed.cli.errors import EXPECTED, FAILED, describe, report
from sed.cli.inputs import STANDARD_INPUT, Input, find_inputs, spool_folder
from sed.cli.outputs import Diarized, Outputs
from sed.cli.progress import SPEECH_SHARE, DiarizationProgress
from sed.errors import about
from sed.formats import AnnotatedRecording
from sed.loading import load_pipeline, open_channels
from sed.pipeline import Pipeline

__all__ = ["Selection", "diarize_all", "load_pipeline"]


@dataclass(frozen=True)
class Selection:
    """What is diarized: inputs as given, and "mix", "split" or a channel's number."""

    inputs: Sequence[str]
    channel: str


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
        report(about(name, message), debug=debug)
        num_failed += 1

    has_encoder = pipeline.inference.model.specifications.context is None
    with (
        log_lines(quiet=outputs.quiet),
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
    diarized = []
    for side in open_channels(item.path, channel, uri=item.uri):
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
def log_lines(*, quiet: bool) -> Iterator[None]:
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
