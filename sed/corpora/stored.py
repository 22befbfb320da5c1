"""Speech of utterances in one file: found and levelled once, read piece by piece ever after."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sed.corpora.clips import SHORT_SILENCES, read_speech
from sed.corpora.utterance import Utterance
from sed.files import whole_file
from sed.vad import vad_named

OnError = Callable[[Utterance, Exception], None]

Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]

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
    options: dict[str, Any] = {
        "vad": vad_named(vad),
        "binarize": SHORT_SILENCES,
        "sample_rate": sample_rate,
    }

    def speech() -> Iterator[np.ndarray]:
        for utterance in utterances if progress is None else progress:
            try:
                samples = read_speech(utterance, **options)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(utterance, error)
                samples = np.empty(0, dtype=np.float32)
            yield samples

    name = _fingerprint(utterances, vad, sample_rate)
    return _stored(utterances, Path(folder) / f"speech-{name}.f32", speech)


def stored_copies(
    clips: Sequence[StoredClip],
    folder: str | Path,
    *,
    copies: Mapping[str, int],
    change: Change,
    description: str,
    sample_rate: int,
    seed: int,
    progress: Callable[[Iterable[StoredClip]], Iterable[StoredClip]] = iter,
) -> list[StoredClip]:
    """Clips, and changed copies of them in a file that is made once.

    ::

        clip     0  1  2 │ 0' 1' 2' │ 0" 1" 2"      3 copies of their corpus, two of them changed

    Parameters
    ----------
    clips : sequence of StoredClip
    folder : str or Path
        Where the file is looked for and made.
    copies : mapping of str to int
        How often the clips of each corpus come, see `sed.corpora.balance.copies`.
    change : callable
        From samples, their rate and a generator to as many samples.
    description : str
        What the change does, as far as that can be changed; another one gives another file.
    sample_rate : int
    seed : int
    progress : callable, optional
        Puts a progress bar around the clips to change; it is only called where there is work.

    Returns
    -------
    list of StoredClip
        First the clips, then what is changed, of the same utterances.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    changed = [
        (clip, number)
        for clip in clips
        for number in range(1, copies.get(clip.utterance.corpus, 1))
    ]
    if not changed:
        return list(clips)

    def samples() -> Iterator[np.ndarray]:
        numbers = (number for _, number in changed)
        for clip, number in zip(progress([clip for clip, _ in changed]), numbers, strict=True):
            said = clip.utterance
            key = hashlib.sha256(f"{said.corpus}\0{said.uri}\0{number}".encode()).digest()
            rng = np.random.default_rng((seed, int.from_bytes(key[:8], "big")))
            yield change(clip.samples, sample_rate, rng).astype(np.float32)

    digest = hashlib.sha256(f"1 {description} {sample_rate} {seed}".encode())
    for clip, number in changed:
        digest.update(f"\0{clip.path.name} {clip.start} {number}".encode())
    path = Path(folder) / f"copies-{digest.hexdigest()[:16]}.f32"
    return [*clips, *_stored([clip.utterance for clip, _ in changed], path, samples)]


def _stored(
    utterances: Sequence[Utterance], path: Path, samples: Callable[[], Iterable[np.ndarray]]
) -> list[StoredClip]:
    """Clips in a file; where it is not there yet, it is made of samples, one for each utterance."""
    index, folder = path.with_suffix(".json"), path.parent
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{path.stem}.{os.getpid()}"  # others may be at it as well
        try:
            counts = []
            with open(temporary, "wb") as stream:
                for piece in samples():
                    stream.write(piece.tobytes())
                    counts.append(len(piece))
            temporary.replace(path)
            with whole_file(index) as lengths:
                json.dump(counts, lengths)
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


def _fingerprint(utterances: Iterable[Utterance], vad: str, sample_rate: int) -> str:
    """Name for what is stored: settings, and the recordings with size and time of change."""
    digest = hashlib.sha256(f"1 {vad} {SHORT_SILENCES} {sample_rate}".encode())
    for utterance in utterances:
        status = utterance.path.stat()
        digest.update(f"\0{utterance.path}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
