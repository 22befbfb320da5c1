"""How many threads: affinity and quotas of either version of cgroups, and the user's own word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sed import processors
from sed.processors import set_threads, usable_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def tree(root: Path, membership: str, files: dict[str, str]) -> Path:
    """A root with ``/proc/self/cgroup`` and files below ``/sys/fs/cgroup``."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


V2 = "0::/kubepods/pod7"
V1 = "4:memory:/docker/c0ffee\n3:cpuset:/\n2:cpu,cpuacct:/docker/c0ffee\n1:name=systemd:/\n0::/"
CPU = "sys/fs/cgroup/cpu"


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        (V2, {"sys/fs/cgroup/kubepods/pod7/cpu.max": "max 100000"}, 8),
        (V2, {"sys/fs/cgroup/kubepods/pod7/cpu.max": "200000 100000"}, 2),
        (V2, {"sys/fs/cgroup/kubepods/pod7/cpu.max": "250000 100000"}, 3),
        (V2, {"sys/fs/cgroup/kubepods/pod7/cpu.max": "5000 100000"}, 1),
        (V2, {"sys/fs/cgroup/kubepods/pod7/cpu.max": "6400000 100000"}, 8),
        (V2, {"sys/fs/cgroup/kubepods/pod8/cpu.max": "100000 100000"}, 8),
        ("0::/", {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        ("0::/../..", {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        (V1, {f"{CPU}/docker/c0ffee/cpu.cfs_quota_us": "-1"}, 8),
        (
            V1,
            {
                f"{CPU}/docker/c0ffee/cpu.cfs_quota_us": "150000",
                f"{CPU}/docker/c0ffee/cpu.cfs_period_us": "50000",
            },
            3,
        ),
        (V1, {f"{CPU}/cpu.cfs_quota_us": "0", f"{CPU}/cpu.cfs_period_us": "0"}, 8),
        (V1, {f"{CPU}/docker/c0ffee/cpu.cfs_quota_us": "150000"}, 8),
    ],
    ids=[
        "v2 without a limit",
        "v2 whole",
        "v2 rounds up",
        "v2 at least one",
        "v2 more than there are",
        "v2 of another",
        "v2 own namespace",
        "v2 outside of its namespace",
        "v1 without a limit",
        "v1 period of its own",
        "v1 root",
        "v1 half a limit",
    ],
)
def test_a_quota_limits_the_cores(
    tmp_path: Path, membership: str, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(root=tree(tmp_path, membership, files)) == cores


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize("level", ["sys/fs/cgroup", "sys/fs/cgroup/a", "sys/fs/cgroup/a/b"])
def test_the_tightest_quota_on_the_way_up_counts(tmp_path: Path, level: str) -> None:
    files = {f"sys/fs/cgroup{part}/cpu.max": "600000 100000" for part in ("", "/a", "/a/b")}
    files[f"{level}/cpu.max"] = "300000 100000"
    assert usable_cores(root=tree(tmp_path, "0::/a/b", files)) == 3


@pytest.mark.usefixtures("eight_cores")
def test_a_container_that_sees_the_hosts_path_finds_its_quota_at_the_mount(tmp_path: Path) -> None:
    files = {f"{CPU}/cpu.cfs_quota_us": "200000", f"{CPU}/cpu.cfs_period_us": "100000"}
    assert usable_cores(root=tree(tmp_path, V1, files)) == 2


@pytest.mark.usefixtures("eight_cores")
def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(root=tmp_path) == 8


def test_without_affinity_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(root=tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(root=tmp_path) == 1


@pytest.mark.parametrize(
    ("torchs", "cores", "threads"), [(64, 4, 4), (2, 4, 2), (4, 4, 4)], ids=["down", "up", "same"]
)
def test_threads_are_brought_down_and_never_up(
    monkeypatch: pytest.MonkeyPatch, torchs: int, cores: int, threads: int
) -> None:
    held = fake_threads(monkeypatch, torchs, cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert set_threads() == threads == held[-1]


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_number_that_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    held = fake_threads(monkeypatch, 64, 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv(variable, "64")
    assert set_threads() == 64
    assert held == [64]


def fake_threads(monkeypatch: pytest.MonkeyPatch, torchs: int, cores: int) -> list[int]:
    """Numbers that torch was told, the last one in force, on a machine of `cores`."""
    held = [torchs]
    monkeypatch.setattr(torch, "get_num_threads", lambda: held[-1])
    monkeypatch.setattr(torch, "set_num_threads", held.append)
    monkeypatch.setattr(processors, "usable_cores", lambda: cores)
    return held
