"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[TextIO]:
    """Text stream whose content takes the place of a file once the block ends well.

    Until then it grows in a temporary file of the same folder; an error or Ctrl-C removes that
    and leaves what stood at `path` untouched. What is no regular file, such as a pipe or
    ``/dev/null``, is written directly.

    Parameters
    ----------
    path : str or Path
        Its folder is made if need be.

    Raises
    ------
    OSError
        If the folder cannot be made or written, or the disk is full.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "new" / "a.txt") as stream:
    ...     _ = stream.write("whole")
    >>> [file.name for file in (folder / "new").iterdir()], (folder / "new" / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    path = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as stream:
            yield stream
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    """Permissions that new files of this process lack; mkstemp grants none to others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
