"""What is to be done next: tasks, the steps that follow from others, and those of dead workers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace

from sed.archive.items import Item
from sed.archive.shelf import Shelf
from sed.archive.tasks import Chunk, Joining, Lost, Outcome, Preparation, Stretch, Task

MAX_DEATHS = 2
"""Workers that may die over a recording until it is given up."""

MAX_BEFORE_WORK = 5
"""Workers that may die over a task while none of its recordings is worked on."""


class Supervisor:
    """Gives out tasks until everything has a row.

    A chunk whose worker has died is tried again. If two have died over the same recording, which
    the worker's journal tells, that is given up, and the chunk goes on without it: one recording
    that cannot be worked on costs itself alone.

    Parameters
    ----------
    tasks : iterator of Chunk or Preparation
    shelf : Shelf
    num_workers : int
    """

    def __init__(
        self,
        tasks: Iterator[Chunk | Preparation],
        shelf: Shelf,
        *,
        num_workers: int,
    ) -> None:
        self._tasks, self._shelf = tasks, shelf
        self._num_workers = num_workers
        self._first: deque[Task] = deque()  # what others wait for, before anything new
        self._split: dict[Item, _Steps] = {}
        self._deaths: Counter[Item | Task] = Counter()

    def next(self) -> Task | None:
        """What is to be done, None if nothing is for now."""
        if self._first:
            return self._first.popleft()
        task = next(self._tasks, None)
        if isinstance(task, Preparation):
            self._split[task.item] = _Steps()
        return task

    def settle(self, task: Task, result: Outcome | Lost) -> Outcome:
        """Take what became of a task.

        Returns
        -------
        Outcome
            What counts of it.

        Raises
        ------
        ValueError
            If workers die before they begin to work.
        """
        if isinstance(result, Lost):
            self._lost(task, result.reason)
            return Outcome()
        if isinstance(task, Chunk):
            return result
        steps = self._split.get(task.item)
        if steps is None:  # given up meanwhile
            return Outcome()
        if result.failure is not None:
            self._give_up(task, task.item, result.failure)
            return replace(result, failure=None)
        if isinstance(task, Joining):
            del self._split[task.item]
            return result
        if isinstance(task, Preparation):
            steps.stretches = tuple(self._stretches(task.item, result.num_windows))
            steps.waiting = set(steps.stretches)
            self._first.extend(steps.stretches)
        else:
            steps.waiting.discard(task)
        if not steps.waiting:
            self._first.append(Joining(task.item, steps.stretches))
        return result

    def _stretches(self, item: Item, num_windows: tuple[int, ...]) -> Iterator[Stretch]:
        """Parts of a long recording: two for each worker, so that all end together."""
        for side, number in enumerate(num_windows):
            num_parts = min(number, -(-2 * self._num_workers // len(num_windows)))
            for part in range(num_parts):
                first, end = number * part // num_parts, number * (part + 1) // num_parts
                yield Stretch(item, side, first, end)

    def _lost(self, task: Task, reason: str) -> None:
        """A worker has died: try again, or give up what it died over."""
        if isinstance(task, Chunk):
            index = self._shelf.at(task.name)
            item = None if index is None else task.items[index]
        else:
            item = task.item
            if item not in self._split:
                return
        self._deaths[item or task] += 1
        num_deaths = self._deaths[item or task]
        if item is None and num_deaths >= MAX_BEFORE_WORK:
            raise ValueError(f"workers die before they begin: {reason}")
        if item is not None and num_deaths >= MAX_DEATHS:
            self._give_up(task, item, reason)
        else:
            self._first.append(task)

    def _give_up(self, task: Task, item: Item, reason: str) -> None:
        """Let the row of a recording say that it failed."""
        if isinstance(task, Chunk):
            self._first.append(replace(task, given_up=(*task.given_up, (item, reason))))
            return
        del self._split[item]
        self._first = deque(t for t in self._first if isinstance(t, Chunk) or t.item != item)
        self._first.append(Chunk((item,), ((item, reason),)))


class _Steps:
    """Where a long recording is between its first and its last step."""

    def __init__(self) -> None:
        self.stretches: tuple[Stretch, ...] = ()
        self.waiting: set[Stretch] = set()
