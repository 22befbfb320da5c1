"""Who gets what: everything once, the longest first, all at an end together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sed.archive.items import Item
from sed.archive.schedule import Limits, schedule
from sed.archive.tasks import Chunk, Preparation


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Recordings of 1 to 30 s in no order."""
    found = []
    for index in range(30):
        seconds = 1 + index * 7 % 30
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, np.zeros(seconds * 4_000), 4_000)
        found.append(Item(str(path), f"{index}-{seconds}"))
    return found


def seconds_of(task: Chunk | Preparation) -> list[int]:
    items = task.items if isinstance(task, Chunk) else (task.item,)
    return [int(item.uri.partition("-")[2]) for item in items]


@pytest.mark.parametrize("num_workers", [1, 2, 5])
@pytest.mark.parametrize("window", [3, 4096])
def test_everything_is_given_out_once_within_the_limits(
    items: list[Item], num_workers: int, window: int
) -> None:
    limits = Limits(audio=60.0, num_recordings=4, split=25.0, window=window)
    tasks = list(schedule(iter(items), num_workers=num_workers, limits=limits))
    given = [seconds_of(task) for task in tasks]
    assert sorted(sum(given, [])) == list(range(1, 31))
    for task, seconds in zip(tasks, given, strict=True):
        assert seconds == sorted(seconds, reverse=True)
        if isinstance(task, Preparation):
            assert num_workers > 1 and seconds[0] > 25
        assert len(seconds) == 1 or (sum(seconds) <= 60 and len(seconds) <= 4)


def test_the_longest_come_first_and_the_last_chunks_are_small(items: list[Item]) -> None:
    tasks = list(schedule(iter(items), num_workers=2, limits=Limits()))
    given = [seconds_of(task) for task in tasks]
    # a window for a quick start, then all that is left, which ends the stream
    assert [len(seconds) for seconds in given[:1]] != [30]
    assert sum(given[-1]) <= sum(given[0]) / 4
    assert len(given) >= 6


@pytest.mark.parametrize(
    ("seconds", "num_workers", "shared"),
    [
        ([60, 9, 9], 2, [60]),
        ([60, 50, 9], 2, [60, 50]),
        ([60] * 9, 2, []),  # nobody waits for one of them
        ([60] * 9, 5, [60] * 9),
        ([60, 9, 9], 1, []),
    ],
)
def test_only_what_would_hold_the_end_is_shared(
    tmp_path: Path, seconds: list[int], num_workers: int, shared: list[int]
) -> None:
    items = []
    for index, length in enumerate(seconds):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, np.zeros(length * 1000), 1000)
        items.append(Item(str(path), f"{index}-{length}"))
    tasks = schedule(iter(items), num_workers=num_workers, limits=Limits(split=25.0))
    given = [seconds_of(task) for task in tasks if isinstance(task, Preparation)]
    assert sum(given, []) == shared


def test_what_cannot_be_read_is_given_out_too(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    items = [Item(str(tmp_path / name), name) for name in ("bad.wav", "missing.wav")]
    tasks = list(schedule(iter(items), num_workers=1, limits=Limits()))
    assert {item for task in tasks for item in task.items} == set(items)


def test_a_stream_without_end_begins_at_once(items: list[Item]) -> None:
    def endless():
        while True:
            yield from items

    tasks = schedule(endless(), num_workers=2, limits=Limits(window=50))
    assert isinstance(next(tasks), Chunk)
    tasks.close()


def test_limits_are_above_zero() -> None:
    with pytest.raises(ValueError, match="limits must be above zero"):
        Limits(num_recordings=0)
