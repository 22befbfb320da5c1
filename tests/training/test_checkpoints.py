"""Checkpoints: whole, or passed over; a full disk leaves the last whole one and no other."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.training.checkpoints import WholeCheckpointer  # noqa: E402
from sed.training.exports import best_checkpoint  # noqa: E402


@pytest.fixture
def weights() -> nn.Linear:
    return nn.Linear(2, 2)


@pytest.fixture
def checkpointer(weights: nn.Linear, tmp_path: Path) -> WholeCheckpointer:
    return WholeCheckpointer(tmp_path / "save", {"weights": weights})


def save(checkpointer: WholeCheckpointer, weights: nn.Linear, value: float) -> Path:
    """Checkpoint of weights that are all `value`, in its folder."""
    nn.init.constant_(weights.weight, value)
    checkpoint = checkpointer.save_checkpoint(meta={"loss": value, "unixtime": 1e9 + value})
    path: Path = checkpoint.path
    return path


def recovered(checkpointer: WholeCheckpointer, weights: nn.Linear) -> float | None:
    """Weight that a run would go on with."""
    nn.init.constant_(weights.weight, -1.0)
    found = checkpointer.recover_if_possible()
    return weights.weight[0, 0].item() if found else None


def test_a_checkpoint_comes_back(checkpointer: WholeCheckpointer, weights: nn.Linear) -> None:
    assert recovered(checkpointer, weights) is None
    for value in (1.0, 2.0):
        save(checkpointer, weights, value)
        assert recovered(checkpointer, weights) == value


@pytest.mark.parametrize("damage", ["mark", "mark and weights", "cut"])
def test_a_half_written_one_is_passed_over(
    damage: str, checkpointer: WholeCheckpointer, weights: nn.Linear
) -> None:
    """Whatever a kill has left of it; it is not counted as the best one either."""
    for value in (2.0, 1.0):
        path = save(checkpointer, weights, value)
        if value == 2.0:
            first = path
    (path / "WHOLE").unlink()
    if damage == "mark and weights":
        (path / "weights.ckpt").unlink()
    if damage == "cut":
        (path / "weights.ckpt").write_bytes((path / "weights.ckpt").read_bytes()[:50])
    assert recovered(checkpointer, weights) == 2.0
    assert [found.path for found in checkpointer.list_checkpoints()] == [first]
    found, meta = best_checkpoint(checkpointer.checkpoints_dir, "loss")
    assert (found, meta["loss"]) == (first, 2.0)


def test_the_best_checkpoint_has_the_least_of_its_measure(
    checkpointer: WholeCheckpointer, weights: nn.Linear
) -> None:
    """One that was saved within an epoch has none, and is not judged by."""
    paths = [save(checkpointer, weights, value) for value in (3.0, 1.0, 2.0)]
    checkpointer.save_checkpoint(meta={"within": True}, end_of_epoch=False)
    folder = checkpointer.checkpoints_dir
    assert best_checkpoint(folder, "loss")[0] == paths[1]
    with pytest.raises(ValueError, match="save holds no whole checkpoint"):
        best_checkpoint(folder, "eder")


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Let the system refuse what is written beyond a size, as it does on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_weights_that_find_no_room_leave_nothing(tmp_path: Path) -> None:
    """The last whole checkpoint stays, the unfinished one goes, and the message names the folder.

    torch says no more than that it cannot write, as a RuntimeError.
    """
    large = nn.Linear(2000, 1000)  # 8 MB
    checkpointer = WholeCheckpointer(tmp_path / "save", {"weights": large})
    whole = save(checkpointer, large, 1.0)
    with largest_file(1_000_000), pytest.raises(OSError) as caught:
        save(checkpointer, large, 2.0)
    assert caught.value.filename == str(tmp_path / "save")
    assert caught.value.errno == errno.ENOSPC
    assert list((tmp_path / "save").iterdir()) == [whole]
    assert recovered(checkpointer, large) == 1.0


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason=f"{FULL}, a disk without room, is Linux's")
@pytest.mark.parametrize("size", [2, 400])
@pytest.mark.parametrize("kind", ["tensors", "text"])
def test_a_full_disk_is_told_as_such(size: int, kind: str, tmp_path: Path) -> None:
    """Tensors large and small, and files that are no tensors."""

    def write(part: nn.Linear, path: Path) -> None:
        path.symlink_to(FULL)
        if kind == "tensors":
            torch.save(part.state_dict(), path)
        else:
            path.write_text("0" * size)

    checkpointer = WholeCheckpointer(tmp_path / "save", {})
    checkpointer.add_recoverable("part", nn.Linear(size, size), custom_save_hook=write)
    with pytest.raises(OSError, match="No space left on device") as caught:
        checkpointer.save_checkpoint()
    assert caught.value.filename == str(tmp_path / "save")
    assert not list((tmp_path / "save").iterdir())


def test_a_folder_that_must_not_be_written_is_named(
    checkpointer: WholeCheckpointer, weights: nn.Linear, permissions: None
) -> None:
    if sys.platform == "win32":
        pytest.skip("folders have no permissions there")
    checkpointer.checkpoints_dir.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught:
            save(checkpointer, weights, 1.0)
    finally:
        checkpointer.checkpoints_dir.chmod(0o700)
    assert caught.value.filename == str(checkpointer.checkpoints_dir)


def test_a_defect_is_no_full_disk(tmp_path: Path) -> None:
    """It stays what it is; what was written until then goes all the same."""

    def fail(part: nn.Linear, path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("shapes do not fit")

    checkpointer = WholeCheckpointer(tmp_path / "save", {})
    checkpointer.add_recoverable("part", nn.Linear(2, 2), custom_save_hook=fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        checkpointer.save_checkpoint()
    assert not list((tmp_path / "save").iterdir())
