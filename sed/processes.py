"""Processes that end with the one that started them, and what is said of those that were ended.

This file loads nothing slow, so that workers can have it at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

_LOADED: list[str] = []


def context_with(module: str) -> Any:
    """How processes are started: from one that has loaded a module, where there is such a way.

    That one is started with the first process. It loads what was asked for until then, all of it:
    whoever asks later has its processes load the module themselves.

    Examples
    --------
    >>> context_with("sed.frames").get_start_method() in ("forkserver", "spawn")
    True
    """
    known = multiprocessing.get_all_start_methods()
    if "forkserver" not in known:
        return multiprocessing.get_context("spawn")
    if module not in _LOADED:
        _LOADED.append(module)
    multiprocessing.set_forkserver_preload(_LOADED)
    return multiprocessing.get_context("forkserver")


def become_a_worker() -> None:
    """Make this process one that Ctrl-C does not reach, and that ends with who started it.

    Who started it passes Ctrl-C on, as a KeyboardInterrupt.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def kill_group(process: int) -> None:
    """End a process and those that it has started."""
    with suppress(ProcessLookupError):  # over already, or too young for a group of its own
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def reason_of(code: int) -> str:
    """What an exit code other than zero says.

    Examples
    --------
    >>> reason_of(-9), reason_of(1)
    ('ended by SIGKILL; is the memory too small?', 'exit code 1')
    """
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"ended by {name}" + "; is the memory too small?" * (name == "SIGKILL")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        kill_group(os.getpid())
