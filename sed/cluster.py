"""Ray: a cluster that is running, or one of this machine alone, and what each worker gets of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from sed.processors import usable_cores


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


def connect(address: str | None, num_together: int | None) -> tuple[Any, list[dict[str, float]]]:
    """Ray, connected to a cluster, and what its machines have; ``ray.shutdown()`` ends it.

    Parameters
    ----------
    address : str, optional
        Of a cluster; one is started on this machine by default, and stopped at the end.
    num_together : int, optional
        How many are to work at a time, however few cores this machine has.

    Returns
    -------
    module, list of dict
        The second for `shares`.

    Raises
    ------
    ConnectionError
        If there is no cluster at the address.
    ValueError
        If Ray is not installed.
    """
    ray = load_ray()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        address, num_cpus = "local", max(usable_cores(), num_together or 1)
        options |= {"num_cpus": num_cpus, "include_dashboard": False}
    ray.init(address=address, **options)
    return ray, [node["Resources"] for node in ray.nodes() if node["Alive"]]


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
