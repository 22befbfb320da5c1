"""The recordings of an archive as a stream: files, folders, globs, manifests, URIs."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from sed.archive.manifests import is_manifest, read_manifest
from sed.archive.names import Names, name_of
from sed.archive.remote import find_remote, is_remote
from sed.audio import find_recordings
from sed.errors import EXPECTED, describe
from sed.labels import spelling_in_rttm

OnError = Callable[[str, str], None]
"""``on_error(name, message)``: told of what is not as it should be, while all else still comes."""


@dataclass(frozen=True)
class Item:
    """A recording of an archive.

    Parameters
    ----------
    path : str
        A file as it was given or found, or a URI that fsspec knows.
    uri : str
        Its name.
    """

    path: str
    uri: str


def find_items(arguments: Iterable[str], *, on_error: OnError) -> Iterator[Item]:
    r"""Every recording that the arguments name, as a stream.

    A file is named by its stem, a file of a folder by its path in it without ending, one of a
    manifest as that says; where two would be named alike, the later one keeps its ending, or gets
    a number.

    Parameters
    ----------
    arguments : iterable of str
        Files, folders, globs, manifests (see `sed.archive.manifests`), or URIs of such.
    on_error : callable
        Told of an argument without recordings, of a folder that must not be read, and of a line of
        a manifest that names none.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.wav", "a.flac", "b.txt"):
    ...     (folder / name).touch()
    >>> _ = (folder / "all.csv").write_text("path,uri\na.wav,first\na.flac,\n")
    >>> [item.uri for item in find_items([str(folder)], on_error=print)]
    ['a', 'a.wav']
    >>> [item.uri for item in find_items([str(folder / "all.csv")], on_error=print)]
    ['first', 'a']
    """
    names = Names()
    for argument in arguments:
        try:
            for path, name in _expand(argument, on_error):
                yield Item(path, names.unique(name, PurePath(path).suffix))
        except EXPECTED as error:
            on_error(argument, describe(error))


def find_files(argument: str, *, on_error: OnError) -> Iterator[tuple[Path, str]]:
    """Files of a file, folder or glob, each with its name if nothing else had it.

    Raises
    ------
    ValueError
        If there is none and `on_error` has not been told why.
    """
    if not argument:  # the current folder to Path, an unset variable to whoever wrote it
        raise ValueError("an empty name is no file; name one, or . for this folder")
    path = Path(argument)
    found: Iterable[tuple[Path, str]]
    nothing = True

    def skip(error: OSError) -> None:
        nonlocal nothing
        nothing = False  # said already: there may be recordings, but they must not be seen
        on_error(str(error.filename), describe(error))

    if path.is_dir():
        files = find_recordings(path, on_error=skip)
        found = ((file, name_of(file.relative_to(path))) for file in files)
    elif not os.path.lexists(path) and glob.has_magic(argument):
        matches = (Path(file) for file in sorted(glob.glob(argument, recursive=True)))
        found = ((file, name_of(Path(file.name))) for file in matches if not file.is_dir())
    else:
        found = [(path, name_of(Path(path.name)))]
    for item in found:
        nothing = False
        yield item
    if nothing:
        raise ValueError(f"{argument}: no audio file found")


def _expand(argument: str, on_error: OnError) -> Iterator[tuple[str, str]]:
    """Paths of one argument, each with the name it would have if nothing else had it."""
    if is_manifest(argument) and (is_remote(argument) or not Path(argument).is_dir()):
        for path, uri in read_manifest(argument, on_error=on_error):
            yield path, spelling_in_rttm(uri) or "_"
    elif is_remote(argument):
        yield from find_remote(argument)
    else:
        for file, name in find_files(argument, on_error=on_error):
            yield str(file), name
