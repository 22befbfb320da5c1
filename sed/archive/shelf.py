"""What lies between two steps of a run, in the dataset's folder; and that it has one run at a time.

::

    emotions/.run/3f9c…/       this run's
        4a07….at               which recording of a chunk is worked on
        9e11…/0.npz 0.f32 …    a long recording between its steps, see `sed.archive.splitting`

A worker writes no row once the folder of its run is gone: one that outlives its run, on a machine
that was cut off, adds nothing to what the next run does.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_RUNS = ".run"


class Shelf:
    """Folder of one run, which ends what earlier ones have left behind.

    Parameters
    ----------
    dataset : Path
        Folder of the dataset.

    Raises
    ------
    ValueError
        If another run works on the dataset; on entering.
    OSError
        If it cannot be written; on entering.

    Examples
    --------
    >>> import tempfile
    >>> with Shelf(Path(tempfile.mkdtemp())) as shelf:
    ...     with Journal(shelf.folder, "4a07") as journal:
    ...         journal.at(3)
    ...         before = shelf.at("4a07")
    >>> before, shelf.at("4a07"), shelf.folder.exists()
    (3, None, False)
    """

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset.absolute()
        self.folder = self.dataset / _RUNS / uuid.uuid4().hex
        self._lock: int | None = None

    def __enter__(self) -> Shelf:
        """Lock the dataset, and clean up."""
        self._lock = _locked(self.dataset)
        try:
            self._clean()
            self.folder.mkdir(parents=True)
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clean up, and unlock."""
        try:
            with suppress(OSError):  # the next run does it
                self._clean()
        finally:
            self._unlock()

    def at(self, name: str) -> int | None:
        """Index of the recording that a chunk's worker was at when it was last heard of.

        That is forgotten then: the next worker may die before it begins.
        """
        path = self.folder / f"{name}.at"
        try:
            index = int(path.read_text())
            path.unlink()
        except (OSError, ValueError):
            return None
        return index if index >= 0 else None

    def _clean(self) -> None:
        """Remove what runs have left: this one, and any before it that was killed."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.dataset / _RUNS)
        for unfinished in self.dataset.glob("part=*/.*"):
            with suppress(FileNotFoundError):
                unfinished.unlink()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class Journal:
    """A worker's note of what it is at, for when it cannot say so any more.

    Parameters
    ----------
    shelf : Path
    name : str
        Of the chunk.
    """

    def __init__(self, shelf: Path, name: str) -> None:
        self._path = shelf / f"{name}.at"

    def at(self, index: int) -> None:
        """Note the recording that is next."""
        os.pwrite(self._descriptor, b"%-8d" % index, 0)

    def __enter__(self) -> Journal:
        """Open the file."""
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is worked on any more."""
        os.close(self._descriptor)
        with suppress(FileNotFoundError):
            self._path.unlink()


def _locked(folder: Path) -> int | None:
    """Descriptor that holds the folder's lock, None where the system has none.

    Raises
    ------
    ValueError
        If another process holds it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f"{folder}: another run writes this dataset; wait for it, or name another folder"
        ) from None
    except OSError:  # a file system without locks for folders, such as NFS
        os.close(descriptor)
        return None
    return descriptor
