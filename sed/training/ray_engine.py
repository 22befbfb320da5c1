"""Experiments as tasks of a Ray cluster, one that is running or one of this machine alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sed.cluster import connect, shares
from sed.training.engines import GRACE, Child, Job, Outcomes, end_all, one_line


def run_on_ray(
    jobs: Sequence[Job], *, num_together: int | None, address: str | None, with_gpus: bool
) -> Outcomes:
    """Run jobs on a cluster, some at a time.

    ::

        command ── task ── process of the experiment ── its folder, which all machines share
                └─ task ── process of the experiment ── its folder

    Ray starts and watches; what was found is in the folders alone. A task whose machine is lost is
    not tried again, as the machine may still be at it: the next command goes on.

    Parameters
    ----------
    jobs : sequence of Job
    num_together : int, optional
        One for each machine, or for each GPU, by default; they share the cores evenly.
    address : str, optional
        Of a cluster; one is started on this machine by default, and stopped at the end.
    with_gpus : bool
        Whether experiments use GPUs where there are some.

    Yields
    ------
    tuple of Job and str
        As soon as one is over, and why it failed, or None. Where nobody wants more, those that are
        running are ended.

    Raises
    ------
    ConnectionError
        If there is no cluster at the address.
    ValueError
        If Ray is not installed.
    """
    if not jobs:
        return
    ray, nodes = connect(address, num_together)
    waiting, running = deque(jobs), dict[Any, Job]()
    try:
        num_together, share = shares(nodes, num_together, with_gpus=with_gpus)
        task = ray.remote(max_retries=0, **share)(attend)
        while waiting or running:
            while waiting and len(running) < num_together:
                job = waiting.popleft()
                running[task.remote(job, share["num_cpus"])] = job
            for done in ray.wait(list(running))[0]:
                try:
                    reason = ray.get(done)
                except ray.exceptions.RayError as error:
                    reason = one_line(error)
                yield running.pop(done), reason
    finally:
        _end(ray, list(running))
        ray.shutdown()


def attend(job: Job, num_threads: int) -> str | None:
    """What a task does: run a job in a process of its own, and say why it failed.

    Ray's own process has many threads, and stays for other tasks.
    """
    try:
        child = Child(job, num_threads=num_threads)
    except OSError as error:
        return one_line(error)
    try:
        while child.process.is_alive():
            child.process.join(0.2)  # a task that is cancelled notices between two of them
        return child.reason()
    finally:
        end_all([child])


def _end(ray: Any, references: list[Any]) -> None:
    """End tasks as Ctrl-C would; at once after a minute, or with another Ctrl-C."""
    if not references:
        return
    try:
        for reference in references:
            ray.cancel(reference)
        ray.wait(references, num_returns=len(references), timeout=GRACE)
    finally:
        for reference in references:
            ray.cancel(reference, force=True)
