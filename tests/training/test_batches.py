"""Batches of an epoch: every example once, no epoch sees another's, and processes share each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sed.training.batches import EpochBatches

LENGTHS = np.random.default_rng(0).integers(1, 1000, size=997)


def length_of(index: int) -> int:
    return int(LENGTHS[index % len(LENGTHS)])


def batches_of(batches: EpochBatches, epoch: int) -> list[list[int]]:
    batches.epoch = epoch
    found = list(batches)
    assert len(found) == len(batches)
    return found


@settings(deadline=None)  # a busy machine
@given(
    num_batches=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    group=st.integers(1, 15),
    num_processes=st.integers(1, 3),
    with_lengths=st.booleans(),
)
def test_processes_share_every_index_of_an_epoch_once(
    num_batches: int, batch_size: int, group: int, num_processes: int, with_lengths: bool
) -> None:
    """And the epochs share none; a resumed one is the same again."""
    everyone = [
        EpochBatches(
            num_batches,
            batch_size,
            length_of=length_of if with_lengths else None,
            group=group,
            rank=rank,
            num_processes=num_processes,
        )
        for rank in range(num_processes)
    ]
    size = num_batches * batch_size * num_processes
    epochs = []
    for epoch in (1, 2, 3):
        found = [batches_of(batches, epoch) for batches in everyone]
        assert all(len(batch) == batch_size for own in found for batch in own)
        indices = [index for own in found for batch in own for index in batch]
        assert sorted(indices) == list(range(epoch * size, (epoch + 1) * size))
        epochs.append(found)
    assert [batches_of(batches, 2) for batches in everyone] == epochs[1]


@pytest.mark.parametrize("group", [1, 4])
def test_two_processes_step_on_what_one_steps_on_with_larger_batches(group: int) -> None:
    options = {"length_of": length_of, "group": group}
    alone = batches_of(EpochBatches(6, 4, **options), 3)
    pair = [EpochBatches(6, 2, rank=rank, num_processes=2, **options) for rank in range(2)]
    first, second = (batches_of(batches, 3) for batches in pair)
    assert [sorted(one + other) for one, other in zip(first, second, strict=True)] == [
        sorted(batch) for batch in alone
    ]


def padding(batches: list[list[int]]) -> int:
    """Samples that fill the batches up."""
    lengths = [[length_of(index) for index in batch] for batch in batches]
    return sum(max(batch) * len(batch) - sum(batch) for batch in lengths)


def test_batches_that_are_sorted_together_hold_less_padding() -> None:
    """And come in no order of length."""
    plain, grouped = (
        batches_of(EpochBatches(64, 4, length_of=length_of, group=group), 1) for group in (1, 16)
    )
    assert plain == [list(range(start, start + 4)) for start in range(256, 512, 4)]
    assert padding(grouped) < 0.2 * padding(plain)
    means = [np.mean([length_of(index) for index in batch]) for batch in grouped[:16]]
    assert abs(np.corrcoef(means, np.arange(16))[0, 1]) < 0.7


def test_groups_and_epochs_are_shuffled_each_in_their_own_way() -> None:
    batches = EpochBatches(32, 1, length_of=lambda index: index, group=16)
    orders = set()
    for epoch in range(3):
        found = [index for [index] in batches_of(batches, epoch)]
        orders |= {tuple(np.argsort(found[:16])), tuple(np.argsort(found[16:]))}
    assert len(orders) == 6


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-3, 2, 1)])
def test_an_epoch_of_nothing_is_refused(sizes: tuple[int, int, int]) -> None:
    num_batches, batch_size, group = sizes
    with pytest.raises(ValueError, match="all must be 1 or more"):
        EpochBatches(num_batches, batch_size, group=group)
