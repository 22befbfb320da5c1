"""Normalisation of rows: torch's own in one process, and the same numbers among several."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sed.heads.normalization import RowNorm
from sed.heads.timnet import TIMNet

Results = dict[str, Any]
Pair = tuple[Results, Results]

FEATURES = torch.randn(3, 12, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LENGTHS = torch.tensor([12, 5, 7])
ROWS = torch.randn(13, 5, generator=torch.Generator().manual_seed(1))
SPLITS = {"uneven": (9, 4), "one without": (13, 0)}
"""Rows of each of two processes."""


def network() -> TIMNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TIMNet(6, 4, channels=5, num_blocks=2, dropout=0.0).double().train()


def trained(network: nn.Module, *batch: Tensor) -> Results:
    """Logits of a training step, and what it leaves behind."""
    logits = network(*batch)
    logits.square().sum().backward()
    head = network.module if isinstance(network, DistributedDataParallel) else network
    return {
        "logits": logits.detach(),
        "gradients": {name: weight.grad for name, weight in head.named_parameters()},
        "statistics": dict(head.named_buffers()),
    }


def normalised(rows: Tensor, norm: nn.Module | None = None) -> Results:
    """Rows behind a normalisation in training, and what comes back through it."""
    norm = norm or RowNorm(rows.shape[1], eps=1e-3, momentum=0.25)
    rows = rows.clone().requires_grad_()
    given = norm(rows)
    # Not their sum, nor that of their squares, which no normalised rows can change.
    (given.float() ** 3).sum().backward()
    return {
        "given": given.detach(),
        "came back": rows.grad,
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        "mean": norm.running_mean,
        "variance": norm.running_var,
    }


def work(rank: int, folder: str) -> None:
    """What each of two processes does."""
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    # As SpeechBrain prepares its modules.
    head = DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(network()))
    if rank == 0:
        batch: tuple[Tensor, ...] = FEATURES[:2], LENGTHS[:2]
    else:
        batch = (FEATURES[2:, : int(LENGTHS[2])],)
    results: Results = {"network": trained(head, *batch)}
    for name, split in SPLITS.items():
        own = ROWS.split(split)[rank]
        results[name] = normalised(own)
        results[f"{name}, far"] = normalised(own + 1e4)
        results[f"{name}, bfloat16"] = normalised(own.bfloat16())
    torch.save(results, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Results of two processes that train together."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(work, (str(folder),), nprocs=2)
    first, second = (torch.load(folder / f"{rank}.pt") for rank in range(2))
    return first, second


def test_one_process_has_the_numbers_of_torch() -> None:
    """Bit for bit, in training and in inference."""
    norm, expected = RowNorm(5, eps=1e-3, momentum=0.25), nn.BatchNorm1d(5, 1e-3, 0.25)
    for module in (norm, expected):
        nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(2))
    for rows in (ROWS, ROWS.bfloat16()):
        ours, theirs = normalised(rows, norm), normalised(rows, expected)
        for name, value in theirs.items():
            assert torch.equal(ours[name], value), name
    assert torch.equal(norm.eval()(ROWS), expected.eval()(ROWS))
    assert expected.state_dict().keys() - norm.state_dict().keys() == {"num_batches_tracked"}


def test_processes_train_as_one_would_with_all_their_sequences(processes: Pair) -> None:
    """In float64, within 1e-10: logits, gradients, and the running statistics of either."""
    alone = trained(network(), FEATURES, LENGTHS)
    first, second = (process["network"] for process in processes)
    tolerance = {"atol": 1e-10, "rtol": 0}
    torch.testing.assert_close(first["logits"], alone["logits"][:2], **tolerance)
    torch.testing.assert_close(second["logits"][0], alone["logits"][2, :7], **tolerance)
    for process in (first, second):
        assert process["gradients"].keys() == alone["gradients"].keys()
        for name, gradient in alone["gradients"].items():
            summed = 2 * process["gradients"][name]  # of what DistributedDataParallel averages
            torch.testing.assert_close(summed, gradient, **tolerance, msg=name)
        for name, statistic in alone["statistics"].items():
            torch.testing.assert_close(
                process["statistics"][name], statistic, **tolerance, msg=name
            )


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("kind", "offset", "tolerance"),
    # 1e4 is known to a thousandth in float32, its square to eight
    [("", 0.0, 1e-5), (", far", 1e4, 2e-2), (", bfloat16", 0.0, 3e-2)],
)
def test_processes_share_their_statistics(
    processes: Pair, split: str, kind: str, offset: float, tolerance: float
) -> None:
    """Rows far from zero keep their variance; the tolerance is relative, of norms."""
    rows = ROWS + offset
    if "bfloat16" in kind:
        rows = rows.bfloat16()
    exact = normalised(rows.double(), RowNorm(5, eps=1e-3, momentum=0.25).double())
    first, second = (process[split + kind] for process in processes)
    for name in ("given", "came back"):
        assert first[name].dtype == second[name].dtype == rows.dtype
        assert distance(torch.cat((first[name], second[name])), exact[name]) < tolerance, name
    for name in ("weight", "bias"):
        assert distance(first[name] + second[name], exact[name]) < tolerance, name
    for name in ("mean", "variance"):  # in float32 whatever the rows
        assert distance(first[name], exact[name]) < (1e-3 if offset else 1e-5), name
        assert torch.equal(first[name], second[name])


def distance(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())
