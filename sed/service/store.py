"""Jobs on disk: a row each in SQLite, and a folder each with audio and results.

::

    FOLDER/
      lock               held while a server runs, see `sed.service.database.Lock`
      jobs.sqlite3       the rows, in order of arrival
      uploads/ID         audio that is still coming, forgotten at the next start
      jobs/ID/           audio, result.json, corrected.json, posteriors.npz, peaks.npz

A job exists once its row is committed, and the row is written after the audio is on the disk: what
was accepted survives the death of the server, and what was not leaves no trace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sed.service.database import Lock, open_database, sync_folder
from sed.service.jobs import STATES, Job, Options, State, is_id, new_id


class QueueFullError(Exception):
    """As many jobs wait as may."""


class Store:
    """The jobs of a server; its methods may be called from any thread.

    Parameters
    ----------
    folder : Path
        Made if need be, for this user only: speech is private.
    max_attempts : int, optional
        Jobs that were begun so often when the server died count as failed.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    ValueError
        If another server works in it, or its database is none of ours.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> upload = store.new_upload()
    >>> _ = upload.write_bytes(b"audio")
    >>> job = store.accept(
    ...     upload, "call.wav", Options(), duration=1.0, num_channels=1, max_queue=9)
    >>> store.take().id == job.id, store.get(job.id).state
    (True, 'running')
    >>> store.close()
    """

    def __init__(self, folder: Path, *, max_attempts: int = 5) -> None:
        self.folder = folder
        self.progress: dict[str, float] = {}
        """Of the jobs that are worked on; not worth a write to the disk each time."""
        self._mutex = threading.RLock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = Lock(folder)
        try:
            for name in ("uploads", "jobs"):
                (folder / name).mkdir(mode=0o700, exist_ok=True)
            self._database = open_database(folder / "jobs.sqlite3")
            self._recover(max_attempts)
        except BaseException:
            self._lock.release()
            raise

    def _recover(self, max_attempts: int) -> None:
        """Queue again what was being worked on, and remove what belongs to no job."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = 'failed', finished = ?, error = ? "
                "WHERE state = 'running' AND attempts >= ?",
                (
                    time.time(),
                    f"the server died {max_attempts} times while it worked on this recording",
                    max_attempts,
                ),
            )
            database.execute(
                "UPDATE jobs SET state = 'queued', started = NULL WHERE state = 'running'"
            )
            known = {id for (id,) in database.execute("SELECT id FROM jobs")}
        for path in (self.folder / "uploads").iterdir():
            path.unlink()
        for path in (self.folder / "jobs").iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.OperationalError):  # a full disk has ended it
                    self._database.execute("ROLLBACK")
                raise

    def new_upload(self) -> Path:
        """Path for audio that is about to come."""
        return self.folder / "uploads" / new_id()

    def folder_of(self, id: str) -> Path:
        """Folder of a job's files."""
        assert is_id(id)
        return self.folder / "jobs" / id

    def audio(self, id: str) -> Path:
        """Recording of a job."""
        return self.folder_of(id) / "audio"

    def accept(
        self,
        upload: Path,
        name: str,
        options: Options,
        *,
        duration: float,
        num_channels: int,
        max_queue: int,
    ) -> Job:
        """Make an upload a job; once this returns, it will be worked on, come what may.

        Parameters
        ----------
        upload : Path
            From `new_upload`, its content on the disk; it is moved.
        name : str
        options : Options
        duration : float
            Seconds.
        num_channels : int
        max_queue : int

        Raises
        ------
        QueueFullError
            If `max_queue` jobs are waiting.
        """
        id = upload.name
        folder = self.folder_of(id)
        try:
            size = upload.stat().st_size
            folder.mkdir(mode=0o700)
            os.replace(upload, folder / "audio")
            for changed in (folder, folder.parent):
                sync_folder(changed)
            with self._transaction() as database:
                if self.num_queued() >= max_queue:
                    raise QueueFullError
                database.execute(
                    "INSERT INTO jobs (id, name, channel, with_neutral, state, created, size, "
                    "duration, num_channels) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?)",
                    (
                        id,
                        name,
                        options.channel,
                        options.with_neutral,
                        time.time(),
                        size,
                        duration,
                        num_channels,
                    ),
                )
                [job] = self._select("WHERE id = ?", id)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job

    def get(self, id: str) -> Job | None:
        """Job of an id, None where there is none."""
        found = self._select("WHERE id = ?", id) if is_id(id) else []
        return found[0] if found else None

    def page(self, limit: int, *, before: int | None = None) -> list[Job]:
        """Newest jobs, or the newest of those that came before one of a number."""
        last = 2**63 - 1 if before is None else before
        return self._select("WHERE number < ? ORDER BY number DESC LIMIT ?", last, limit)

    def counts(self) -> dict[State, int]:
        """Number of jobs in each state."""
        with self._mutex:
            rows = self._database.execute("SELECT state, count(*) FROM jobs GROUP BY state")
            return dict.fromkeys(STATES, 0) | dict(rows)

    def num_queued(self) -> int:
        """Number of jobs that wait."""
        with self._mutex:
            [(count,)] = self._database.execute("SELECT count(*) FROM jobs WHERE state = 'queued'")
            return int(count)

    def take(self) -> Job | None:
        """Begin the job that has waited longest, None where none waits."""
        with self._transaction() as database:
            waiting = self._select("WHERE state = 'queued' ORDER BY number LIMIT 1")
            if not waiting:
                return None
            database.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 "
                "WHERE id = ?",
                (time.time(), waiting[0].id),
            )
            return self._select("WHERE id = ?", waiting[0].id)[0]

    def end(self, id: str, state: State, error: str | None = None) -> bool:
        """End a job that is worked on, or for ``cancelled`` also one that waits.

        Returns
        -------
        bool
            Whether it was so: another may have ended or removed it.
        """
        before = ("running", "queued") if state == "cancelled" else ("running", "running")
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE jobs SET state = ?, error = ?, finished = ? "
                "WHERE id = ? AND state IN (?, ?)",
                (state, error, time.time(), id, *before),
            ).rowcount
        self.progress.pop(id, None)
        return changed == 1

    def put_back(self, id: str) -> None:
        """Queue a job that is worked on again, in its old place, as if it was never begun."""
        self.progress.pop(id, None)
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = 'queued', started = NULL, attempts = attempts - 1 "
                "WHERE id = ? AND state = 'running'",
                (id,),
            )

    def mark_corrected(self, id: str) -> None:
        """Remember that there is a corrected annotation."""
        with self._transaction() as database:
            database.execute("UPDATE jobs SET corrected = 1 WHERE id = ?", (id,))

    def remove(self, id: str) -> None:
        """Forget a job and delete its files."""
        with self._transaction() as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (id,))
        self.remove_files(id)

    def remove_files(self, id: str) -> None:
        """Delete what lies in a job's folder."""
        shutil.rmtree(self.folder_of(id), ignore_errors=True)

    def remove_ended(self, *, before: float) -> int:
        """Remove the jobs that ended before a time; their number."""
        ended = self._select("WHERE finished < ?", before)
        for job in ended:
            self.remove(job.id)
        return len(ended)

    def _select(self, condition: str, *values: object) -> list[Job]:
        with self._mutex:
            rows = self._database.execute(f"SELECT * FROM jobs {condition}", values).fetchall()
        return [self._job(dict(row)) for row in rows]

    def _job(self, row: dict[str, Any]) -> Job:
        options = Options(row.pop("channel"), bool(row.pop("with_neutral")))
        row["corrected"] = bool(row["corrected"])
        progress = 1.0 if row["state"] == "done" else self.progress.get(row["id"], 0.0)
        return Job(options=options, progress=progress, **row)

    def close(self) -> None:
        """Let go of the folder."""
        with self._mutex:
            self._database.close()
        self._lock.release()
