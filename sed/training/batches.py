"""Batches of an epoch: which examples, how many, and which beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[int]]):
    """Indices of endless examples, batch by batch: no epoch sees an example of another.

    Batches of recordings that are about equally long hold little padding, so a step is quicker.
    Examples are drawn at random, so it is enough to sort some batches at a time.

    ::

        drawn     5 9 2 8 | 1 7 3 6 | 4 8 2 9        lengths of three batches of four examples
        grouped   1 2 2 3 | 8 8 9 9 | 4 5 6 7        sorted, cut, and the batches shuffled

    Parameters
    ----------
    num_batches : int
        Batches of an epoch.
    batch_size : int
        Examples of a batch in each process.
    length_of : callable, optional
        Length of the example with an index, without which nothing is sorted.
    group : int
        Batches that are sorted together; 1 leaves the examples as they are drawn.
    rank, num_processes : int
        Each process takes its share of every batch, which has `batch_size` examples for each.

    Examples
    --------
    >>> lengths = [5, 9, 2, 8, 1, 7, 3, 6]
    >>> batches = EpochBatches(2, 4, length_of=lambda index: lengths[index % 8], group=2)
    >>> sorted([[lengths[index] for index in batch] for batch in batches])
    [[1, 2, 3, 5], [6, 7, 8, 9]]
    >>> batches.epoch = 1
    >>> sorted(index for batch in batches for index in batch)
    [8, 9, 10, 11, 12, 13, 14, 15]
    """

    def __init__(
        self,
        num_batches: int,
        batch_size: int,
        *,
        length_of: Callable[[int], int] | None = None,
        group: int = 1,
        rank: int = 0,
        num_processes: int = 1,
    ) -> None:
        if min(num_batches, batch_size, group) < 1:
            raise ValueError(
                f"an epoch of {num_batches} batches of {batch_size} examples, sorted {group} "
                "batches at a time, is none; all must be 1 or more"
            )
        self.num_batches, self.batch_size = num_batches, batch_size
        self.length_of, self.group = length_of, group
        self.rank, self.num_processes = rank, num_processes
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of this process in the current epoch."""
        size = self.batch_size * self.num_processes
        for first in range(0, self.num_batches, self.group):
            num_batches = min(self.group, self.num_batches - first)
            start = (self.epoch * self.num_batches + first) * size
            indices = np.arange(start, start + num_batches * size)
            order = np.arange(num_batches)
            if self.length_of is not None and self.group > 1:
                lengths = [self.length_of(int(index)) for index in indices]
                indices = indices[np.argsort(lengths, kind="stable")]
                order = np.random.default_rng(start).permutation(num_batches)
            batches = indices.reshape(num_batches, self.num_processes, self.batch_size)
            for batch in batches[order, self.rank]:
                yield batch.tolist()
