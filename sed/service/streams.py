"""News of jobs, from the threads that work to whoever waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator

from sed.service.jobs import Job


class News:
    """Wakes those who wait for a job whenever something happens to it.

    It carries no content: who wakes up looks into the store, so nothing is missed or seen twice.
    """

    def __init__(self) -> None:
        self.closing = False
        """Whether the server ends: nobody should wait any longer."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def start(self) -> None:
        """Begin, in the thread of the event loop."""
        self._loop = asyncio.get_running_loop()

    def tell(self, id: str) -> None:
        """Something happened to a job; from any thread."""
        self._call(lambda: self._wake(self._waiting.get(id, ())))

    def close(self) -> None:
        """Wake everybody for the last time; from any thread or a signal's handler."""
        self.closing = True
        self._call(lambda: [self._wake(events) for events in self._waiting.values()])

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
                self._loop.call_soon_threadsafe(function)

    @staticmethod
    def _wake(events: set[asyncio.Event] | tuple[()]) -> None:
        for event in events:
            event.set()

    @contextlib.contextmanager
    def of(self, id: str) -> Iterator[asyncio.Event]:
        """Event that is set whenever something happens to a job."""
        event = asyncio.Event()
        self._waiting.setdefault(id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[id].discard(event)
            if not self._waiting[id]:
                del self._waiting[id]


async def woken(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event was set within a time; it is cleared."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
            event.clear()
            return True
    return False


async def server_sent_events(
    news: News,
    id: str,
    look: Callable[[], Job | None],
    show: Callable[[Job], dict[str, object]],
    *,
    heartbeat: float,
) -> AsyncIterator[str]:
    """Events of a job until it ends, as ``text/event-stream``.

    ::

        event: state                 event: progress               : alive
        data: {"id": …, …}           data: {"progress": 0.42}

    Parameters
    ----------
    news : News
    id : str
    look : callable
        Gives the job as it is now, None once it was removed.
    show : callable
        Job as what clients see.
    heartbeat : float
        Seconds between signs of life.
    """
    state = progress = None
    with news.of(id) as event:
        while (job := await asyncio.to_thread(look)) is not None and not news.closing:
            if job.state != state:
                yield f"event: state\ndata: {json.dumps(show(job))}\n\n"
            elif job.progress != progress:
                yield f"event: progress\ndata: {json.dumps({'progress': job.progress})}\n\n"
            state, progress = job.state, job.progress
            if job.ended:
                return
            while not await woken(event, heartbeat):
                yield ": alive\n\n"
