"""How the recordings of an archive are diarized: what every worker, and its dataset, is told."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sed.hub import kind_of, locate, read_config

if TYPE_CHECKING:
    from sed.pipeline import Pipeline


@dataclass(frozen=True)
class Work:
    """Options of `sed.archive.run.diarize_archive`, as those of ``sed diarize``.

    Parameters
    ----------
    model : str
        Embedded model, a model's folder, or ``owner/name`` on the hub.
    device : str
        "auto", or a torch device.
    dtype : str
        As in `sed.pipeline.Pipeline.from_pretrained`.
    vad : str
        "silero", "energy", "none", or an RTTM or UEM file.
    channel : str
        "mix", "split" or a channel's number, counted from 1.
    decoding, speech : mapping of str to value
        Fields of `sed.decoding.Decoding` and `sed.decoding.Binarize` that are not as usual.
    out : Path, optional
        Folder for a file of each recording too.
    format : str
        Of those files.

    Examples
    --------
    >>> settings = Work(channel="split").settings()
    >>> settings["model"], settings["channel"], len(settings["weights"])
    ('timnet-mfcc', 'split', 16)
    """

    model: str = "timnet-mfcc"
    device: str = "auto"
    dtype: str = "auto"
    vad: str = "silero"
    channel: str = "mix"
    decoding: Mapping[str, Any] = field(default_factory=dict)
    speech: Mapping[str, Any] = field(default_factory=dict)
    out: Path | None = None
    format: str = "rttm"

    def settings(self) -> dict[str, Any]:
        """All that rows depend on, for `sed.archive.dataset.Dataset.open`.

        Raises
        ------
        OSError, ValueError
            If there is no such model, or a file cannot be read.
        """
        folder = locate(self.model)
        files = sorted(path for path in folder.iterdir() if path.suffix != ".md" and path.is_file())
        is_file = os.path.isfile(self.vad)
        return {
            "model": os.path.basename(self.model) if os.path.isdir(self.model) else self.model,
            "weights": _digest(files),
            "dtype": self.dtype,
            "vad": f"{os.path.basename(self.vad)} {_digest([self.vad])}" if is_file else self.vad,
            "channel": self.channel,
            "speech": dict(self.speech),
            "decoding": dict(self.decoding),
        }

    def is_light(self) -> bool:
        """Whether the model is one for one thread: no encoder, but a network of finite context.

        Raises
        ------
        OSError, ValueError
            If there is no such model.
        """
        folder = locate(self.model)
        if kind_of(folder) == "speechbrain":
            return False
        return read_config(folder)["specifications"].get("context") is not None

    def load(self, *, number: int = 0) -> Pipeline:
        """The pipeline.

        Parameters
        ----------
        number : int
            Of the worker, counted from 0: several share out the GPUs of a machine.

        Raises
        ------
        OSError, ValueError
            If the model, device, VAD or a setting does not exist.
        """
        from sed.loading import load_pipeline

        return load_pipeline(
            self.model,
            device=_spread(self.device, number),
            dtype=self.dtype,
            vad=self.vad,
            decoding=self.decoding,
            speech=self.speech,
        )


@dataclass(frozen=True)
class Setup:
    """What a worker has to know.

    Parameters
    ----------
    work : Work
    dataset : Path
        Folder of the dataset.
    shelf : Path
        Folder of this run, for what lies between two steps; it is gone when the run is over.
    here : Path
        The folder that relative paths start from.
    num_threads : int
        Each worker computes with if the model has an encoder; others have one, whose result does
        not depend on how many workers there are.
    number : int
        Of the worker, counted from 0.
    """

    work: Work
    dataset: Path
    shelf: Path
    here: Path
    num_threads: int
    number: int = 0

    def of_worker(self, number: int) -> Setup:
        """The same for another worker."""
        return dataclasses.replace(self, number=number)


def _spread(device: str, number: int) -> str:
    import torch

    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return f"cuda:{number % count}" if count > 1 else device


def _digest(files: list[Path] | list[str]) -> str:
    """Hash of the content of files, in 16 digits."""
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
