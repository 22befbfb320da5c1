"""Workers on a Ray cluster, one that is running or one of this machine alone."""

from __future__ import annotations

import itertools
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from sed.archive.pools import GRACE
from sed.archive.tasks import Lost, Outcome, Task
from sed.archive.work import Setup
from sed.cluster import connect, shares


class Actor:
    """What runs on the cluster: a worker that is made there.

    Parameters
    ----------
    setup : Setup
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: Any = None

    def work(self, task: Task) -> Outcome:
        """Work on a task, see `sed.archive.worker.Worker`."""
        if self._worker is None:
            from sed.archive.worker import Worker

            self._worker = Worker(self._setup)
        outcome: Outcome = self._worker(task)
        return outcome


class RayPool:
    """Actors of a cluster. One that dies is replaced, and what it worked on is `Lost`.

    Rows and files are written where the actors are: the dataset's folder is one that all machines
    share.

    Parameters
    ----------
    setup : Setup
        Its number of threads is replaced by the cores that an actor gets.
    num_workers : int, optional
        By default one for each core where the model is a light one, else one for each machine or
        GPU, which share the cores evenly.
    address : str, optional
        Of a cluster; one is started on this machine by default, and stopped at the end.

    Raises
    ------
    ConnectionError
        If there is no cluster at the address; on entering.
    ValueError
        If Ray is not installed; on entering.
    """

    def __init__(self, setup: Setup, num_workers: int | None, address: str | None) -> None:
        self._setup, self._num_workers, self._address = setup, num_workers, address
        self._share: dict[str, Any] = {}
        self._free: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._numbers = itertools.count()

    @property
    def num_free(self) -> int:
        """Workers without a task."""
        return len(self._free)

    @property
    def num_busy(self) -> int:
        """Workers with one."""
        return len(self._busy)

    def start(self, task: Task) -> None:
        """Give a task to a free worker."""
        actor = self._free.pop() or self._made()
        self._busy[actor.work.remote(task)] = (actor, task)

    def wait(self, timeout: float) -> list[tuple[Task, Outcome | Lost]]:
        """Tasks that have ended, as soon as one has; none after `timeout` seconds."""
        done, _ = self._ray.wait(list(self._busy), timeout=timeout)
        return [self._ended(reference) for reference in done]

    def __enter__(self) -> RayPool:
        """Join the cluster."""
        self._ray, nodes = connect(self._address, self._num_workers)
        with_gpus = self._setup.work.device in ("auto", "cuda")
        wanted = self._num_workers
        if wanted is None and self._setup.work.is_light():
            wanted = max(1, sum(int(node.get("CPU", 0)) for node in nodes))
        num_workers, self._share = shares(nodes, wanted, with_gpus=with_gpus)
        self._setup = replace(self._setup, num_threads=self._share["num_cpus"])
        self._free = [None] * num_workers
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the actors, once they have noticed that the run is over, or after some seconds."""
        try:
            if self._busy:
                shutil.rmtree(self._setup.shelf, ignore_errors=True)  # which they look for
                self._ray.wait(list(self._busy), num_returns=len(self._busy), timeout=GRACE)
        finally:
            actors = [actor for actor, _ in self._busy.values()] + self._free
            for actor in actors:
                if actor is not None:
                    with suppress(Exception):  # dead already, and the cluster perhaps too
                        self._ray.kill(actor)
            self._ray.shutdown()

    def _made(self) -> Any:
        """A new actor; the cluster finds a place for it, and waits for one if need be."""
        setup = self._setup.of_worker(next(self._numbers))
        return self._ray.remote(max_restarts=0, **self._share)(Actor).remote(setup)

    def _ended(self, reference: Any) -> tuple[Task, Outcome | Lost]:
        actor, task = self._busy.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # a lost connection leaves an actor that may still be at it; it must not go on
            with suppress(Exception):
                self._ray.kill(actor)
            self._free.insert(0, None)
            time.sleep(0.1)
            return task, Lost(_reason(error))
        self._free.append(actor)
        return task, outcome


def _reason(error: Exception) -> str:
    """Why an actor has died, in a few words of the many that Ray finds."""
    text = str(error)
    if "memory" in text.lower() or "SIGKILL" in text or "connection error code 2" in text:
        return "ended by SIGKILL; is the memory too small?"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"its worker has died ({lines[-1] if lines else type(error).__name__})"
