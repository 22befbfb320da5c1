"""Memory that one step of a training gives back is what the next one asks for."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed() -> None:
    """Keep what is freed for the next step, where the C library is glibc; nothing elsewhere.

    By default glibc gives large blocks back to the system at once, which clears them again for the
    next step, page by page. Applies to this process as a whole, until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
