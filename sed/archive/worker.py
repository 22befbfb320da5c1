"""A worker: holds a pipeline, turns tasks into rows and files, and answers in few words."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from pyannote.core import Timeline

from sed.archive.dataset import Dataset, Row
from sed.archive.items import Item
from sed.archive.remote import FULL, fetched
from sed.archive.shelf import Journal
from sed.archive.splitting import compute, join, prepare
from sed.archive.tasks import Chunk, Joining, Outcome, Preparation, Stretch, Task, part_name
from sed.archive.work import Setup
from sed.audio import Recording
from sed.errors import EXPECTED, about, describe
from sed.formats import format_named, write_each
from sed.loading import open_channels
from sed.pipeline import Pipeline


class StopError(Exception):
    """Nobody can go on.

    Parameters
    ----------
    error : OSError or ValueError
    """

    def __init__(self, error: OSError | ValueError) -> None:
        super().__init__(str(error))
        kind = OSError if isinstance(error, OSError) else ValueError
        self.reason = kind(describe(error))  # which another process can be told of


class Worker:
    """Turns tasks into rows of a dataset, and files where they are wanted.

    Parameters
    ----------
    setup : Setup
        Its folder `here` becomes that of the process.

    Examples
    --------
    >>> import tempfile
    >>> from sed.archive.work import Work
    >>> dataset = Dataset.open(tempfile.mkdtemp(), {})
    >>> worker = Worker(Setup(Work(), dataset.folder, dataset.folder, Path.cwd(), num_threads=1))
    >>> outcome = worker(Chunk((Item("missing.wav", "missing"),)))
    >>> outcome.num_recordings, outcome.lines
    (1, ('missing.wav does not exist; check its spelling',))
    >>> [row.error for row in dataset.rows()]
    ['missing.wav does not exist; check its spelling']
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._dataset = Dataset(setup.here / setup.dataset)
        self._pipeline: Pipeline | None = None

    def __call__(self, task: Task) -> Outcome:
        """Work on a task; what it answers is as small as it is.

        Errors of a recording are rows, and what keeps everybody from going on is the outcome's
        `stop`.
        """
        lines: list[str] = []
        try:
            os.chdir(self._setup.here)
            self._require_run()
            pipeline = self._loaded()
            with _collected(lines):
                return self._work(pipeline, task, lines)
        except StopError as error:
            return Outcome(stop=error.reason)

    def _loaded(self) -> Pipeline:
        """The pipeline, loaded once."""
        if self._pipeline is None:
            import torch

            try:
                self._pipeline = self._setup.work.load(number=self._setup.number)
            except EXPECTED as error:
                raise StopError(error) from None
            is_light = self._pipeline.inference.model.specifications.context is not None
            torch.set_num_threads(1 if is_light else self._setup.num_threads)
        return self._pipeline

    def _work(self, pipeline: Pipeline, task: Task, lines: list[str]) -> Outcome:
        if isinstance(task, Chunk):
            return self._chunk(pipeline, task, lines)
        folder = self._setup.shelf / part_name((task.item,))
        num_windows: tuple[int, ...] = ()
        rows: list[Row] = []

        def step() -> None:
            nonlocal num_windows, rows
            if isinstance(task, Preparation):
                with _at_hand(task.item, lines) as path:
                    num_windows = prepare(pipeline, self._sides(task.item, path), folder)
            elif isinstance(task, Stretch):
                compute(pipeline, task, folder)
            elif isinstance(task, Joining):
                rows = join(pipeline, task.item, task.stretches, folder)

        failure = _failure(step)
        if failure is not None or not isinstance(task, Joining):
            return Outcome(lines=tuple(lines), num_windows=num_windows, failure=failure)
        outcome = self._written(part_name((task.item,)), rows, lines)
        shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def _chunk(self, pipeline: Pipeline, chunk: Chunk, lines: list[str]) -> Outcome:
        """Recordings one after the other."""
        given_up, rows = dict(chunk.given_up), list[Row]()
        with Journal(self._setup.shelf, chunk.name) as journal:
            for index, item in enumerate(chunk.items):
                self._require_run()
                journal.at(index)
                found: list[Row] = []

                def diarize(item: Item = item, found: list[Row] = found) -> None:
                    with _at_hand(item, lines) as path:
                        found += [_row(pipeline, item, s) for s in self._sides(item, path)]

                failure = given_up.get(item) or _failure(diarize)
                rows += [_failed(item, failure)] if failure else found
            journal.at(-1)
            return self._written(chunk.name, rows, lines)

    def _sides(self, item: Item, path: Path) -> tuple[Recording, ...]:
        return open_channels(path, self._setup.work.channel, uri=item.uri)

    def _written(self, name: str, rows: Sequence[Row], lines: list[str]) -> Outcome:
        """Write files of recordings, then the part that says that they are done."""
        kept, num_failed, seconds, num_recordings = list[Row](), 0, 0.0, 0
        self._require_run()
        try:
            for (path, uri), group in groupby(rows, key=lambda row: (row.path, row.uri)):
                sides, item = list(group), Item(path, uri)
                failure = sides[0].error
                if failure is None:
                    failure = self._own_file(sides)
                    sides = sides if failure is None else [_failed(item, failure)]
                if failure is None:
                    seconds += sides[0].duration or 0.0
                else:
                    num_failed += 1
                    lines.append(about(path, failure))
                num_recordings += 1
                kept += sides
            self._require_run()
            part = self._dataset.write(name, kept)
        except OSError as error:
            raise StopError(error) from None
        return Outcome(num_recordings, num_failed, seconds, tuple(lines), part)

    def _own_file(self, sides: Sequence[Row]) -> str | None:
        """Write the files of one recording where they are wanted; why that cannot be, or None."""
        work = self._setup.work
        if work.out is None:
            return None
        try:
            write_each(work.out, [s.recording for s in sides], format_named(work.format, ""))
        except ValueError as error:  # such as a name that leads out of the folder
            return describe(error)
        return None

    def _require_run(self) -> None:
        """End the work of a run that is over."""
        if not self._setup.shelf.is_dir():
            raise StopError(
                ValueError(
                    f"{self._setup.shelf} is not here: the run is over, or this machine does not "
                    "share the dataset's folder"
                )
            )


