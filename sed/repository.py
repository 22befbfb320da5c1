"""A repository of the Hugging Face hub: what of it is cached, fetching the rest, or why not."""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_]([\w.-]{0,94}\w)?", re.ASCII)


def is_repository_name(name: str) -> bool:
    """Whether a name can be that of a repository.

    Examples
    --------
    >>> is_repository_name("microsoft/wavlm-large"), is_repository_name("models/my model")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None and "--" not in name and ".." not in name


class NotFetchedError(ValueError):
    """Why the hub gave nothing.

    Parameters
    ----------
    reason : str
    elsewhere : bool
        Whether the same may succeed on another network or day.
    """

    def __init__(self, reason: str, *, elsewhere: bool = False) -> None:
        super().__init__(reason)
        self.elsewhere = elsewhere

    def with_way_out(self, command: str) -> str:
        """The reason, with the command that fetches it where that can help.

        Examples
        --------
        >>> error = NotFetchedError("the hub cannot be reached", elsewhere=True)
        >>> error.with_way_out("hf download owner/name")
        'the hub cannot be reached; where there is a network: hf download owner/name'
        """
        return f"{self}; where there is a network: {command}" if self.elsewhere else str(self)


def fetch_files(
    repo_id: str,
    filenames: Iterable[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    quiet: bool = False,
) -> Path:
    """Folder of the cache with these files of a repository; the hub is asked if one is missing.

    Parameters
    ----------
    repo_id : str
        ``owner/name`` on the hub.
    filenames : iterable of str
        Names at the top of the repository.
    revision, token, cache_dir, local_files_only
        As for `sed.hub.locate`.
    quiet : bool
        Whether to show no progress even on a terminal.

    Raises
    ------
    ValueError
        If a file is neither in the cache nor to be had from the hub.
    OSError
        If the cache cannot be written.
    """
    repository = Repository(repo_id, revision, token, cache_dir, local_files_only)
    filenames = list(filenames)
    cached = repository.cached(filenames)
    if cached is not None:
        return cached
    try:
        with repository.asking():
            missing = sorted(set(filenames) - repository.offered())
            if missing:
                raise NotFetchedError(f"the hub has no {', '.join(missing)} there")
            return repository.fetch(filenames, quiet=quiet)
    except NotFetchedError as error:
        command = repository.command("hf download", *filenames)
        raise ValueError(
            f"{repo_id}: {', '.join(filenames)} not in the cache, and {error.with_way_out(command)}"
        ) from error


@dataclass(frozen=True)
class Snapshot:
    """A repository in the cache, as it was at a revision.

    Parameters
    ----------
    name : str
        ``owner/name``.
    revision : str
        Branch or tag it was fetched as, or else the commit.
    size : int
        Bytes.
    folder : Path
    """

    name: str
    revision: str
    size: int
    folder: Path


def snapshots(cache_dir: str | Path | None = None) -> list[Snapshot]:
    """Models of whichever package in the cache, in order of their names, ``main`` first.

    Parameters
    ----------
    cache_dir : str or Path, optional
        As for `sed.hub.locate`.
    """
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(cache_dir or constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    found = []
    for repository in repositories:
        for revision in repository.revisions if repository.repo_type == "model" else ():
            names = sorted(revision.refs, key=lambda name: (name != "main", name))
            known_as = [*names, revision.commit_hash][0]
            size, folder = revision.size_on_disk, revision.snapshot_path
            found.append(Snapshot(repository.repo_id, known_as, size, folder))
    return sorted(found, key=lambda each: (each.name, each.revision != "main", each.revision))


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at a revision, and where its files are cached.

    Parameters
    ----------
    name : str
        ``owner/name``.
    revision, token, cache_dir, local_files_only
        As for `sed.hub.locate`.

    Raises
    ------
    ValueError
        If no repository can have the name.
    """

    name: str
    revision: str | None = None
    token: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        """Refuse a name that could mean something else, such as a path."""
        if not is_repository_name(self.name):
            raise ValueError(f"{self.name!r} is no repository of the hub, which is OWNER/NAME")

    @property
    def cache(self) -> Path:
        """Folder of the cache."""
        from huggingface_hub import constants

        return Path(self.cache_dir or constants.HF_HUB_CACHE).expanduser()

    def command(self, program: str, *filenames: str) -> str:
        """Command line that fetches it.

        Examples
        --------
        >>> Repository("owner/name", "v2").command("sed models download")
        'sed models download owner/name --revision v2'
        """
        options = {"--revision": self.revision, "--cache-dir": self.cache_dir}
        given = [part for key, value in options.items() if value for part in (key, str(value))]
        return f"{program} {shlex.join([self.name, *filenames, *given])}"

    def cached(self, filenames: Iterable[str]) -> Path | None:
        """Folder in which all the files are; only the disk is asked."""
        from huggingface_hub import try_to_load_from_cache

        folder = None
        for filename in filenames:
            path = try_to_load_from_cache(
                self.name, filename, cache_dir=self.cache, revision=self.revision
            )
            if not isinstance(path, str):
                return None
            folder = Path(path).parent
        return folder

    def offered(self) -> set[str]:
        """Names of the files on the hub."""
        from huggingface_hub import HfApi

        info = HfApi(token=self.token).model_info(self.name, revision=self.revision)
        return {file.rfilename for file in info.siblings or ()}

    def fetch(self, filenames: Iterable[str], *, quiet: bool) -> Path:
        """Folder of the cache with the files as they are on the hub now."""
        from huggingface_hub import snapshot_download

        wanted = list(filenames)
        with _bars(quiet=quiet) as bar:
            snapshot_download(
                self.name,
                revision=self.revision,
                token=self.token,
                cache_dir=self.cache,
                allow_patterns=wanted,
                tqdm_class=bar,
            )
        folder = self.cached(wanted)
        if folder is None:  # where the network breaks off, that call gives what there is
            raise NotFetchedError("the hub could not be reached any more", elsewhere=True)
        return folder

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """What the hub refuses as `NotFetchedError`, what the disk refuses with the cache's folder.

        Raises
        ------
        NotFetchedError
            If the hub does not answer, not give, or must not be asked.
        OSError
            If the cache cannot be written.
        """
        from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

        if self.local_files_only:
            raise NotFetchedError("the hub must not be asked", elsewhere=True)
        try:
            with _discreet():
                yield
        except (HTTPError, OSError, RuntimeError) as error:
            cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
            if isinstance(error, OSError) and error.errno is not None:
                raise OSError(error.errno, error.strerror, str(self.cache)) from error
            raise self._refusal(cause or error) from error

    def _refusal(self, error: BaseException) -> NotFetchedError:
        """Error of the hub's client in words that tell the way out."""
        from huggingface_hub import constants, errors

        detail = (str(error).strip() or type(error).__name__).partition("\n")[0]
        match error:
            case errors.GatedRepoError():
                reason = (
                    "the hub gives it only to those whom its owner admits: ask at "
                    f"{constants.ENDPOINT}/{self.name}, then log in with hf auth login"
                )
            case errors.RepositoryNotFoundError():
                reason = "the hub has none, unless it is private: then log in with hf auth login"
            case errors.RevisionNotFoundError():
                reason = f"the hub has no revision {self.revision!r} of it"
            case errors.OfflineModeIsEnabled():
                return NotFetchedError("HF_HUB_OFFLINE forbids asking the hub", elsewhere=True)
            case errors.HfHubHTTPError() if error.response.status_code == 401:
                reason = "the hub wants a valid token: log in with hf auth login"
            case errors.HfHubHTTPError():
                answer = f"{error.response.status_code} {error.response.reason_phrase}".strip()
                reason = f"the hub answers {answer}"
            case errors.HTTPError():
                return NotFetchedError(f"the hub cannot be reached ({detail})", elsewhere=True)
            case _:
                reason = f"it failed ({detail})"
        return NotFetchedError(reason)


@contextlib.contextmanager
def _discreet() -> Iterator[None]:
    """Keep the hub's client from telling its user, or others, what nobody asked for."""
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    level, telemetry = logger.level, constants.HF_HUB_DISABLE_TELEMETRY
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            logger.setLevel(logging.ERROR)
            constants.HF_HUB_DISABLE_TELEMETRY = True
            yield
        finally:
            logger.setLevel(level)
            constants.HF_HUB_DISABLE_TELEMETRY = telemetry


@contextlib.contextmanager
def _bars(*, quiet: bool) -> Iterator[Any]:
    """Class of progress bars for the hub's client that are gone afterwards; it leaves them open."""
    from huggingface_hub.utils import tqdm

    hidden = {"disable": True} if quiet or not (sys.stderr and sys.stderr.isatty()) else {}
    opened = []

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "leave": False, **hidden})
            opened.append(self)

    try:
        yield Bar
    finally:
        for bar in opened:
            bar.close()
