"""How many cores this process may use, which in a container is fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def usable_cores(*, root: Path = ROOT) -> int:
    """Cores that this process may use: those it may run on, within its share of time on them.

    ::

        affinity                  0 1 2 3 4 5 6 7     cores that the scheduler may pick
        quota of /kubepods        no limit
        quota of /kubepods/pod7   250 ms in 100       2.5 cores' worth of time: 3 threads use it up

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``.

    Returns
    -------
    int
        At least one. Fractions are rounded up.

    Examples
    --------
    >>> 1 <= usable_cores() <= (os.cpu_count() or 1)
    True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [_quota(folder) for folder in _cgroups(root)]
    return max(1, min([cores, *(quota for quota in quotas if quota is not None)]))


def set_threads() -> int:
    """Number of threads that torch computes with, brought down to `usable_cores`.

    torch starts a thread for every core that it sees; more of them than a quota pays for stand in
    each other's way. The number never rises, and one that the user chose by ``OMP_NUM_THREADS`` or
    ``MKL_NUM_THREADS`` stays.

    Examples
    --------
    >>> import torch
    >>> set_threads() == torch.get_num_threads()
    True
    """
    import torch

    chosen = os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS")
    cores = usable_cores()
    if not chosen and cores < torch.get_num_threads():
        torch.set_num_threads(cores)
    return torch.get_num_threads()


def _cgroups(root: Path) -> Iterator[Path]:
    """Folders that may limit this process's time: those of its cgroups and of all above them.

    A container sees its own cgroup as the mount's root, while its path may still be the host's:
    what is not there limits nothing.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup/cpu"
        else:
            continue
        folder = Path(path.lstrip("/"))
        yield from (mount / part for part in (folder, *folder.parents))


def _quota(folder: Path) -> int | None:
    """Cores' worth of time that a cgroup's folder grants, rounded up; None without a limit."""
    try:
        if (folder / "cpu.max").exists():  # "150000 100000", or "max 100000"
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8")  # -1 without a limit
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return -(-int(quota) // int(period)) if quota != "max" and int(quota) > 0 else None
    except OSError:
        return None
