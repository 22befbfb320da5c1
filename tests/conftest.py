"""What several test files share."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

# Threads of torch that wait for each other make the tests' tiny networks slow, on a busy machine
# a hundred times; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# pytest loads these by itself; as modules with doctests, two of one name are in each other's way.
collect_ignore = ["conftest.py", "archive/conftest.py", "cli/conftest.py"]

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings; tests that need it skip where it is absent."""
    if not (SHARED / "corpora").is_dir():
        pytest.skip("the folder of real recordings (../shared/corpora) is not on this machine")
    return SHARED


@pytest.fixture
def permissions() -> Iterator[None]:
    """Let file permissions hold for root too, who may otherwise read and write everything.

    On Linux that is two capabilities of the process, which are laid down for the test.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    if sys.platform != "linux" or libc.capget(header, before) != 0:
        pytest.skip("root may read and write everything, and cannot be kept from it here")
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


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
