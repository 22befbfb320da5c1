"""Where a model is: in the package, in a folder, in the cache of the Hugging Face hub, or on it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sed.repository import (
    NotFetchedError,
    Repository,
    Snapshot,
    fetch_files,
    is_repository_name,
    snapshots,
)

Kind = Literal["sed", "onnx", "speechbrain"]
"""What a folder holds: our model, our model exported, or a published checkpoint of SpeechBrain."""

PRETRAINED = Path(__file__).parent / "pretrained"
"""Models that are part of the package, one folder each."""

CONFIG, WEIGHTS, ONNX, CARD = "config.json", "model.safetensors", "model.onnx", "README.md"
CHECKPOINT = ("hyperparams.yaml", "label_encoder.txt", "wav2vec2.ckpt", "model.ckpt")
"""Files of a published checkpoint of SpeechBrain."""

_NEEDED = (CONFIG, WEIGHTS, CARD, *CHECKPOINT)  # beside what begins with ONNX


@dataclass(frozen=True)
class CachedModel(Snapshot):
    """A model in the cache of the hub.

    Parameters
    ----------
    name, revision, size, folder
        See `sed.repository.Snapshot`.
    kind : {"sed", "onnx", "speechbrain"}
    """

    kind: Kind


def embedded_models() -> list[str]:
    """Names of the models that are part of the package.

    Examples
    --------
    >>> embedded_models()
    ['timnet-mfcc']
    """
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CONFIG}"))


def read_config(folder: Path) -> dict[str, Any]:
    """Content of a model's ``config.json``.

    Raises
    ------
    ValueError
        If it is no JSON object with the specifications of a model.

    Examples
    --------
    >>> read_config(PRETRAINED / "timnet-mfcc")["specifications"]["classes"]
    ['neutral', 'happy', 'sad', 'angry']
    """
    path = folder / CONFIG
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict) or "specifications" not in content:
        raise ValueError(f"{path} is not the config of a model of this package")
    return content


def kind_of(folder: str | Path) -> Kind | None:
    """What kind of model a folder holds, None if it holds none or is no folder.

    Examples
    --------
    >>> kind_of(PRETRAINED / "timnet-mfcc"), kind_of(PRETRAINED)
    ('sed', None)
    """
    folder = Path(folder)
    known = (CONFIG, WEIGHTS, ONNX, *CHECKPOINT)
    return _kind({name for name in known if (folder / name).is_file()}, folder)


def _kind(names: set[str], folder: Path) -> Kind | None:
    """Kind of a folder that holds, or will hold, these files; a config must be there already."""
    if CONFIG in names and names & {WEIGHTS, ONNX}:
        with contextlib.suppress(ValueError):  # other packages name their files the same
            read_config(folder)
            return "sed" if WEIGHTS in names else "onnx"
    return "speechbrain" if names.issuperset(CHECKPOINT) else None


def locate(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Folder of a model; the hub is asked only for what is nowhere else.

    ::

        embedded ──▶ folder ──▶ cache ──▶ hub
        timnet-mfcc  any path   owner/name, at its revision

    Parameters
    ----------
    name_or_path : str or Path
        Name of an embedded model, path of a folder, or ``owner/name`` of a repository. A `Path` is
        never looked up on the hub.
    revision : str, optional
        Branch, tag or commit of the repository; ``main`` by default.
    token : str, optional
        By default that of ``hf auth login``, or of the environment variable ``HF_TOKEN``.
    cache_dir : str or Path, optional
        By default that of ``huggingface_hub``, see its ``HF_HOME`` and ``HF_HUB_CACHE``.
    local_files_only : bool
        Whether not to ask the hub at all.

    Raises
    ------
    ValueError
        If there is no such model, or it cannot be fetched; the message says why and what would.
    OSError
        If the cache cannot be written.

    Examples
    --------
    >>> locate("timnet-mfcc").name
    'timnet-mfcc'
    """
    name, folder = str(name_or_path), Path(name_or_path)
    if name in embedded_models():
        return PRETRAINED / name
    if name and kind_of(folder):
        return folder
    if name and folder.exists():
        raise ValueError(_why_no_model(folder))
    absent = f"no model {name!r}: neither embedded ({', '.join(embedded_models())})"
    if isinstance(name_or_path, Path) or not is_repository_name(name):
        raise ValueError(f"{absent} nor a folder; a model on the hub is named OWNER/NAME")
    repository = Repository(name, revision, token, cache_dir, local_files_only)
    for marker in (CONFIG, CHECKPOINT[0]):
        cached = repository.cached([marker])
        if cached is not None and kind_of(cached):
            return cached
    try:
        return _download(repository)
    except NotFetchedError as error:
        command = repository.command("sed models download")
        raise ValueError(
            f"{absent}, nor a folder, nor in the cache, and {error.with_way_out(command)}"
        ) from error


