"""What the tests of commands talk about: a command, its outcome, and recordings to give it."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a command that failed with nothing else to say."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("sed: ")
        return self.err.removeprefix("sed: ").strip()


Command = Callable[..., Outcome]


def write_wav(path: Path, samples: np.ndarray, sample_rate: int = 16_000, **options: str) -> Path:
    """Recording of (num_samples,) or (num_samples, num_channels) samples, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, **options)
    return path


def on_terminal(*arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code of a command, what it printed, and what it showed on the terminal meanwhile."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sed", *arguments], stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while piece := os.read(controller, 4096):
            shown += piece
    os.close(controller)
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed, shown