def _row(pipeline: Pipeline, item: Item, side: Recording) -> Row:
    """One channel, diarized."""
    speech = Timeline()

    def hook(step: str, artifact: object, **progress: Any) -> None:
        nonlocal speech
        if step == "speech" and isinstance(artifact, Timeline):
            speech = artifact

    annotation = pipeline(side, hook=hook)
    annotation.uri = item.uri
    seconds = float(speech.duration())
    channel = side.channel or 1
    return Row(item.path, item.uri, channel, side.duration, seconds, annotation, None)


def _failed(item: Item, reason: str) -> Row:
    return Row(item.path, item.uri, None, None, None, None, reason)


def _failure(work: Callable[[], None]) -> str | None:
    """Why work on a recording failed, in one line; None if it did not.

    Raises
    ------
    StopError
        If that was not the recording's fault.
    RuntimeError
        If the GPU is lost to this process; a new one has it again.
    """
    try:
        work()
    except EXPECTED as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise StopError(error) from None
        return describe(error)
    except Exception as error:  # a defect, but of a million recordings one must not end the others
        if "CUDA error" in str(error):
            raise
        return f"{type(error).__name__}: {describe(error)}"
    return None


@contextmanager
def _at_hand(item: Item, lines: list[str]) -> Iterator[Path]:
    """File of a recording; what is logged about a copy is said of the recording."""
    with fetched(item.path) as path:
        try:
            yield path
        finally:
            lines[:] = [line.replace(str(path), item.path) for line in lines]


@contextmanager
def _collected(lines: list[str]) -> Iterator[None]:
    """Take what the package logs, such as a truncated file, as lines."""
    logger, handler = logging.getLogger("sed"), _Lines(lines)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


class _Lines(logging.Handler):
    """Appends to a list."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        self._lines.append(record.getMessage())
