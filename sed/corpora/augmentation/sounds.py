"""Noises and rooms to put recordings into, read from folders of audio files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from sed.audio import Recording, find_recordings

MAX_SOUND = 300.0
"""Seconds of a noise or room that are read; the rest of a longer file is not used."""


class Sounds(Sequence[np.ndarray]):
    """Audio files of a folder and its folders, such as noises or rooms, read when asked for.

    Parameters
    ----------
    folder : str or Path
    sample_rate : int
    num_kept : int
        Sounds that stay in memory, those asked for last; 19 MB each at 16 kHz at most.

    Raises
    ------
    ValueError
        If there is none, and, when one is asked for, if it cannot be decoded or is silent.
    OSError
        If the folder is missing or must not be read.
    """

    def __init__(self, folder: str | Path, sample_rate: int, *, num_kept: int = 8) -> None:
        self.folder, self.paths = Path(folder), list(find_recordings(folder))
        if not self.paths:
            raise ValueError(f"{folder} holds no audio files; name a folder with some")
        self.sample_rate, self.num_kept = sample_rate, num_kept
        self._read = lru_cache(maxsize=num_kept)(self._read_now)

    def __reduce__(self) -> Any:
        """Another process, such as a loader of training data, reads the sounds for itself."""
        return partial(Sounds, num_kept=self.num_kept), (self.folder, self.sample_rate)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """(num_samples,) array of float32 of a file, or those of several."""
        if isinstance(index, slice):
            return [self._read(path) for path in self.paths[index]]
        return self._read(self.paths[index])

    def _read_now(self, path: Path) -> np.ndarray:
        blocks = Recording.open(path).blocks(sample_rate=self.sample_rate, duration=MAX_SOUND)
        samples = next(blocks)
        if not samples.any():
            raise ValueError(f"{path} is silent; take it out of its folder")
        return samples
