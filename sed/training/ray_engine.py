"""Experiments as tasks of a Ray cluster, one that is running or one of this machine alone."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from sed.processors import usable_cores
from sed.training.engines import GRACE, Child, Job, Outcomes, end_all, one_line


def load_ray() -> Any:
    """Ray, which reports to nobody.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # as later versions do, which this says
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--engine=ray needs {error.name}: pip install 'speech-emotion-diarization[cluster]'"
        ) from None
    return ray


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
    ray = load_ray()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        address, num_cpus = "local", max(usable_cores(), num_together or 1)
        options |= {"num_cpus": num_cpus, "include_dashboard": False}
    ray.init(address=address, **options)
    waiting, running = deque(jobs), dict[Any, Job]()
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
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


def shares(
    nodes: Sequence[dict[str, float]], num_together: int | None, *, with_gpus: bool
) -> tuple[int, dict[str, Any]]:
    """How many experiments run at a time, and what each of them gets.

    Parameters
    ----------
    nodes : sequence of dict
        ``CPU`` and ``GPU`` of each machine, as Ray tells them.
    num_together : int, optional
    with_gpus : bool

    Examples
    --------
    >>> shares([{"CPU": 8.0}, {"CPU": 4.0}], 3, with_gpus=True)
    (3, {'num_cpus': 4, 'num_gpus': 0})
    >>> shares([{"CPU": 8.0, "GPU": 2.0}], 4, with_gpus=True)
    (4, {'num_cpus': 2, 'num_gpus': 0.5})
    """
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    num_gpus = int(sum(node.get("GPU", 0) for node in nodes)) if with_gpus else 0
    if num_together is None:
        num_together = max(len(cores), num_gpus)
    num_cpus = max(1, sum(cores) // num_together)
    while num_cpus > 1 and sum(number // num_cpus for number in cores) < num_together:
        num_cpus -= 1
    of_gpus = 1 / -(-num_together // num_gpus) if num_gpus else 0
    return num_together, {"num_cpus": num_cpus, "num_gpus": of_gpus}


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
