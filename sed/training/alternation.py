"""Mini-batches that take the corpora in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class AlternatingBatches(Sampler[list[int]]):
    """Batches of one corpus each, corpus after corpus (da Silva et al., section 4.4).

    ::

        step       0        1       2        3        4       5
        corpus     ravdess  emodb   tess     ravdess  emodb   tess

    Each corpus is dealt out in an order of its own, and shuffled again when it is used up, so a
    small corpus is heard more often than a large one.

    Parameters
    ----------
    corpora : sequence of str
        Corpus of each example.
    batch_size : int
    num_steps : int
        Batches in an epoch.
    seed : int

    Examples
    --------
    >>> batches = AlternatingBatches(["a", "a", "b"], batch_size=2, num_steps=3, seed=0)
    >>> [sorted(batch) for batch in batches]
    [[0, 1], [2, 2], [0, 1]]
    """

    def __init__(
        self, corpora: Sequence[str], *, batch_size: int, num_steps: int, seed: int
    ) -> None:
        names = np.array(corpora)
        self.places = [np.flatnonzero(names == name) for name in dict.fromkeys(corpora)]
        self.batch_size, self.num_steps = batch_size, num_steps
        self._rng = np.random.default_rng(seed)
        self._dealt: list[list[int]] = [[] for _ in self.places]
        self._step = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.num_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of the next epoch, which goes on where the last one ended."""
        for _ in range(self.num_steps):
            turn = self._step % len(self.places)
            self._step += 1
            dealt = self._dealt[turn]
            while len(dealt) < self.batch_size:
                dealt.extend(self._rng.permutation(self.places[turn]).tolist())
            yield dealt[: self.batch_size]
            del dealt[: self.batch_size]
