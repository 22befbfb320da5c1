"""Small archives, and what their datasets say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from sed.archive.dataset import Dataset, Row
from sed.archive.run import Crew, Summary, diarize_archive
from sed.archive.schedule import Limits
from sed.archive.work import Work
from sed.labels import confidence_of

ONE_EACH = Limits(num_recordings=1)
"""Every recording is a chunk."""


def voice(seconds: float, seed: int) -> np.ndarray:
    """(num_samples,) array at 16 kHz, in which the tiny model hears emotions, with two pauses."""
    rng = np.random.default_rng(seed)
    num_pieces = round(seconds * 5)
    pitches = np.repeat(rng.uniform(0.02, 0.6, (8, num_pieces)), 3200, axis=1)  # new every 0.2 s
    samples = 0.05 * np.sin(np.cumsum(pitches, axis=1)).sum(axis=0)
    for start in (len(samples) // 3, len(samples) // 2):
        samples[start : start + len(samples) // 8] = 0.0
    return samples.astype(np.float32)


def make_archive(folder: Path, *, number: int = 6, seconds: float = 2.0) -> Path:
    """Recordings in folders, the third one with two channels, the fourth one damaged."""
    for index in range(number):
        path = folder / ("deep" if index % 2 else "") / f"call {index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = voice(seconds + 0.3 * index, index)
        if index == 2:
            samples = np.stack([samples, samples[::-1]], axis=1)
        if index == 3:
            path.write_bytes(b"RIFF, but then nothing that is sound")
        else:
            soundfile.write(path, samples, 16_000)
    return folder


def told(row: Row) -> tuple[object, ...]:
    """All that a row says."""
    segments = None
    if row.annotation is not None:
        segments = sorted(
            (segment.start, segment.end, str(label), confidence_of(label))
            for segment, _, label in row.annotation.itertracks(yield_label=True)
        )
    return (row.path, row.uri, row.channel, row.duration, row.speech, segments, row.error)


def rows_of(folder: Path) -> list[tuple[object, ...]]:
    """All that a dataset says, whatever the order of its parts."""
    return sorted((told(row) for row in Dataset(folder).rows()), key=str)


def left_in(folder: Path) -> set[str]:
    """What lies in a dataset's folder beside its parts."""
    return {path.name for path in folder.rglob("*") if path.suffix != ".parquet"} - {
        path.name for path in folder.glob("part=*")
    }


def run(
    inputs: list[Path],
    folder: Path,
    work: Work,
    *,
    jobs: int = 1,
    limits: Limits | None = None,
    retry_failed: bool = False,
    lines: list[str] | None = None,
    on_progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Diarize an archive on this machine."""
    return diarize_archive(
        list(map(str, inputs)),
        folder,
        work,
        crew=Crew(jobs=jobs),
        limits=limits,
        retry_failed=retry_failed,
        on_line=None if lines is None else lines.append,
        on_progress=on_progress,
    )
