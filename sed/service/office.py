"""What the routes of a server share: the store, the worker, and how a recording becomes a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from sed.decoders import NotAudioError, TooLongError
from sed.service.durations import check_audio
from sed.service.jobs import Job, Options, label
from sed.service.live_streams import Streams
from sed.service.metrics import Metrics
from sed.service.refusals import Refusal
from sed.service.results import Results
from sed.service.settings import Settings
from sed.service.store import QueueFullError, Store
from sed.service.streams import News
from sed.service.uploads import linger, receive
from sed.service.worker import Diarizer, Worker

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


class Office:
    """One server's parts.

    Parameters
    ----------
    settings : Settings
    load : callable
        Gives the `Diarizer`.

    Raises
    ------
    OSError, ValueError
        If the folder cannot be used, see `sed.service.store.Store`.
    """

    def __init__(self, settings: Settings, load: Callable[[], Diarizer]) -> None:
        self.settings = settings
        self.store = Store(settings.folder, max_attempts=settings.max_attempts)
        self.metrics = Metrics(self.store)
        self.news = News()
        self.worker = Worker(
            self.store, load, self.news.tell, self.metrics, num_threads=settings.num_workers
        )
        self.streams = Streams(settings.max_streams, self.metrics)
        self._num_uploads = 0
        self.drawing = threading.Lock()
        """Held while an envelope is found: once is enough, and one at a time."""

    def stop(self) -> None:
        """Begin to end: no new jobs, nobody waits; from any thread or a signal's handler."""
        self.news.close()
        self.worker.stop()

    def close(self) -> None:
        """End: what was being worked on is back in the queue."""
        self.stop()
        self.worker.join(30.0)
        self.streams.close()
        self.store.close()

    def sweep(self) -> None:
        """Remove what was kept long enough."""
        self.store.remove_ended(before=time.time() - self.settings.keep)

    def find(self, id: str) -> Job:
        """Job of an id.

        Raises
        ------
        Refusal
            If there is none.
        """
        job = self.store.get(id)
        if job is None:
            raise Refusal(404, "there is no such job, or no longer")
        return job

    def results(self, job: Job) -> Results:
        """Files of a job that is done.

        Raises
        ------
        Refusal
            If it is not.
        """
        if job.state != "done":
            reason = f": {job.error}" if job.error else ""
            raise Refusal(409, f"the job has no result, it is {job.state}{reason}")
        return Results(self.store.folder_of(job.id))

    def cancel(self, job: Job) -> bool:
        """End a job that has not ended; whether it was so."""
        if not self.store.end(job.id, "cancelled"):
            return False
        if job.state == "running":
            self.worker.cancel(job.id)
        self.metrics.ended("cancelled", job)
        self.news.tell(job.id)
        return True

    async def submit(
        self, request: Request, channel: str, with_neutral: bool, name: str | None
    ) -> Job:
        """Take a recording in; what this returns will be worked on.

        Raises
        ------
        Refusal
            If it cannot be, and why.
        """
        settings = self.settings
        try:
            self._require_room()
            if self._num_uploads >= settings.max_uploads:
                raise Refusal(
                    429,
                    f"{self._num_uploads} uploads are under way, as many as may be; try again",
                    retry_after="5",
                    connection="close",
                )
            checked_options({}, channel, with_neutral)
        except Refusal:
            await linger(request, settings)
            raise
        self._num_uploads += 1
        path = self.store.new_upload()
        try:
            upload = await receive(request, path, settings, closing=lambda: self.news.closing)
            options = checked_options(upload.fields, channel, with_neutral)
            named = label(upload.fields.get("name") or name or upload.name)
            return await run_in_threadpool(self._accept, path, named, options)
        finally:
            self._num_uploads -= 1
            path.unlink(missing_ok=True)

    def _accept(self, path: Path, name: str, options: Options) -> Job:
        """Check a recording that is on the disk and make it a job."""
        try:
            recording = check_audio(path, options, max_duration=self.settings.max_duration)
        except NotAudioError as error:
            raise Refusal(415, str(error).replace(str(path), name)) from None
        except TooLongError as error:
            raise Refusal(413, str(error).replace(str(path), name)) from None
        except ValueError as error:
            raise Refusal(422, str(error).replace(str(path), name)) from None
        self._require_room()
        try:
            job = self.store.accept(
                path,
                name,
                options,
                duration=recording.duration,
                num_channels=recording.num_channels,
                max_queue=self.settings.max_queue,
            )
        except QueueFullError:
            raise _queue_full(self.settings) from None
        self.worker.notify()
        return job

    def _require_room(self) -> None:
        """Refuse before the audio is read what would not be accepted afterwards."""
        if self.news.closing:
            raise Refusal(503, "the server is ending", retry_after="30", connection="close")
        if self.store.num_queued() >= self.settings.max_queue:
            raise _queue_full(self.settings)


def checked_options(fields: dict[str, str], channel: str, with_neutral: bool) -> Options:
    """Options of the query, or of the form where that has them.

    Raises
    ------
    Refusal
        If one has no such value.

    Examples
    --------
    >>> checked_options({"with_neutral": "true"}, "split", False)
    Options(channel='split', with_neutral=True)
    """
    neutral = fields.get("with_neutral", str(with_neutral)).lower()
    if neutral not in _TRUE + _FALSE:
        raise Refusal(422, f"with_neutral takes true or false, not {neutral[:40]!r}")
    try:
        return Options(fields.get("channel", channel), neutral in _TRUE)
    except ValueError as error:
        raise Refusal(422, str(error)) from None


def _queue_full(settings: Settings) -> Refusal:
    return Refusal(
        503,
        f"{settings.max_queue} jobs wait already; try again later",
        retry_after="30",
        connection="close",
    )
