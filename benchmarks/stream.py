"""A day of audio through a live stream: speed, memory, drift, latency.

::

    python benchmarks/stream.py [--hours 24] [--latency 5] [RECORDING …]

Recordings (by default one side of the example call) follow each other until the hours are full, in
blocks of 0.1 s. Claims: it is faster than real time; the second half adds at most 5 % to memory;
every frame settles once, in order, so that the stream's time is that of its samples at the end;
and no segment comes later than the latency. The exit status is 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sed.audio import Recording
from sed.live import Live
from sed.pipeline import Pipeline

CALL = Path(__file__).resolve().parents[1] / "examples" / "call.wav"
RATE = 16_000


def memory() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def blocks(recordings: list[Recording], num_samples: int) -> Iterator[np.ndarray]:
    """Blocks of 0.1 s until there are so many samples."""
    for recording in itertools.cycle(recordings):
        for block in recording.blocks(sample_rate=RATE, duration=0.1):
            yield block[:num_samples]
            num_samples -= len(block)
            if num_samples <= 0:
                return


def main() -> int:
    """Stream for so many hours."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", nargs="*", default=[CALL], type=Path)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--latency", type=float, default=5.0)
    options = parser.parse_args()
    live = Live(Pipeline.from_pretrained(), RATE, latency=options.latency)
    recordings = [
        Recording.open(path, channel=1 if path == CALL else None) for path in options.recordings
    ]
    num_samples = round(options.hours * 3600 * RATE)
    num_frames = num_speech = num_segments = 0
    latest, halfway, drift = 0.0, 0.0, 0.0
    next_line, start = options.hours / 8, time.perf_counter()
    steps = (update for block in blocks(recordings, num_samples) for update in live.push(block))
    print(f"{'hours':>6}  {'times real time':>15}  {'MB':>6}  {'segments':>8}  {'latest':>7}")
    for update in itertools.chain(steps, live.close()):
        drift = max(drift, abs(update.posteriors.sliding_window.start - num_frames * 0.02))
        num_frames += len(update.speech)
        num_speech += int(update.speech.sum())
        num_segments += len(update.segments)
        for segment in update.segments.itersegments():
            latest = max(latest, update.now - segment.end)
        if update.now / 3600 >= next_line:
            speed = update.now / (time.perf_counter() - start)
            print(
                f"{update.now / 3600:6.1f}  {speed:15.0f}  {memory():6.0f}  {num_segments:8d}  "
                f"{latest:5.2f} s",
                flush=True,
            )
            halfway = halfway or (memory() if next_line >= options.hours / 2 else 0.0)
            next_line += options.hours / 8
    seconds = time.perf_counter() - start
    behind = num_frames * 0.02 - num_samples / RATE
    print(
        f"{num_speech / num_frames:.0%} speech, {num_segments} segments, the stream's time ends "
        f"{behind:.3f} s off its samples' (a frame is 0.02 s)"
    )
    held = {
        "faster than real time": seconds < options.hours * 3600,
        "memory is flat": memory() <= 1.05 * halfway,
        "no drift": drift < 1e-3 and 0 <= behind < 0.02,
        "latency kept": latest <= options.latency,
    }
    for claim, holds in held.items():
        print(f"{'yes' if holds else 'NO':>3}  {claim}")
    return int(not all(held.values()))


if __name__ == "__main__":
    sys.exit(main())
