"""Experiments in processes of this machine; each prints into a file of its own folder.

This file loads nothing slow, so that a cluster's workers can have it at once.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeAlias

from sed.processes import become_a_worker, context_with, kill_group, reason_of

LOG = "log.txt"

GRACE = 60.0
"""Seconds that experiments have to end their batch in after Ctrl-C."""

_FAILED = "failed: "

Outcomes: TypeAlias = "Generator[tuple[Job, str | None], None, None]"
"""Jobs as soon as they are over, and why they failed, or None."""


@dataclass(frozen=True)
class Job:
    """An experiment as another process needs it.

    Parameters
    ----------
    name : str
    text : str
        Settings, see `sed.training.settings.read_settings`.
    changes : dict
        Settings that have another value.
    run_opts : bytes
        SpeechBrain's, pickled: who passes them on need not load SpeechBrain.
    output : Path
        Its folder.
    here : Path
        The folder that relative paths start from.
    """

    name: str
    text: str
    changes: dict[str, Any]
    run_opts: bytes
    output: Path
    here: Path

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.here / self.output / LOG


class Child:
    """A job in a process of its own, which ends with the one that started it.

    Parameters
    ----------
    job : Job
    num_threads : int
        It computes with.

    Raises
    ------
    OSError
        If its folder cannot be written.
    """

    def __init__(self, job: Job, *, num_threads: int) -> None:
        self.job = job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.touch()
        context = context_with("sed.training.preloaded")
        self.process = context.Process(target=_work, args=(job, num_threads, dict(os.environ)))
        self.process.start()

    def reason(self) -> str | None:
        """Why it failed, once it is over; None where all went well."""
        self.process.join()
        code = self.process.exitcode
        if code == 0:
            return None
        if code < 0:
            return reason_of(code)
        lines = self.job.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = lines[-1] if lines else ""
        return last.removeprefix(_FAILED) if last.startswith(_FAILED) else reason_of(code)

    def interrupt(self) -> None:
        """Ask it to end, which it does between two batches."""
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it and all that it started."""
        if self.process.is_alive():
            kill_group(self.process.pid)
            self.process.join()


def _work(job: Job, num_threads: int, environment: dict[str, str]) -> None:
    """What the process of a job does."""
    become_a_worker()
    os.environ.update(environment)
    os.chdir(job.here)
    _print_into(job.log)
    try:
        from sed.training import preloaded  # noqa: F401

        _run(job, num_threads)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        expected = isinstance(error, OSError | ValueError)
        kind = "" if expected else f"{type(error).__name__}: "
        print(f"{_FAILED}{kind}{one_line(error)}", file=sys.stderr)
        sys.exit(1)


def _run(job: Job, num_threads: int) -> None:
    import torch

    from sed.training.kinds import kind_of
    from sed.training.settings import load_settings, overrides_of

    torch.set_num_threads(num_threads)
    settings = load_settings(job.text, overrides_of(job.changes))
    kind_of(settings).run(job.text, job.changes, pickle.loads(job.run_opts))


def _print_into(path: Path) -> None:
    """Append all that this process and those that it starts print to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.stdout, sys.stderr = (
        open(stream, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        for stream in (1, 2)
    )


def one_line(error: BaseException) -> str:
    """What an error says, the file first.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file or directory", "call.wav"))
    'call.wav: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def run_locally(jobs: Sequence[Job], *, num_together: int, num_threads: int) -> Outcomes:
    """Run jobs in processes of this machine, some at a time.

    Parameters
    ----------
    jobs : sequence of Job
    num_together : int
    num_threads : int
        Of each.

    Yields
    ------
    tuple of Job and str
        As soon as one is over, and why it failed, or None. Where nobody wants more, those that are
        running are ended.
    """
    waiting, running = deque(jobs), dict[Any, Child]()
    try:
        while waiting or running:
            while waiting and len(running) < num_together:
                job = waiting.popleft()
                try:
                    child = Child(job, num_threads=num_threads)
                except OSError as error:
                    yield job, one_line(error)
                    continue
                running[child.process.sentinel] = child
            for sentinel in wait(list(running)) if running else ():
                child = running[sentinel]
                reason = child.reason()
                del running[sentinel]
                yield child.job, reason
    finally:
        end_all(running.values())


def end_all(children: Iterable[Child]) -> None:
    """End processes between two batches; at once after a minute, or with another Ctrl-C."""
    alive = [child for child in children if child.process.is_alive()]
    deadline = time.monotonic() + GRACE
    try:
        for child in alive:
            child.interrupt()
        for child in alive:
            child.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for child in alive:
            child.kill()
