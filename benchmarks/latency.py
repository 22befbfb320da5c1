"""What a stream's latency costs in EDER, against the same recordings as files.

::

    sed simulate emodb emovo ravdess --data-folder corpora/ --output simulated/ --num 150 \
        --seed 2306 --speakers emodb:15,emodb:16,emovo:f3,emovo:m3,ravdess:21,…
    python benchmarks/latency.py simulated/ [others/ …] [--plot docs/images/latency.png]

Each recording is a stream of its own, in blocks of 0.1 s; each folder is a line of the plot. Claim:
with an unlimited latency the segments are those of the files; the exit status is 1 where they are
not.
"""

from __future__ import annotations

import argparse
import math
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pyannote.core import Annotation

from sed.audio import Recording
from sed.formats import AnnotatedRecording, read
from sed.live import Live
from sed.pipeline import Pipeline
from sed.scoring import score

LATENCIES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, math.inf)


def streamed(pipeline: Pipeline, recording: Recording, latency: float) -> Annotation:
    """Segments of a stream, all together."""
    rate = recording.sample_rate
    live = Live(pipeline, rate, latency=latency, uri=recording.uri)
    found = Annotation(uri=recording.uri)
    blocks = recording.blocks(sample_rate=rate, duration=0.1)
    steps = (update for block in blocks for update in live.push(block))
    for updates in (steps, live.close()):
        for update in updates:
            found.update(update.segments)
    return found


def judged(
    references: list[AnnotatedRecording],
    recordings: list[Recording],
    diarize: Callable[[Recording], Annotation],
) -> tuple[float, float, list[Annotation]]:
    """EDER, how many times faster than real time, and what was found."""
    start = time.perf_counter()
    found = [diarize(recording) for recording in recordings]
    seconds = time.perf_counter() - start
    hypotheses = [
        AnnotatedRecording(each, duration=recording.duration)
        for each, recording in zip(found, recordings, strict=True)
    ]
    rate = score(references, hypotheses).macro
    return rate, sum(each.duration for each in recordings) / seconds, found


def rows(annotation: Annotation) -> list[tuple[float, float, str]]:
    """Segments in order."""
    return sorted(
        (segment.start, segment.end, str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    )


def plot(path: Path, found: dict[str, tuple[float, dict[float, float]]]) -> None:
    """Draw EDER over latency: of files, and of streams, by folder."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, (of_files, rates) in found.items():
        finite = {latency: rate for latency, rate in rates.items() if latency < math.inf}
        percents = [100 * rate for rate in finite.values()]
        [line] = axes.plot(list(finite), percents, "o-", label=f"{name}: streams")
        axes.axhline(100 * of_files, linestyle="--", color=line.get_color(), label=f"{name}: files")
    axes.set(xlabel="latency (seconds)", ylabel="EDER (%)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> int:
    """Stream all recordings with each latency."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", help="from sed simulate")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained()
    drawn, num_differing = {}, 0
    for folder in options.folders:
        references = read(folder / "reference.json")
        recordings = [
            Recording.open(next((folder / "audio").glob(f"{each.uri}.*")), uri=each.uri)
            for each in references
        ]
        of_files, speed, expected = judged(references, recordings, pipeline)
        seconds = sum(each.duration for each in recordings)
        print(
            f"{folder.name}: {len(recordings)} recordings, {seconds / len(recordings):.1f} s each"
        )
        print(f"{'latency':>8}  {'EDER':>6}  {'times real time':>15}")
        print(f"{'file':>8}  {of_files:6.1%}  {speed:15.0f}", flush=True)
        rates = {}
        for latency in LATENCIES:
            rates[latency], speed, found = judged(
                references, recordings, lambda each, late=latency: streamed(pipeline, each, late)
            )
            print(f"{latency:8g}  {rates[latency]:6.1%}  {speed:15.0f}", flush=True)
        drawn[folder.name] = of_files, rates
        differing = [
            one.uri for one, other in zip(found, expected, strict=True) if rows(one) != rows(other)
        ]
        print(f"without a limit {len(differing)} of {len(found)} differ from their files\n")
        num_differing += len(differing)
    if options.plot:
        plot(options.plot, drawn)
    return int(num_differing > 0)


if __name__ == "__main__":
    sys.exit(main())
