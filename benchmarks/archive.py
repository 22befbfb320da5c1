"""An archive of thousands of recordings: nothing is lost, nothing comes twice, two are faster.

    python benchmarks/archive.py --recordings FOLDER [--rows 10000] [--model NAME]

The archive is one of links to at least 500 recordings. It is diarized by one worker, by two, on Ray
by two, by two of which one is killed in the middle, and by two with 1 % of it damaged. All rows
must be those of one worker. The peer of two workers is the machine: what two processes of matrix
products do against one, measured in the same run.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MIN_RECORDINGS = 500
BAD_SHARE = 100  # one of so many is damaged


def make_archive(folder: Path, recordings: list[Path], num_rows: int, *, damaged: bool) -> set[str]:
    """Links to recordings over and over; names of those that are damaged instead."""
    bad = set()
    for index in range(num_rows):
        source = recordings[index % len(recordings)]
        link = folder / f"{index // 1000:03d}" / f"{index:07d}{source.suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        if damaged and index % BAD_SHARE == BAD_SHARE // 2:
            link.write_bytes(b"RIFF, but then nothing that is sound")
            bad.add(str(link.relative_to(folder).with_suffix("")))
        else:
            link.symlink_to(source.resolve())
    return bad


def told(folder: Path) -> dict[str, str]:
    """Hash of all that a dataset says of each recording; it must say it once."""
    from sed.archive.dataset import Dataset
    from sed.labels import confidence_of

    found: dict[str, str] = {}
    for row in Dataset(folder).rows():
        if row.uri in found:
            sys.exit(f"{row.uri} comes twice")
        segments = None
        if row.annotation is not None:
            segments = [
                (segment.start, segment.end, str(label), confidence_of(label))
                for segment, _, label in row.annotation.itertracks(yield_label=True)
            ]
        text = repr((row.channel, row.duration, row.speech, segments, row.error is None))
        found[row.uri] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return found


def products(seconds: float) -> int:
    """Matrix products that a process on one thread does in some time."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    matrix = torch.from_numpy(np.random.default_rng(0).standard_normal((256, 256), np.float32))
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        torch.mm(matrix, matrix)
        count += 1
    return count


def ceiling(seconds: float = 5.0) -> float:
    """How much more two processes do than one."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(products, [0.1, 0.1], chunksize=1)  # everything is loaded
        [alone] = pool.map(products, [seconds])
        return sum(pool.map(products, [seconds, seconds], chunksize=1)) / alone


class Killer:
    """Kills one of the workers once some recordings are done."""

    def __init__(self) -> None:
        self.killed: list[int] = []

    def __call__(self, summary: Any) -> None:
        """Take a report of progress."""
        if summary.num_done and not self.killed:
            for child in multiprocessing.active_children()[:1]:
                os.kill(child.pid, signal.SIGKILL)
                self.killed.append(child.pid)


def main() -> None:
    """Print one line per run, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--model", default="timnet-mfcc")
    arguments = parser.parse_args()

    from sed.archive.run import Crew, diarize_archive
    from sed.archive.work import Work
    from sed.audio import find_recordings

    recordings = list(find_recordings(arguments.recordings))
    if len(recordings) < MIN_RECORDINGS:
        sys.exit(f"{arguments.recordings} holds {len(recordings)}; {MIN_RECORDINGS} are needed")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    work = Work(arguments.model, device="cpu")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    runs = {
        "one worker": (Crew(jobs=1), False, None),
        "two workers": (Crew(jobs=2), False, None),
        "Ray, two workers": (Crew("ray", jobs=2), False, None),
        "two, one killed": (Crew(jobs=2), False, Killer()),
        "two, 1 % damaged": (Crew(jobs=2), True, None),
    }
    speeds, expected = {}, dict[str, str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bad = make_archive(folder / "damaged", recordings, arguments.rows, damaged=True)
        make_archive(folder / "whole", recordings, arguments.rows, damaged=False)
        for index, (title, (crew, damaged, on_progress)) in enumerate(runs.items()):
            archive = folder / ("damaged" if damaged else "whole")
            dataset = folder / f"dataset-{index}"
            summary = diarize_archive(
                [str(archive)], dataset, work, crew=crew, on_progress=on_progress
            )
            if on_progress is not None and not on_progress.killed:
                sys.exit(f"{title}: it was over before one could be killed; take more --rows")
            rows = told(dataset)
            expected = expected or rows
            failed = bad if damaged else set()
            missing, odd = expected.keys() - rows.keys(), rows.keys() - expected.keys()
            differ = sum(rows[uri] != expected[uri] for uri in rows.keys() - failed - odd)
            if missing or odd or differ or summary.num_failed != len(failed):
                sys.exit(
                    f"{title}: {len(missing)} missing, {len(odd)} more, {differ} different, "
                    f"{summary.num_failed} failed where {len(failed)} should"
                )
            speeds[title] = summary.speed
            print(
                f"{title:18} {len(rows):7d} rows  {summary.wall:8.1f} s  "
                f"{len(rows) / summary.wall:7.1f} rows/s  {summary.speed:7.0f} h of audio per hour"
            )
    print(
        f"all rows are those of one worker\n"
        f"two workers : one {speeds['two workers'] / speeds['one worker']:.2f}, "
        f"matrix products of two processes : one {ceiling():.2f}"
    )


if __name__ == "__main__":
    main()
