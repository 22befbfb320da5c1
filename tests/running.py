"""Trainings in processes of their own, on small folders in the layouts of the corpora."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import soundfile

from sed.processes import context_with

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
ZED = RECIPES / "ZaionEmotionDataset" / "emotion_diarization"
EMBEDDED = RECIPES / "EmoDB_EMOVO_RAVDESS" / "emotion_diarization"

TONES = {"angry": 300.0, "happy": 1000.0, "sad": 2500.0, "neutral": 5000.0}
"""Frequency that stands for an emotion, in Hz."""

# Processes that start from one in which everything slow is loaded already.
for _module in (
    *("sed.training.runs", "sed.cli", "silero_vad", "torch.utils.tensorboard"),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("wavlm", "hubert", "wav2vec2")),
):
    _context = context_with(_module)


@dataclass(frozen=True)
class Run:
    """A training that has been started, with all that it prints in a file."""

    process: ForkServerProcess
    log: Path

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def end(self, code: int = 0) -> str:
        """What it printed, once it is over with an exit code."""
        self.process.join(timeout=300)
        assert self.process.exitcode == code, self.printed[-3000:]
        return self.printed

    def stop_after_an_epoch(self, number: signal.Signals, output: Path) -> None:
        """Send a signal as soon as there is a whole checkpoint."""
        deadline = time.monotonic() + 240
        while not list(output.glob("save/CKPT*/WHOLE")):
            assert self.process.is_alive() and time.monotonic() < deadline, self.printed[-3000:]
            time.sleep(0.002)
        os.kill(self.process.pid, number)
        self.process.join(timeout=60)
        assert self.process.exitcode is not None


def start(script: str, *arguments: str | Path, folder: Path, log: Path, **environment: str) -> Run:
    """Run a Python file, or a module, in a folder."""
    process = _context.Process(
        target=_work, args=(script, list(map(str, arguments)), folder, log, environment)
    )
    process.start()
    return Run(process, log)


def _work(
    script: str, arguments: list[str], folder: Path, log: Path, environment: dict[str, str]
) -> None:
    """What the process does."""
    os.environ |= environment
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    # All as on a terminal: a shell in the background has its children ignore Ctrl-C, and the way in
    # which this process was started is not Python's usual one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.set_start_method(None, force=True)
    os.chdir(folder)
    sys.argv = [script, *arguments]
    if script.endswith(".py"):
        runpy.run_path(script, run_name="__main__")
    else:
        runpy.run_module(script, run_name="__main__", alter_sys=True)


def tone(emotion: str, seconds: float) -> np.ndarray:
    """(num_samples,) array of what stands for an emotion, at 16 kHz."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    return (0.1 * np.sin(2 * np.pi * TONES[emotion] * time)).astype(np.float32)


def make_corpora(folder: Path) -> Path:
    """EmoDB and EMOVO with four speakers each who whistle, ZED with three recordings, and noise."""
    codes = {"angry": "W", "happy": "F", "sad": "T", "neutral": "N"}
    italian = {"angry": "rab", "happy": "gio", "sad": "tri", "neutral": "neu"}
    for number, emotion in enumerate(TONES):
        samples = tone(emotion, 0.5 + 0.1 * number)
        for speaker in ("03", "08", "09", "10"):
            _write(folder / "emodb" / "wav" / f"{speaker}a01{codes[emotion]}a.wav", samples)
        for speaker in ("f1", "f2", "m1", "m2"):
            name = f"{italian[emotion]}-{speaker}-b1.wav"
            _write(folder / "emovo" / speaker / name, samples)
    items = {}
    for emotion in ("angry", "happy", "sad"):
        _write(
            folder / "ZED" / "wavs" / f"{emotion}.wav",
            np.concatenate([tone("neutral", 0.5), tone(emotion, 1.0)]),
        )
        items[emotion] = {
            "wav": f"datafolder/wavs/{emotion}.wav",
            "duration": 1.5,
            "emotion": [{"emo": emotion, "start": 0.5, "end": 1.5}],
        }
    (folder / "ZED" / "ZED.json").write_text(json.dumps(items))
    noise = np.random.default_rng(0).standard_normal(16_000) * 0.1
    _write(folder / "noise" / "hiss.wav", noise.astype(np.float32))
    return folder


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)
