"""What makes a folder safe for jobs: one server at a time, rows that are on the disk."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
    channel TEXT NOT NULL, with_neutral INTEGER NOT NULL, state TEXT NOT NULL, error TEXT,
    created REAL NOT NULL, started REAL, finished REAL, size INTEGER NOT NULL,
    duration REAL NOT NULL, num_channels INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    corrected INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON jobs (state, number);
PRAGMA user_version = {_VERSION};
"""


class Lock:
    """A folder held by one process, however that ends.

    An open transaction of SQLite locks a file on every system, and the system frees it even if the
    process is killed.

    Raises
    ------
    ValueError
        If another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(
            folder / "lock", timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            self._connection.close()
            raise ValueError(
                f"another server works in {folder}; stop it or choose another --folder"
            ) from None

    def release(self) -> None:
        """Let others in."""
        self._connection.close()


def open_database(path: Path) -> sqlite3.Connection:
    """Table of jobs, made if need be; a commit to it is on the disk.

    Raises
    ------
    ValueError
        If the file is none of ours.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    try:
        [(version,)] = database.execute("PRAGMA user_version")
        if version not in (0, _VERSION):
            raise ValueError(
                f"{path} was made by another version of this program; choose another --folder"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    except sqlite3.DatabaseError as error:
        database.close()
        raise ValueError(f"{path}: {error}; move it away or choose another --folder") from None
    except ValueError:
        database.close()
        raise
    return database


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, on systems that keep them apart."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
