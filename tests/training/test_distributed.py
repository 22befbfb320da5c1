"""Two processes learn what one would with batches twice as large."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from speechbrain.utils.run_opts import RunOptions  # noqa: E402
from tiny_training import KINDS, distance, logged, tiny_experiment  # noqa: E402

from sed.training.checkpoints import WholeCheckpointer  # noqa: E402
from sed.training.experiment import make_model, train  # noqa: E402
from sed.training.exports import best_checkpoint  # noqa: E402
from sed.training.processes import gathered, num_processes, rank, summed  # noqa: E402

Results = dict[str, Any]


def trained(kind: str, folder: Path, batch_size: int) -> Results:
    """Weights before and after a whole training, and what it found in the validation."""
    hparams, parts = tiny_experiment(kind, folder / kind, batch_size=batch_size)
    torch.manual_seed(hparams["seed"])
    model = make_model(hparams)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    options = {"device": "cpu", "noprogressbar": True, "distributed_backend": "gloo"}
    train(hparams, RunOptions.from_dictionary(options), model, parts)
    _, found = best_checkpoint(folder / kind / "out" / "save", "loss")
    return {"before": before, "after": model.state_dict(), "valid": found}


def kept(folder: Path) -> list[int]:
    """Losses of the checkpoints that are left of thirty, the best and the last."""
    checkpointer = WholeCheckpointer(folder, {"weights": torch.nn.Linear(1, 1)})
    for epoch in range(30):
        meta = {"loss": abs(epoch - 20), "unixtime": float(epoch)}
        checkpointer.save_and_keep_only(meta=meta, min_keys=["loss"])
    return [found.meta["loss"] for found in checkpointer.find_checkpoints()]


def work(number: int, folder: str) -> None:
    """What each of two processes does."""
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number)}  # as torchrun does
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=number,
        world_size=2,
        timeout=timedelta(seconds=300),
    )
    results: Results = {kind: trained(kind, Path(folder), batch_size=2) for kind in KINDS}
    results["rank"] = rank(), num_processes()
    results["summed"] = summed(torch.tensor([1.0, 10.0 * number]))
    results["gathered"] = gathered([number] * (2 - number))
    results["kept"] = kept(Path(folder) / "save")
    torch.save(results, Path(folder) / f"{number}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have trained together."""
    made = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(work, (str(made),), nprocs=2)
    return made


@pytest.fixture(scope="module")
def processes(folder: Path) -> list[Results]:
    """Results of the two."""
    return [torch.load(folder / f"{number}.pt") for number in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one_with_larger_batches(
    kind: str, folder: Path, processes: list[Results], tmp_path: Path
) -> None:
    """Weights to 1e-6, losses and errors to 1e-5; one process has more to judge than the other."""
    alone = trained(kind, tmp_path, batch_size=4)
    first, second = (process[kind] for process in processes)
    assert distance(first["before"], alone["before"]) == 0.0
    assert distance(alone["before"], alone["after"]) > 1e-2
    assert distance(first["after"], alone["after"]) < 1e-6
    assert distance(second["after"], first["after"]) < 1e-6
    assert first["valid"]["eder"] == pytest.approx(alone["valid"]["eder"])
    for name in ("loss", "frame_error"):
        assert first["valid"][name] == pytest.approx(alone["valid"][name], rel=1e-5)
    for name in ("train loss", "valid loss"):
        logs = [logged(path / kind / "out", name) for path in (folder, tmp_path)]
        assert len(logs[0]) == 2 and logs[0] == pytest.approx(logs[1], rel=1e-3)  # four digits


def test_processes_tell_each_other_what_they_have(processes: list[Results]) -> None:
    for number, process in enumerate(processes):
        assert process["rank"] == (number, 2)
        assert process["summed"].tolist() == [2.0, 10.0]
        assert process["gathered"] == [0, 0, 1]


def test_processes_agree_on_the_checkpoints_that_go(processes: list[Results]) -> None:
    """One that saw another list than the other would wait for it for ever."""
    assert [process["kept"] for process in processes] == [[9, 0], [9, 0]]


def test_one_process_keeps_what_it_has() -> None:
    value, items = torch.tensor([1.0]), [1, 2]
    assert (rank(), num_processes()) == (0, 1)
    assert summed(value) is value and gathered(items) is items
