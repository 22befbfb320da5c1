"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings; tests that need it skip where it is absent."""
    if not (SHARED / "corpora").is_dir():
        pytest.skip("the folder of real recordings (../shared/corpora) is not on this machine")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)