def download(
    name: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    quiet: bool = False,
) -> Path:
    """Folder of a model of the hub as it is there now; only what has changed is fetched.

    Parameters
    ----------
    name : str
        ``owner/name``; an embedded model is there already.
    revision, token, cache_dir
        As for `locate`.
    quiet : bool
        Whether to show no progress even on a terminal.

    Returns
    -------
    Path
        In the cache, from which `locate` takes it without a network, along with what a checkpoint
        of SpeechBrain needs from elsewhere.

    Raises
    ------
    ValueError
        If the hub does not give it, or it is no model of this package.
    OSError
        If the cache cannot be written.

    Examples
    --------
    >>> download("timnet-mfcc") == locate("timnet-mfcc")
    True
    """
    if name in embedded_models():
        return PRETRAINED / name
    try:
        return _download(Repository(name, revision, token, cache_dir), quiet=quiet)
    except NotFetchedError as error:
        raise ValueError(f"{name} cannot be downloaded: {error}") from error


def cached_models(cache_dir: str | Path | None = None) -> list[CachedModel]:
    """Models in the cache of the hub that this package can load, in order of their names.

    Parameters
    ----------
    cache_dir : str or Path, optional
        As for `locate`.

    Examples
    --------
    >>> cached_models("no/such/folder")
    []
    """
    found = []
    for snapshot in snapshots(cache_dir):
        kind = kind_of(snapshot.folder)
        if kind is not None:
            found.append(CachedModel(**vars(snapshot), kind=kind))
    return found


def _why_no_model(folder: Path) -> str:
    """What is wrong with a folder that `kind_of` takes for none of ours."""
    if (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (WEIGHTS, ONNX)):
        try:
            read_config(folder)
        except ValueError as error:
            return str(error)
    return (
        f"{folder} is no folder of a model: it needs {CONFIG} and {WEIGHTS} or {ONNX}, or "
        f"SpeechBrain's {', '.join(CHECKPOINT)}"
    )


def _download(repository: Repository, *, quiet: bool = False) -> Path:
    """Folder of a model of the hub, and of what else it needs."""
    with repository.asking():
        offered = repository.offered()
        # Before gigabytes of something else: whose config is it?
        folder = repository.fetch([CONFIG], quiet=True) if CONFIG in offered else Path()
        kind = _kind(offered, folder)
        if kind is None:
            raise NotFetchedError("what the hub has there is no model of this package")
        needed = sorted(name for name in offered if name in _NEEDED or name.startswith(ONNX))
        folder = repository.fetch(needed, quiet=quiet)
    if kind == "speechbrain":
        from sed.interop.speechbrain import ENCODER_FILES, encoder_source

        source = encoder_source(folder)
        if not Path(source).is_dir():
            token, cache_dir = repository.token, repository.cache_dir
            fetch_files(source, ENCODER_FILES, token=token, cache_dir=cache_dir, quiet=quiet)
    return folder
