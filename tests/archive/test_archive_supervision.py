"""What is done next when workers die: again, and without what they die over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sed.archive.items import Item
from sed.archive.shelf import Journal, Shelf
from sed.archive.supervision import MAX_BEFORE_WORK, Supervisor
from sed.archive.tasks import Chunk, Joining, Lost, Outcome, Preparation, Stretch

ITEMS = tuple(Item(f"{name}.wav", name) for name in "abc")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with Shelf(tmp_path) as shelf:
        yield shelf


def die_at(shelf: Shelf, chunk: Chunk, index: int) -> None:
    """Leave what a worker does that dies over a recording: its note, and no end."""
    journal = Journal(shelf.folder, chunk.name)
    journal.__enter__()
    journal.at(index)


def test_a_chunk_goes_on_without_the_recording_that_two_workers_died_over(shelf: Shelf) -> None:
    chunk = Chunk(ITEMS)
    supervisor = Supervisor(iter([chunk]), shelf, num_workers=2)
    assert supervisor.next() == chunk
    for index, given_up in ((1, ()), (0, ()), (1, ((ITEMS[1], "of SIGKILL"),))):
        die_at(shelf, chunk, index)
        supervisor.settle(chunk, Lost("of SIGKILL"))
        again = supervisor.next()
        assert again == Chunk(ITEMS, given_up) and again.name == chunk.name
    assert supervisor.settle(again, Outcome(3, 1)) == Outcome(3, 1)
    assert supervisor.next() is None


def test_a_worker_that_dies_before_it_begins_is_no_recordings_fault(shelf: Shelf) -> None:
    """Not even that of the one over which another has died before."""
    chunk = Chunk(ITEMS)
    supervisor = Supervisor(iter([chunk]), shelf, num_workers=1)
    die_at(shelf, chunk, 2)
    supervisor.settle(chunk, Lost("of SIGKILL"))
    for _ in range(MAX_BEFORE_WORK - 1):
        supervisor.settle(chunk, Lost("of SIGSEGV"))
        assert supervisor.next() == chunk
    with pytest.raises(ValueError, match="workers die before they begin: of SIGSEGV"):
        supervisor.settle(chunk, Lost("of SIGSEGV"))


def test_the_steps_of_a_long_recording_come_before_anything_new(shelf: Shelf) -> None:
    long, other = Preparation(ITEMS[0]), Chunk(ITEMS[1:])
    supervisor = Supervisor(iter([long, other]), shelf, num_workers=2)
    assert supervisor.next() == long
    supervisor.settle(long, Outcome(num_windows=(5, 0)))
    stretches = [supervisor.next(), supervisor.next()]
    assert stretches == [Stretch(ITEMS[0], 0, 0, 2), Stretch(ITEMS[0], 0, 2, 5)]
    supervisor.settle(stretches[1], Outcome())
    assert supervisor.next() == other
    supervisor.settle(stretches[0], Lost("of SIGKILL"))
    assert supervisor.next() == stretches[0]
    supervisor.settle(stretches[0], Outcome())
    assert supervisor.next() == Joining(ITEMS[0], tuple(stretches))


def test_a_long_recording_that_fails_in_a_step_is_one_failed_row(shelf: Shelf) -> None:
    """Its other steps are dropped, and what comes of those that are under way is too."""
    long = Preparation(ITEMS[0])
    supervisor = Supervisor(iter([long]), shelf, num_workers=2)
    supervisor.next()
    supervisor.settle(long, Outcome(num_windows=(9,)))
    stretches = [supervisor.next() for _ in range(3)]
    supervisor.settle(stretches[0], Outcome(failure="too long"))
    assert supervisor.next() == Chunk(ITEMS[:1], ((ITEMS[0], "too long"),))
    assert supervisor.settle(stretches[1], Lost("of SIGKILL")) == Outcome()
    assert supervisor.settle(stretches[2], Outcome()) == Outcome()
    assert supervisor.next() is None
