"""The threads that work: jobs in order of arrival through one pipeline."""

from __future__ import annotations

import errno
import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sed.audio import Recording
from sed.formats import AnnotatedRecording
from sed.service.jobs import Job, State
from sed.service.metrics import Metrics
from sed.service.reductions import Course
from sed.service.results import Results
from sed.service.store import Store

if TYPE_CHECKING:
    from sed.pipeline import Pipeline

logger = logging.getLogger("sed")


@dataclass(frozen=True)
class Diarizer:
    """What works on recordings.

    Parameters
    ----------
    pipeline : Pipeline
    name : str
        Of its model.
    speech_share : float
        How much of the work it is to find the speech, for the progress.
    """

    pipeline: Pipeline
    name: str = ""
    speech_share: float = 0.5


class _StoppedError(Exception):
    """The server ends, or somebody has cancelled the job."""


class Worker:
    """Takes jobs from the store until it is stopped.

    Parameters
    ----------
    store : Store
    load : callable
        Gives the `Diarizer`; called once, in a thread of the worker.
    tell : callable
        Told the id of a job whenever something happened to it.
    metrics : Metrics
    num_threads : int, optional
        Jobs at a time; they share the model.
    """

    def __init__(
        self,
        store: Store,
        load: Callable[[], Diarizer],
        tell: Callable[[str], None],
        metrics: Metrics,
        *,
        num_threads: int = 1,
    ) -> None:
        self.diarizer: Diarizer | None = None
        """None until the model is loaded."""
        self.failure: Exception | None = None
        """Why it could not be loaded."""
        self.on_failure: Callable[[], None] = lambda: None
        """Called if it could not."""
        self._store, self._load, self._tell, self._metrics = store, load, tell, metrics
        self._stopping, self._arrived = threading.Event(), threading.Semaphore(0)
        self._cancelled: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._num_threads = num_threads

    def start(self) -> None:
        """Load the model, then work."""
        self._begin_thread(self._prepare, "sed-load")

    def _begin_thread(self, target: Callable[[], None], name: str) -> None:
        # daemons: a model that does not come to an end must not keep the server from ending
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def notify(self) -> None:
        """There is a new job."""
        self._arrived.release()

    def cancel(self, id: str) -> None:
        """Leave a job that is worked on; the store knows already."""
        self._cancelled.add(id)

    def stop(self) -> None:
        """End soon: the jobs that are worked on go back into the queue."""
        self._stopping.set()
        for _ in range(self._num_threads):
            self._arrived.release()

    def join(self, seconds: float) -> None:
        """Wait until the threads have ended, but not for ever."""
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _prepare(self) -> None:
        try:
            self.diarizer = self._load()
        except Exception as error:  # told by whoever runs the server
            self.failure = error
            self.on_failure()
            return
        for number in range(self._num_threads):
            self._begin_thread(self._work, f"sed-worker-{number}")

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._store.take()
                if job is None:
                    self._arrived.acquire(timeout=5.0)
                else:
                    self._finish(job)
            except Exception:  # such as a full disk under the database: the jobs are still there
                logger.exception("the worker goes on after an error")
                self._stopping.wait(1.0)

    def _finish(self, job: Job) -> None:
        """Work on a job and write down how it ended."""
        started = time.monotonic()
        self._tell(job.id)
        state: State = "failed"
        error = None
        try:
            self._diarize(job)
            state = "done"
        except _StoppedError:
            self._store.put_back(job.id)  # does nothing to one that was cancelled
            return
        except (ValueError, OSError) as cause:
            error = describe(cause, job, self._store)
        except Exception as cause:  # a defect; one recording must not stop the others
            logger.exception("job %s failed", job.id)
            error = f"internal error ({type(cause).__name__}); the server's log tells more"
        finally:
            if state == "done" or error is not None:
                if self._store.end(job.id, state, error):
                    self._metrics.ended(state, job, time.monotonic() - started)
            if self._store.get(job.id) is None:  # removed meanwhile
                self._store.remove_files(job.id)
            self._cancelled.discard(job.id)
            self._tell(job.id)

    def _diarize(self, job: Job) -> None:
        """Put a recording through the pipeline and store what comes out."""
        assert self.diarizer is not None
        pipeline = self.diarizer.pipeline
        if job.options.with_neutral:
            pipeline = replace(pipeline, decoding=replace(pipeline.decoding, with_neutral=True))
        audio = self._store.audio(job.id)
        recording = Recording.open(audio, uri=job.uri, channel=job.options.number)
        sides = recording.split() if job.options.channel == "split" else (recording,)
        recordings, courses = [], {}
        for done, (channel, side) in enumerate(zip(job.channels, sides, strict=True)):
            share = 1 / len(sides)
            advance = functools.partial(self._advance, job.id, done * share, share)
            hook = _Hook(advance, self.diarizer.speech_share)
            annotation = pipeline(side, hook=hook)
            assert hook.course is not None
            courses[channel] = hook.course
            recordings.append(
                AnnotatedRecording(annotation, duration=side.duration, channel=channel)
            )
        Results(self._store.folder_of(job.id)).save(recordings, courses)

    def _advance(self, id: str, before: float, share: float, done: float) -> None:
        """Note how much of a side is done, and leave the job if it is not wanted any more."""
        if self._stopping.is_set() or id in self._cancelled:
            raise _StoppedError
        progress = round(before + share * done, 3)
        if progress != self._store.progress.get(id):
            self._store.progress[id] = progress
            self._tell(id)


class _Hook:
    """Hook of a pipeline, see `sed.vad.Hook`: the share that is done, and the posteriors."""

    def __init__(self, advance: Callable[[float], None], speech_share: float) -> None:
        self.course: Course | None = None
        self._advance = advance
        self._shares = {"speech": (0.0, speech_share), "emotions": (speech_share, 1.0)}

    def __call__(
        self,
        step: str,
        artifact: Any,
        *,
        completed: float | None = None,
        total: float | None = None,
    ) -> None:
        """Take a report."""
        if step not in self._shares:
            return
        first, last = self._shares[step]
        if artifact is not None:
            self._advance(last)
            if step == "emotions":
                self.course = Course.of(artifact)
        elif completed is not None and total:
            self._advance(first + (last - first) * min(1.0, completed / total))


def describe(error: ValueError | OSError, job: Job, store: Store) -> str:
    """One line about an error, with the client's name for the recording in place of the path."""
    if isinstance(error, OSError) and error.errno in FULL:
        return "the server's disk is full"
    message = " ".join(str(error).split()) or type(error).__name__
    return message.replace(str(store.audio(job.id)), job.name)


FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Numbers of the errors of a disk that takes no more."""
