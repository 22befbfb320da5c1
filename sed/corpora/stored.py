"""Speech of utterances in one file: found and levelled once, read piece by piece ever after."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sed.corpora.clips import SHORT_SILENCES, read_speech
from sed.corpora.utterance import Utterance
from sed.files import whole_file
from sed.vad import vad_named

OnError = Callable[[Utterance, Exception], None]

_BYTES = np.dtype(np.float32).itemsize


@dataclass(frozen=True)
class StoredClip:
    """Clip whose samples lie in a file with those of many others.

    Parameters
    ----------
    utterance : Utterance
    path : Path
        Samples in float32, one clip behind the other.
    start, num_samples : int
    """

    utterance: Utterance
    path: Path = field(repr=False)
    start: int
    num_samples: int

    @property
    def samples(self) -> np.ndarray:
        """(num_samples,) array of float32, read now."""
        return np.fromfile(
            self.path, dtype=np.float32, count=self.num_samples, offset=self.start * _BYTES
        )


def stored_clips(
    utterances: Sequence[Utterance],
    folder: str | Path,
    *,
    vad: str,
    sample_rate: int,
    progress: Iterable[Utterance] | None = None,
    on_error: OnError | None = None,
) -> list[StoredClip]:
    """Speech of utterances, see `sed.corpora.clips.read_speech`, in a file that is made once.

    Memory does not grow with the corpora, and several runs or processes share the file. A changed
    recording or setting gives another file.

    Parameters
    ----------
    utterances : sequence of Utterance
    folder : str or Path
        Where the file is looked for and made; 0.23 GB for an hour of speech at 16 kHz.
    vad : str
        A name of `sed.vad.vad_named`.
    sample_rate : int
    progress : iterable of Utterance, optional
        The same utterances behind a progress bar; it is only run through where there is work.
    on_error : callable, optional
        Told of a recording that cannot be read, which is then left out; raised by default.

    Returns
    -------
    list of StoredClip
        An utterance in which no speech is found gives none.

    Raises
    ------
    OSError
        If a recording cannot be read, or the folder cannot be written.
    ValueError
        If a recording cannot be decoded.
    """
    folder = Path(folder)
    path = folder / f"speech-{_fingerprint(utterances, vad, sample_rate)}.f32"
    index = path.with_suffix(".json")
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{path.stem}.{os.getpid()}"  # others may be at it as well
        try:
            work = utterances if progress is None else progress
            counts = _write(temporary, work, vad, sample_rate, on_error)
            temporary.replace(path)
            with whole_file(index) as stream:
                json.dump(counts, stream)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                error.filename, error.filename2 = str(folder), None
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
    counts = json.loads(index.read_text(encoding="utf-8"))
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).tolist()
    return [
        StoredClip(utterance, path, start, count)
        for utterance, start, count in zip(utterances, starts[:-1], counts, strict=True)
        if count
    ]


def _write(
    path: Path,
    utterances: Iterable[Utterance],
    vad: str,
    sample_rate: int,
    on_error: OnError | None,
) -> list[int]:
    """Write the speech of utterances; samples of each."""
    options: dict[str, Any] = {
        "vad": vad_named(vad),
        "binarize": SHORT_SILENCES,
        "sample_rate": sample_rate,
    }
    counts = []
    with open(path, "wb") as stream:
        for utterance in utterances:
            samples = np.empty(0, dtype=np.float32)
            try:
                samples = read_speech(utterance, **options)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(utterance, error)
            stream.write(samples.tobytes())
            counts.append(len(samples))
    return counts


def _fingerprint(utterances: Iterable[Utterance], vad: str, sample_rate: int) -> str:
    """Name for what is stored: settings, and the recordings with size and time of change."""
    digest = hashlib.sha256(f"1 {vad} {SHORT_SILENCES} {sample_rate}".encode())
    for utterance in utterances:
        status = utterance.path.stat()
        digest.update(f"\0{utterance.path}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
