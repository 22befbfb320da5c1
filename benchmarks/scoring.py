"""How fast EDER is counted, beside SpeechBrain's function and pyannote's metric, in one run.

::

    python benchmarks/scoring.py

Claims, on one core: 10,000 recordings of a minute with 20 segments a side in at most 3 s; at least
30 times faster than pyannote.metrics' IdentificationErrorRate on the same annotations, and than
SpeechBrain's function on its own terms (one emotion a recording, a label every 20 ms); ten hours
with 50,000 segments a side in linear time; ``sed score`` on a folder the size of ZED within 1.5 s.
The exit status is 1 where one does not hold. Peers are timed on a sample, one after the other with
ours, and every time is the best of three.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyannote.core import Annotation, Segment, Timeline

from sed.scoring import EmotionDiarizationErrorRate, Pair, eder, eder_of_many

EMOTIONS = ("happy", "sad", "angry")
MINUTE = 60.0
SAMPLE = 200  # recordings that the peers are timed on
STRIDE = 0.02


def best_of(run: Callable[[], object], times: int = 3) -> float:
    """Shortest wall-clock time of some runs in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def random_annotation(rng: np.random.Generator, num_segments: int, seconds: float) -> Annotation:
    """Segments that neither overlap nor touch, at times of an RTTM."""
    times = np.sort(rng.choice(int(seconds * 1000), 2 * num_segments, replace=False)) / 1000
    made = Annotation(uri="recording")
    names = rng.choice(EMOTIONS, num_segments).tolist()
    for start, end, name in zip(times[::2].tolist(), times[1::2].tolist(), names, strict=True):
        made[Segment(start, end)] = name
    return made


def random_pair(rng: np.random.Generator, num_segments: int, seconds: float) -> Pair:
    """Reference and hypothesis of a recording."""
    sides = (random_annotation(rng, num_segments, seconds) for _ in range(2))
    return Pair(*sides, duration=seconds)


def frames_of(annotation: Annotation) -> list[str]:
    """Letters every 20 ms of a minute, as SpeechBrain's function takes them."""
    letters = ["n"] * round(MINUTE / STRIDE)
    for segment, _, label in annotation.itertracks(yield_label=True):
        first, end = round(segment.start / STRIDE), round(segment.end / STRIDE)
        letters[first:end] = [label[0]] * (end - first)
    return letters


def many(rng: np.random.Generator) -> list[tuple[str, str, bool]]:
    """Ten thousand recordings, and the ratio to pyannote's metric."""
    from pyannote.metrics.identification import IdentificationErrorRate

    pairs = [random_pair(rng, 20, MINUTE) for _ in range(10_000)]
    together = best_of(lambda: eder_of_many(pairs))

    def one_by_one() -> None:
        metric = EmotionDiarizationErrorRate()
        for pair in pairs:
            metric(pair.reference, pair.hypothesis, duration=pair.duration)

    alone = best_of(one_by_one, times=1)
    uem = Timeline([Segment(0, MINUTE)])
    theirs = IdentificationErrorRate()
    peer = best_of(lambda: [theirs(p.reference, p.hypothesis, uem=uem) for p in pairs[:SAMPLE]])
    ratio = (peer / SAMPLE) / (together / len(pairs))
    return [
        ("10,000 minutes, 20 segments a side", f"{together:.2f} s (at most 3)", together <= 3),
        ("  one call of the metric for each", f"{alone:.2f} s (at most 3)", alone <= 3),
        ("  pyannote's IER takes", f"{ratio:.0f} times as long (30)", ratio >= 30),
    ]


def speechbrain(rng: np.random.Generator) -> list[tuple[str, str, bool]]:
    """One emotion in each minute, against SpeechBrain's function on frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechbrain.utils.EDER import EDER

    pairs = []
    for _ in range(SAMPLE):
        hypothesis = Annotation()
        for segment, _, label in random_annotation(rng, 5, MINUTE).itertracks(yield_label=True):
            first, end = round(segment.start / STRIDE), round(segment.end / STRIDE)
            hypothesis[Segment(first * STRIDE, end * STRIDE)] = label
        pairs.append(Pair(random_annotation(rng, 1, MINUTE), hypothesis, duration=MINUTE))
    events = [
        [{"emo": label, "start": segment.start, "end": segment.end}]
        for pair in pairs
        for segment, _, label in pair.reference.itertracks(yield_label=True)
    ]
    letters = [frames_of(pair.hypothesis) for pair in pairs]

    def theirs() -> list[float]:
        return [
            EDER(labels, "x", MINUTE, event, STRIDE, STRIDE)
            for labels, event in zip(letters, events, strict=True)
        ]

    ours = [errors.eder for errors in eder_of_many(pairs)]
    agree = bool(np.allclose(theirs(), ours, atol=1e-9, rtol=0))
    peer, own = best_of(theirs), best_of(lambda: eder_of_many(pairs), times=20)
    ratio = peer / own
    return [
        ("SpeechBrain's function, one emotion a minute", "same rates to 1e-9", agree),
        ("  takes", f"{ratio:.0f} times as long (30)", ratio >= 30),
    ]


def long(rng: np.random.Generator) -> list[tuple[str, str, bool]]:
    """Ten hours against one: ten times the segments, about ten times the time."""
    hour, ten = random_pair(rng, 5_000, 3_600.0), random_pair(rng, 50_000, 36_000.0)

    def run(pair: Pair) -> float:
        return best_of(lambda: eder(pair.reference, pair.hypothesis, duration=pair.duration))

    short, whole = run(hour), run(ten)
    return [
        ("ten hours, 50,000 segments a side", f"{whole:.3f} s (at most 1)", whole <= 1),
        (
            "  against one hour, 5,000 segments",
            f"{whole / short:.1f} times as long (at most 20)",
            whole <= 20 * short,
        ),
    ]


def command(rng: np.random.Generator) -> list[tuple[str, str, bool]]:
    """The whole process on 180 recordings, Python's start included."""
    with tempfile.TemporaryDirectory() as folder:
        content = {}
        (Path(folder) / "hyp").mkdir()
        for i in range(180):
            uri, duration = f"recording-{i}", round(float(rng.uniform(1, 15)), 3)
            for side in ("said", "heard"):
                start, end = np.sort(rng.choice(int(duration * 1000), 2, replace=False)) / 1000
                emotion = str(rng.choice(EMOTIONS))
                if side == "said":
                    event = {"emo": emotion, "start": float(start), "end": float(end)}
                    wav = f"datafolder/{uri}.wav"
                    content[uri] = {"wav": wav, "duration": duration, "emotion": [event]}
                else:
                    (Path(folder) / "hyp" / f"{uri}.rttm").write_text(
                        f"SPEAKER {uri} 1 {start:.3f} {end - start:.3f} <NA> <NA> {emotion} "
                        "<NA> <NA>\n"
                    )
        (Path(folder) / "ZED.json").write_text(json.dumps(content))
        line = [sys.executable, "-m", "sed", "score", "--ref", folder, "--hyp", f"{folder}/hyp"]
        taken = best_of(lambda: subprocess.run(line, check=True, capture_output=True))
    return [("sed score, 180 files, whole process", f"{taken:.2f} s (at most 1.5)", taken <= 1.5)]


def main() -> None:
    """Run every claim and say which hold."""
    failed = False
    for claims in (many, speechbrain, long, command):
        for what, figure, holds in claims(np.random.default_rng(0)):
            print(f"{'ok  ' if holds else 'FAIL'}  {what:46}{figure}", flush=True)
            failed |= not holds
    sys.exit(failed)


if __name__ == "__main__":
    main()
