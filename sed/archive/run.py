"""Whole archives: found, scheduled, worked on by many, and gone on with after any interruption.

::

    arguments ── items ── those without a row ── schedule ── tasks ── workers ── dataset
                                                    └────── supervision ──┘
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sed.archive.dataset import Dataset, Seen
from sed.archive.items import Item, OnError, find_items
from sed.archive.pools import LocalPool, Pool
from sed.archive.schedule import Limits, schedule
from sed.archive.shelf import Shelf
from sed.archive.supervision import Supervisor
from sed.archive.tasks import Outcome
from sed.archive.work import Setup, Work
from sed.cluster import load_ray
from sed.errors import about
from sed.formats import format_named
from sed.processors import usable_cores

ENGINES = ("local", "ray")
"""Who works: processes of this machine, or a Ray cluster."""

PATIENCE = 10.0
"""Seconds that a part may take to be seen by the machine that has not written it."""

_TICK = 0.5


@dataclass(frozen=True)
class Crew:
    """Who works on an archive.

    Parameters
    ----------
    engine : {"local", "ray"}
    jobs : int, optional
        Recordings at a time. By default one for each core where the model is a light one, else one,
        or on Ray one for each machine or GPU.
    address : str, optional
        Of a Ray cluster, "auto" for the one that this machine is part of; one is started on this
        machine by default, and stopped at the end.

    Raises
    ------
    ValueError
        If there is no such engine or nobody works, or an address has no use.
    """

    engine: str = "local"
    jobs: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.engine not in ENGINES:
            raise ValueError(f"engine {self.engine!r}; choose {' or '.join(ENGINES)}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"{self.jobs} jobs; give 1 or more")
        if self.address is not None and self.engine != "ray":
            raise ValueError("an address is that of a Ray cluster; choose the engine ray")


@dataclass(frozen=True)
class Summary:
    """How far a run is.

    Parameters
    ----------
    num_done, num_failed : int
        Recordings that have got a row in this run, and how many of these say that they failed.
    num_before : int
        Recordings that had one.
    num_missing : int
        Arguments, folders and lines of manifests that gave no recording.
    audio, wall : float
        Seconds of the recordings of this run that did not fail, and that it has taken.
    """

    num_done: int = 0
    num_failed: int = 0
    num_before: int = 0
    num_missing: int = 0
    audio: float = 0.0
    wall: float = 0.0

    @property
    def speed(self) -> float:
        """Hours of audio per hour."""
        return self.audio / self.wall if self.wall > 0 else 0.0


def diarize_archive(
    inputs: Iterable[str],
    folder: str | Path,
    work: Work | None = None,
    *,
    crew: Crew | None = None,
    limits: Limits | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Summary], None] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Summary:
    """Diarize an archive into a Parquet dataset; what has a row there is not done again.

    Parameters
    ----------
    inputs : iterable of str
        Files, folders, globs, manifests, or URIs that fsspec knows; see `find_items`.
    folder : str or Path
        Of the dataset, see `sed.archive.dataset.Dataset`: new, or to go on with.
    work : Work, optional
        How recordings are diarized.
    crew : Crew, optional
        Who works on them; that does not change the result.
    limits : Limits, optional
        How much is worked on at once; nor does that.
    retry_failed : bool
        Whether recordings that failed are tried again.
    on_progress : callable, optional
        Told how far it is, several times a second.
    on_line : callable, optional
        Told of every recording that failed or is odd, in one line.

    Returns
    -------
    Summary

    Raises
    ------
    OSError
        If something cannot be written; what is done stays done.
    ValueError
        If an option has no such value, the dataset was made with other settings, or something that
        is needed is not installed.
    KeyboardInterrupt
        After Ctrl-C; what is done stays done, and nothing is half-written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = mkdtemp()
    >>> summary = diarize_archive(["examples/call.wav"], folder, Work(channel="split"))
    >>> summary.num_done, diarize_archive(["examples/call.wav"], folder, Work(channel="split"))
    (1, Summary(num_done=0, num_failed=0, num_before=1, ...))
    >>> [(row.uri, row.channel) for row in Dataset(Path(folder)).rows()]
    [('call', 1), ('call', 2)]
    """
    work, crew, limits = work or Work(), crew or Crew(), limits or Limits()
    format_named(work.format, "")
    if crew.engine == "ray":
        load_ray()
    dataset = Dataset.open(folder, work.settings())
    if work.out is not None:
        work.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=work.out).close()
    with Shelf(dataset.folder) as shelf:
        if retry_failed:
            dataset.drop_failed()
        tally = _Tally(on_progress, on_line, num_before=len(seen := dataset.seen()))
        jobs = crew.jobs or (usable_cores() if work.is_light() else 1)
        num_threads = max(1, usable_cores() // jobs)
        setup = Setup(work, dataset.folder.absolute(), shelf.folder, Path.cwd(), num_threads)
        items = _unseen(inputs, seen, on_error=tally.miss)
        try:
            with _pool(setup, crew, jobs) as pool:
                num_workers = pool.num_free
                tasks = schedule(items, num_workers=num_workers, limits=limits)
                with closing(tasks):
                    _drive(pool, Supervisor(tasks, shelf, num_workers=num_workers), tally)
        finally:
            tally.tell()
        return tally.summary


def _pool(setup: Setup, crew: Crew, jobs: int) -> Pool:
    if crew.engine == "ray":
        from sed.archive.ray_pool import RayPool

        return RayPool(setup, crew.jobs, crew.address)
    return LocalPool(setup, jobs)


def _unseen(inputs: Iterable[str], seen: Seen, *, on_error: OnError) -> Iterator[Item]:
    for item in find_items(inputs, on_error=on_error):
        if (item.path, item.uri) not in seen:
            yield item


def _drive(pool: Pool, supervisor: Supervisor, tally: _Tally) -> None:
    """Give tasks to workers until there are none."""
    while True:
        while pool.num_free:
            task = supervisor.next()
            if task is None:
                break
            pool.start(task)
        if not pool.num_busy:
            return
        for task, result in pool.wait(_TICK):
            outcome = supervisor.settle(task, result)
            if outcome.stop is not None:
                raise outcome.stop
            _require_part(outcome)
            tally.add(outcome)
        tally.tell()


def _require_part(outcome: Outcome) -> None:
    """Refuse to count rows that only the machine which wrote them can see."""
    deadline = time.monotonic() + PATIENCE
    while outcome.part is not None and not outcome.part.exists():
        if time.monotonic() > deadline:
            raise ValueError(
                f"{outcome.part} is not here, though a worker has written it; name a folder for "
                "the dataset that all machines share"
            )
        time.sleep(_TICK)


class _Tally:
    """Counts what is done, and tells."""

    def __init__(
        self,
        on_progress: Callable[[Summary], None] | None,
        on_line: Callable[[str], None] | None,
        *,
        num_before: int,
    ) -> None:
        self._on_progress, self._on_line = on_progress, on_line
        self._start = time.monotonic()
        self._summary = Summary(num_before=num_before)
        self._lock = threading.Lock()  # recordings are found in a thread

    @property
    def summary(self) -> Summary:
        """How far it is."""
        return dataclasses.replace(self._summary, wall=time.monotonic() - self._start)

    def add(self, outcome: Outcome) -> None:
        """Count what a task has done."""
        with self._lock:
            now = self._summary
            self._summary = dataclasses.replace(
                now,
                num_done=now.num_done + outcome.num_recordings,
                num_failed=now.num_failed + outcome.num_failed,
                audio=now.audio + outcome.seconds,
            )
        for line in outcome.lines:
            self._say(line)

    def miss(self, name: str, message: str) -> None:
        """Count what gave no recording."""
        with self._lock:
            now = self._summary
            self._summary = dataclasses.replace(now, num_missing=now.num_missing + 1)
        self._say(about(name, message))

    def tell(self) -> None:
        """Say how far it is."""
        if self._on_progress is not None:
            self._on_progress(self.summary)

    def _say(self, line: str) -> None:
        if self._on_line is not None:
            self._on_line(line)
