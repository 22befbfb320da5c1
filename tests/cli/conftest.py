"""A small model, a loud recording and the command in this process, for the tests of commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Command, Outcome, write_wav
from tiny_model import tiny_model
from typer.testing import CliRunner

from sed.cli import app


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, sure of itself so that there is something to write."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder, decoding={"switch_penalty": 0.0, "min_duration_on": 0.1})
    return folder


@pytest.fixture
def sed() -> Command:
    """The command line in this process; a defect shows as itself, not as an exit code."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Outcome:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def diarize(sed: Command, model_folder: Path) -> Command:
    """`sed diarize` with the tiny model, on everything as speech unless told otherwise."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Outcome:
        given = [str(argument) for argument in arguments]
        defaults = [
            *(() if "--model" in given else ("--model", str(model_folder))),
            *(() if "--vad" in given else ("--vad", "none")),
        ]
        return sed("diarize", *defaults, *given, stdin=stdin)

    return run


@pytest.fixture
def voice(rng: np.random.Generator) -> np.ndarray:
    """Two seconds at 16 kHz, (num_samples,), in which the tiny model hears emotions."""
    pitches = np.repeat(rng.uniform(0.02, 0.6, (8, 10)), 3200, axis=1)  # new ones every 0.2 s
    chords = np.sin(np.cumsum(pitches, axis=1)).sum(axis=0)
    return (0.05 * chords).astype(np.float32)


@pytest.fixture
def call(tmp_path: Path, voice: np.ndarray) -> Path:
    """The voice as a file."""
    return write_wav(tmp_path / "call.wav", voice)
