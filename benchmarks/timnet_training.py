"""Training TIM-Net: its authors' Keras code against `sed`'s trainer, and ten folds together.

    python benchmarks/timnet_training.py [--keras PYTHON] [--recordings 512] [--epochs 5]

Claims: the two compute the same; an epoch of one network (training only, batches of 64) takes half
as long as in Keras with bfloat16, which Keras does not have here, and no longer with float32; ten
networks, those of a cross-validation, take no longer side by side, as many at a time as the trainer
chooses, than one after the other.

The authors' network needs TensorFlow and tf_keras, which is Keras 2, and these need an environment
of their own: `--keras` names its Python, and without them that comparison is left out. All learn
from the same noise with the published settings, on the processor and all of its cores. The systems
take turns, epoch by epoch, after one epoch each that is not counted; figures are medians. The exit
status is 1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from sed.interop.keras_timnet import load_timnet
from sed.training.crossvalidation import fitting_together
from sed.training.folds import Fold
from sed.training.memory import keep_freed
from sed.training.passes import has_compiler
from sed.training.timnets import TIMNets
from sed.training.together import Fitting, Together
from sed.training.utterances import Cepstra

NUM_FEATURES, NUM_CLASSES, NUM_NETWORKS = 39, 7, 10
PRECISIONS = {"fp32": 1.0, "bf16": 2.0}  # and how many times as fast as Keras they are to be
KERAS = "Keras, float32"
INSTALL = "`python3 -m venv keras && keras/bin/pip install tensorflow-cpu tf_keras`"


class Keras:
    """Keras's network, in a process of its own that trains an epoch whenever it is asked to.

    Raises
    ------
    ModuleNotFoundError
        If its Python has no TensorFlow or no tf_keras.
    """

    def __init__(self, python: str, folder: Path, epochs: int) -> None:
        script = Path(__file__).with_name("timnet_keras.py")
        self.log = folder / "keras.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, str(script), str(folder), str(epochs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            )
        atexit.register(self.process.kill)  # TensorFlow takes half a minute to end by itself
        self.versions = self._read()
        if "missing" in self.versions:
            raise ModuleNotFoundError(f"{python} has no {self.versions['missing']}")

    def epoch(self) -> float:
        """Seconds of an epoch, by the process's own clock."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return float(self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        """What the process says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            sys.exit(f"{self.log.read_text()}Keras's side ended with status {status}")
        return dict(json.loads(line))


def make_data(num_recordings: int, num_frames: int) -> Cepstra:
    """Noise in place of cepstra; no utterance is behind it."""
    features = torch.randn(NUM_FEATURES, num_frames, num_recordings)
    targets = torch.arange(num_recordings) % NUM_CLASSES
    return Cepstra((), features, targets, tuple(f"class-{c}" for c in range(NUM_CLASSES)))


def save_data(data: Cepstra, folder: Path) -> None:
    """Write it as Keras takes it."""
    np.save(folder / "features.npy", data.features.permute(2, 1, 0).contiguous().numpy())
    np.save(folder / "targets.npy", data.targets.numpy())


@torch.inference_mode()
def largest_difference(data: Cepstra, folder: Path) -> float:
    """Of the log-posteriors that Keras and ours compute with the same weights."""
    networks = TIMNets([load_timnet(folder / "weights.hdf5")]).eval()
    found = networks(data.features[None])[0].log_softmax(dim=-1)
    return float(np.abs(found.numpy() - np.log(np.load(folder / "posteriors.npy"))).max())


def epoch_of(systems: list[Together]) -> float:
    """Seconds of an epoch of each, one after the other."""
    start = time.perf_counter()
    for together in systems:
        together.train_epoch()
    return time.perf_counter() - start


def trainer(data: Cepstra, number: int, size: int, precision: str) -> Callable[[], float]:
    """An epoch of so many networks, `size` at a time; all recordings are learned from."""
    every = np.arange(len(data.targets))
    folds = [Fold(seed, every, every[:1]) for seed in range(number)]
    fitting = Fitting(precision=precision)
    groups = [folds[start : start + size] for start in range(0, number, size)]
    compiled = has_compiler()
    systems = [Together(data, group, fitting, compiled=compiled) for group in groups]
    return partial(epoch_of, systems)


