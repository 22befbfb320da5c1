"""Workers: what a pool of them is, and one of processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol

from sed.archive.tasks import Lost, Outcome, Task
from sed.archive.work import Setup
from sed.processes import become_a_worker, context_with, kill_group, reason_of

GRACE = 10.0
"""Seconds that workers have to leave nothing half-written in after Ctrl-C."""


class Pool(Protocol):
    """Workers, each of which has one task at a time; in a `with` block, which ends them."""

    @property
    def num_free(self) -> int:
        """Workers without a task."""

    @property
    def num_busy(self) -> int:
        """Workers with one."""

    def start(self, task: Task) -> None:
        """Give a task to a free worker."""

    def wait(self, timeout: float) -> list[tuple[Task, Outcome | Lost]]:
        """Tasks that have ended, as soon as one has; none after `timeout` seconds."""

    def __enter__(self) -> Pool:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers; those that have a task leave nothing half-written."""


class LocalPool:
    """Processes of this machine. One that dies is replaced, and what it worked on is `Lost`.

    Parameters
    ----------
    setup : Setup
    num_workers : int
    """

    def __init__(self, setup: Setup, num_workers: int) -> None:
        self._setup = setup
        self._free: list[_Process | None] = [None] * num_workers
        self._busy: dict[_Process, Task] = {}
        self._numbers = iter(range(sys.maxsize))

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
        process = self._free.pop()
        if process is None:
            process = _Process(self._setup.of_worker(next(self._numbers)))
        with suppress(OSError):  # it died while it was idle: `wait` sees that
            process.connection.send(task)
        self._busy[process] = task

    def wait(self, timeout: float) -> list[tuple[Task, Outcome | Lost]]:
        """Tasks that have ended, as soon as one has; none after `timeout` seconds."""
        of: dict[Any, _Process] = {}
        for process in self._busy:
            of[process.connection] = of[process.process.sentinel] = process
        ended: dict[_Process, Outcome | Lost] = {}
        for ready in wait(list(of), timeout):
            process = of[ready]
            if process not in ended:
                ended[process] = process.result()
        # those that were started last stand at the end, and are the warmest
        for process, result in ended.items():
            self._free.insert(0, None) if isinstance(result, Lost) else self._free.append(process)
        return [(self._busy.pop(process), result) for process, result in ended.items()]

    def __enter__(self) -> LocalPool:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers; at once after some seconds, or with another Ctrl-C."""
        processes = [*self._busy, *(process for process in self._free if process is not None)]
        deadline = time.monotonic() + GRACE
        try:
            for process in processes:
                process.interrupt()
            for process in processes:
                process.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for process in processes:
                process.kill()


class _Process:
    """A worker in a process of its own, which ends with the one that started it."""

    def __init__(self, setup: Setup) -> None:
        context = context_with("sed.archive.worker")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(setup, other, dict(os.environ)))
        self.process.start()
        other.close()

    def result(self) -> Outcome | Lost:
        """What it has answered, or of what it has died."""
        try:
            result: Outcome = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(GRACE)
            code = self.process.exitcode
            self.kill()
            return Lost("its worker fell silent" if code is None else reason_of(code))
        return result

    def interrupt(self) -> None:
        """Ask it to end."""
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it."""
        if self.process.is_alive():
            kill_group(self.process.pid)
        self.process.join()
        self.connection.close()


def _work(setup: Setup, connection: Connection, environment: Mapping[str, str]) -> None:
    """What the process does."""
    try:
        become_a_worker()
        os.environ.update(environment)
        os.chdir(setup.here)
        from sed.archive.worker import Worker

        worker = Worker(setup)
        while True:
            connection.send(worker(connection.recv()))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
