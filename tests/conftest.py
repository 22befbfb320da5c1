"""What several test files share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

# Threads of torch that wait for each other make the tests' tiny networks slow, on a busy machine
# a hundred times; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# pytest loads these by itself; as modules with doctests, two of one name are in each other's way.
collect_ignore = ["conftest.py", "cli/conftest.py"]

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems() -> None:
    """Let hypothesis ask every imported module for its file.

    SpeechBrain's lazy modules answer that question with an import of what is not installed.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("speechbrain"):
            vars(module).setdefault("__file__", None)