def take_turns(systems: dict[Any, Callable[[], float]], epochs: int) -> dict[Any, float]:
    """Median seconds of an epoch of each, after one that is not counted."""
    turns = [{name: epoch() for name, epoch in systems.items()} for _ in range(1 + epochs)]
    return {name: median(turn[name] for turn in turns[1:]) for name in systems}


def start_keras(options: argparse.Namespace, folder: Path) -> Keras | None:
    """Keras's side; without it the rest is measured, unless it was asked for by name."""
    try:
        return Keras(options.keras or sys.executable, folder, 1 + options.epochs)
    except ModuleNotFoundError as error:
        way_out = f"{error}: {INSTALL}, then `--keras keras/bin/python`"
        if options.keras:
            sys.exit(way_out)
        print(f"the comparison with Keras is left out, as {way_out}")
        return None


def compare(options: argparse.Namespace, folder: Path) -> bool:
    """Measure and print everything, and say whether all claims hold."""
    data = make_data(options.recordings, options.frames)
    save_data(data, folder)
    names = ("one after the other", "side by side")
    systems: dict[tuple[str, str], Callable[[], float]] = {}
    claims = []
    keras = start_keras(options, folder)
    if keras:
        print(", ".join(f"{name} {found}" for name, found in keras.versions.items()))
        difference = largest_difference(data, folder)
        if difference > 1e-4:
            sys.exit(f"the two are not the same network: log-posteriors differ by {difference:.0e}")
        claims.append(("both give the same log-posteriors", f"to {difference:.0e} (1e-04)", True))
        systems["one network", KERAS] = keras.epoch
    for precision in PRECISIONS:
        systems["one network", f"sed, {precision}"] = trainer(data, 1, 1, precision)
    for precision in PRECISIONS:
        chosen = fitting_together(NUM_NETWORKS, options.frames, Fitting(precision=precision))
        for at_once, name in zip((1, chosen), names, strict=True):
            epoch = trainer(data, NUM_NETWORKS, at_once, precision)
            systems[f"ten networks, {precision}", name] = epoch

    seconds = take_turns(systems, options.epochs)
    previous, peer = "", 0.0
    print(f"\n{'':32}{'s an epoch':>11}{'ratio':>8}")
    for (block, name), taken in seconds.items():
        if block != previous:
            previous, peer = block, taken
            print(block)
        print(f"  {name:30}{taken:11.2f}{peer / taken:7.2f}x")

    def claim(what: str, taken: float, peer: float, mark: float = 1.0) -> None:
        ratio = peer / taken
        figure = f"{taken:.2f} s against {peer:.2f} s, {ratio:.2f} times as fast ({mark:.0f})"
        claims.append((what, figure, ratio >= mark))

    for precision, mark in PRECISIONS.items():
        if keras:
            ours, theirs = (("one network", name) for name in (f"sed, {precision}", KERAS))
            claim(f"one network, {precision}, against Keras", seconds[ours], seconds[theirs], mark)
        block = f"ten networks, {precision}"
        claim(f"{block}, side by side", *(seconds[block, name] for name in reversed(names)))
    print()
    for what, figure, holds in claims:
        print(f"{'ok  ' if holds else 'FAIL'}  {what:36}{figure}")
    return all(holds for _, _, holds in claims)


def main() -> None:
    """Print the table and the claims."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    python = "interpreter with tensorflow and tf_keras"
    parser.add_argument("--keras", metavar="PYTHON", help=f"{python}; this one by default")
    parser.add_argument("--recordings", type=int, default=512)
    parser.add_argument("--frames", type=int, default=188)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    keep_freed()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"torch {version('torch')}, {torch.get_num_threads()} threads; TIM-Net, ", end="")
    print(f"{options.recordings} recordings of {options.frames} frames")
    with tempfile.TemporaryDirectory() as name:
        hold = compare(options, Path(name))
    sys.exit(not hold)


if __name__ == "__main__":
    main()
