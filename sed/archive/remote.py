"""Recordings that are elsewhere: what fsspec finds by a URI, copied here while it is worked on."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sed.archive.names import name_of
from sed.decoders import is_audio
from sed.errors import EXPECTED, describe

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of a system's errors that are those of a disk, not of a recording."""


def is_remote(path: str) -> bool:
    """Whether a path is a URI.

    Examples
    --------
    >>> is_remote("s3://calls/a.wav"), is_remote("calls/a.wav")
    (True, False)
    """
    return "://" in path


def load_fsspec() -> Any:
    """Fsspec, which knows object stores by their URIs.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        import fsspec
    except ModuleNotFoundError:
        raise ValueError(
            "recordings by their URIs need fsspec: pip install "
            "'speech-emotion-diarization[archive]'"
        ) from None
    return fsspec


def find_remote(argument: str) -> Iterator[tuple[str, str]]:
    """Recordings of a URI as a stream, each with its name if nothing else had it.

    Parameters
    ----------
    argument : str
        Of a file, a folder or bucket (searched recursively, hidden files left out), or a glob.

    Raises
    ------
    OSError, ValueError
        If there is none, or the store cannot be read; the message names the argument.

    Examples
    --------
    >>> import fsspec
    >>> memory = fsspec.filesystem("memory")
    >>> memory.pipe({"/taped/x/a.wav": b"", "/taped/b.MP3": b"", "/taped/c.txt": b""})
    >>> list(find_remote("memory://taped/"))
    [('memory:///taped/b.MP3', 'b'), ('memory:///taped/x/a.wav', 'x/a')]
    """
    with _explained(argument):
        system, root = load_fsspec().core.url_to_fs(argument)
        nothing = True
        for path, name in _find(system, root):
            nothing = False
            yield system.unstrip_protocol(path), name_of(PurePosixPath(name))
        if nothing:
            raise ValueError(f"{argument}: no audio file found")


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """File of a recording: itself, or a copy in a temporary folder that goes with the block.

    Raises
    ------
    OSError, ValueError
        If it cannot be copied; the message names the recording.
    """
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="sed-") as folder:
        copy = Path(folder) / f"recording{PurePosixPath(path).suffix}"
        with _explained(path):
            system, source = load_fsspec().core.url_to_fs(path)
            system.get_file(source, str(copy))
        try:
            yield copy
        except EXPECTED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _alike(error, describe(error).replace(str(copy), path)) from None


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Stream of bytes of a file or URI.

    Raises
    ------
    OSError, ValueError
        If it cannot be read; the message names it.
    """
    if not is_remote(path):
        with open(path, "rb") as stream:
            yield stream
        return
    with _explained(path):
        stream = load_fsspec().open(path, "rb").open()
    with stream:
        yield stream


def size_of(path: str) -> int:
    """Bytes of a recording, 0 where that cannot be told."""
    try:
        if not is_remote(path):
            return Path(path).stat().st_size
        system, source = load_fsspec().core.url_to_fs(path)
        return int(system.size(source) or 0)
    except Exception:  # whoever works on it says what is wrong
        return 0


def _find(system: Any, root: str) -> Iterator[tuple[str, str]]:
    """Paths in a store, and what each is called below `root`."""
    if any(character in root for character in "*?["):
        for path in sorted(system.glob(root)):
            if not system.isdir(path):
                yield path, PurePosixPath(path).name
    elif system.isdir(root):
        for folder, folders, files in system.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if is_audio(name) and not name.startswith("."):
                    path = f"{folder.rstrip('/')}/{name}"
                    yield path, path.removeprefix(root.rstrip("/")).lstrip("/")
    elif system.exists(root):
        yield root, PurePosixPath(root).name
    else:
        raise FileNotFoundError(f"{root} does not exist; check its spelling")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """One line about whatever a store's own package raises."""
    try:
        yield
    except EXPECTED as error:
        if describe(error).startswith(path):
            raise
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise _alike(error, f"{path}: {describe(error)}") from None
    except Exception as error:  # such as credentials that are missing, or a package
        raise ValueError(f"{path}: {describe(error)}") from None


def _alike(error: BaseException, message: str) -> Exception:
    """Error of the same kind with another message."""
    return OSError(message) if isinstance(error, OSError) else ValueError(message)
