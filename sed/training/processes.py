"""What the processes of a distributed training tell each other; nothing where there is one."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed
from torch import Tensor

Item = TypeVar("Item")


def num_processes() -> int:
    """Processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1


def rank() -> int:
    """Number of this process, from zero."""
    return torch.distributed.get_rank() if num_processes() > 1 else 0


def summed(value: Tensor) -> Tensor:
    """Sum of a tensor over all processes, without gradient."""
    if num_processes() == 1:
        return value
    value = value.detach().clone()
    torch.distributed.all_reduce(value)
    return value


def gathered(items: list[Item]) -> list[Item]:
    """What all processes have, the first one's first."""
    if num_processes() == 1:
        return items
    parts: list[list[Item]] = [[] for _ in range(num_processes())]
    torch.distributed.all_gather_object(parts, items)
    return [item for part in parts for item in part]
