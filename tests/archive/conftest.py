"""A small model on disk, and an archive that it hears emotions in."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import make_archive
from tiny_model import tiny_model

from sed.archive.work import Work


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A tiny model with random weights, in windows shorter than the recordings."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model(window=1.5).save_pretrained(
        folder, decoding={"switch_penalty": 0.0, "min_duration_on": 0.1}
    )
    return Work(str(folder), vad="energy")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings, one of them damaged."""
    return make_archive(tmp_path_factory.mktemp("archive"))
