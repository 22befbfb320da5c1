"""Batch normalisation of rows, over those of all processes where training is distributed."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F


class RowNorm(nn.Module):
    """Each channel at zero mean and unit variance over all rows, then scaled and moved.

    ::

        process 0   rows ── count, mean, deviations ──┐
        process 1   rows ── count, mean, deviations ──┼── mean and variance of all rows
        process 2   rows ── count, mean, deviations ──┘

    ``(x - mean) / sqrt(variance + eps) * weight + bias``. What processes compute of their own rows,
    however many each has, is what one process would compute of all. In inference the running
    statistics take the place of the rows'.

    None of torch's own, which SpeechBrain turns into ``SyncBatchNorm`` for distributed training: it
    refuses tensors on a processor.

    Parameters
    ----------
    channels : int
        Width of the rows.
    eps : float
        Added to the variance.
    momentum : float
        Weight of a batch in the running statistics.

    Examples
    --------
    >>> norm = RowNorm(2, eps=1e-3, momentum=0.01)
    >>> rows = norm(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    >>> [[round(value, 3) for value in row] for row in rows.tolist()]
    [[-1.0, 0.0], [1.0, 0.0]]
    >>> [round(value, 3) for value in norm.running_mean.tolist()]
    [0.02, 0.05]
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float, momentum: float) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise rows.

        Parameters
        ----------
        rows : (num_rows, channels) Tensor
            In training every process of the group has to bring some, or none, at the same time.

        Returns
        -------
        (num_rows, channels) Tensor
            Of the same dtype; statistics are taken in float32 at least.

        Raises
        ------
        ValueError
            If one process trains alone on one row, which has no variance.
        """
        if self.training and _num_processes() > 1:
            return self._among_processes(rows)
        running = self.running_mean, self.running_var
        return F.batch_norm(
            rows, *running, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _among_processes(self, rows: Tensor) -> Tensor:
        """Normalise by the rows of all processes, and let the running statistics follow."""
        wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
        counts, means, deviations = _statistics(wide)
        total = counts.sum()
        mean = (counts * means).sum(dim=0) / total
        # Sums of squares alone would cancel where the mean is far from zero (Chan et al. 1983).
        deviation = (deviations + counts * (means - mean).square()).sum(dim=0)
        variance = deviation / total
        with torch.no_grad():
            unbiased = deviation / (total - 1).clamp(min=1)
            for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.lerp_(now.to(running.dtype), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias, wide - mean, scale).to(rows.dtype)


def _num_processes() -> int:
    """Processes that train together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def _statistics(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of every process: how many, their mean, and the sum of squared deviations from it.

    One exchange brings all three, and one takes all gradients back.

    Returns
    -------
    (num_processes, 1), (num_processes, channels) and (num_processes, channels) Tensor
    """
    from torch.distributed.nn.functional import all_reduce

    mean = rows.sum(dim=0) / max(len(rows), 1)
    deviation = (rows - mean).square().sum(dim=0)
    own = torch.cat((rows.new_full((1,), len(rows)), mean, deviation))
    before = distributed.get_rank()
    behind = distributed.get_world_size() - before - 1
    # A table with a line of each process and zeros elsewhere: its sum is a gathering, by the one
    # exchange that every backend has, and that can be differentiated.
    table = all_reduce(F.pad(own[None], (0, 0, before, behind)))
    counts, means, deviations = table.split((1, rows.shape[1], rows.shape[1]), dim=1)
    return counts, means, deviations
