"""An hour and four hours of calls through `sed diarize`: time and memory of the whole process.

    python benchmarks/long_recording.py [--hours 1 4]

The recording is real two-party talk where ../shared/corpora is present, else the example call over
and over. The peer is what the two front-end stages cost with the tools that people join by hand:
Silero's own loop and librosa's MFCCs of the embedded model's size, on one recording of an hour
(measured over ten minutes of it).
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16_000
ROOT = Path(__file__).resolve().parents[1]
CALLS = ROOT.parent / "shared" / "corpora" / "conversational"


def make_recording(path: Path, hours: float) -> None:
    """Write `hours` of talk as a 16 kHz mono wav."""
    from sed.audio import Recording, find_recordings

    sources = list(find_recordings(CALLS if CALLS.is_dir() else ROOT / "examples"))
    talk = np.concatenate([Recording.open(source).samples(SAMPLE_RATE) for source in sources])
    left = round(hours * 3600 * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, subtype="PCM_16") as stream:
        while left > 0:
            stream.write(talk[:left])
            left -= len(talk)


def measure(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def peers(path: Path, seconds: float) -> dict[str, float]:
    """Seconds that Silero's own loop and librosa take for the beginning of a recording."""
    import librosa
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(1)
    samples, _ = soundfile.read(path, frames=round(seconds * SAMPLE_RATE), dtype="float32")
    vad = load_silero_vad()
    start = time.perf_counter()
    get_speech_timestamps(torch.from_numpy(samples), vad)
    after_vad = time.perf_counter()
    librosa.feature.mfcc(
        y=samples, sr=SAMPLE_RATE, n_mfcc=39, n_fft=1024, hop_length=320, win_length=640, n_mels=64
    )
    return {"silero loop": after_vad - start, "librosa mfcc": time.perf_counter() - after_vad}


def main() -> None:
    """Print one row per length and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--model", default="timnet-mfcc")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.wav"
        for hours in arguments.hours:
            make_recording(path, hours)
            command = [sys.executable, "-m", "sed", "diarize", str(path), "--quiet", "--rttm"]
            command += [f"{folder}/out.rttm", "--model", arguments.model, "--device", "cpu"]
            rows.append((hours, *measure(command)))
            print(f"{hours:4.1f} h  {rows[-1][1]:6.1f} s  peak {rows[-1][2]:6.0f} MB")
        parts = {name: seconds * 6 for name, seconds in peers(path, 600.0).items()}  # of an hour
    (first, seconds, memory), (last, last_seconds, last_memory) = rows[0], rows[-1]
    for name, peer in parts.items():
        print(f"{name}: {peer:.1f} s for an hour")
    print(
        f"whole process for an hour / both by hand: {seconds / first / sum(parts.values()):.2f}\n"
        f"time {last:g} h / {first:g} h: {last_seconds / seconds:.2f}, "
        f"memory: {last_memory / memory:.2f}"
    )


if __name__ == "__main__":
    main()
