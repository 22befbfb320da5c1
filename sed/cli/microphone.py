"""A microphone as blocks, through PortAudio: a callback fills a queue, the command empties it."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sed.cli.sources import Sound

MAX_BACKLOG = 30.0
"""Seconds of sound that wait at most; more is lost, which is counted."""

_BLOCK = 0.05  # seconds that the sound card gives at a time

_INSTALL = (
    "microphones need sounddevice and PortAudio: pip install 'speech-emotion-diarization[live]', "
    "and on Linux apt install libportaudio2"
)


@dataclass(frozen=True)
class Microphone:
    """A microphone, or whatever else PortAudio can hear.

    Parameters
    ----------
    device : str, optional
        Its number or a part of its name; the system's own choice by default.
    sample_rate : int, optional
        The device's own by default.
    channel : int, optional
        Counted from 1; the mean of all channels by default.

    Raises
    ------
    ValueError
        If sounddevice or PortAudio is missing, or there is no such device.
    """

    device: str | None = None
    sample_rate: int | None = None
    channel: int | None = None

    name = "the microphone"
    uri = "microphone"
    is_endless = True

    def __post_init__(self) -> None:
        """Refuse before anything slow what cannot be heard."""
        self._found()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Sound]:
        """Listen; from here on nothing that is said gets lost."""
        sounddevice, found = _sounddevice(), self._found()
        num_channels = self.channel or min(2, found["max_input_channels"])
        sample_rate = self.sample_rate or round(found["default_samplerate"])
        queue = SoundQueue(round(MAX_BACKLOG * sample_rate))

        def heard(block: np.ndarray, num_samples: int, time: Any, status: Any) -> None:
            if status.input_overflow:
                queue.num_gaps += 1  # PortAudio does not say how long
            column = block[:, self.channel - 1] if self.channel else block.mean(axis=1)
            queue.put(column.astype(np.float32))  # a copy: PortAudio uses its array again

        try:
            with sounddevice.InputStream(
                device=found["index"],
                samplerate=sample_rate,
                channels=num_channels,
                dtype="float32",
                blocksize=round(_BLOCK * sample_rate),
                callback=heard,
                finished_callback=queue.close,
            ):
                yield Sound(
                    sample_rate,
                    _until_gone(queue, found["name"]),
                    backlog=lambda: queue.num_waiting / sample_rate,
                    losses=lambda: queue.losses(sample_rate),
                )
        except sounddevice.PortAudioError as error:
            raise ValueError(f"{found['name']} cannot be heard: {error}") from None

    def _found(self) -> dict[str, Any]:
        """What PortAudio knows of the device."""
        sounddevice = _sounddevice()
        try:
            number = int(self.device) if self.device and self.device.isdecimal() else self.device
            found: dict[str, Any] = sounddevice.query_devices(number, "input")
        except (ValueError, sounddevice.PortAudioError):
            devices = [
                f"{device['index']} {device['name']}"
                for device in sounddevice.query_devices()
                if device["max_input_channels"] > 0
            ]
            wanted = "" if self.device is None else f" called {self.device!r}"
            known = f"choose {', '.join(devices)}" if devices else "this machine has none"
            raise ValueError(f"there is no one microphone{wanted}; {known}") from None
        if self.channel and self.channel > found["max_input_channels"]:
            raise ValueError(
                f"{found['name']} has {found['max_input_channels']} channels, not {self.channel}"
            )
        return found


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ModuleNotFoundError, OSError):  # OSError: "PortAudio library not found"
        raise ValueError(_INSTALL) from None
    return sounddevice


def _until_gone(blocks: Iterable[np.ndarray], name: str) -> Iterator[np.ndarray]:
    """Blocks of a device, which does not end by itself."""
    yield from blocks
    raise ValueError(f"{name} gives no more sound; is it still plugged in?")


class SoundQueue:
    """Sound between two threads: one that must never wait, and one that may be too slow.

    ::

        put   |--a--|--b--|  c  |  d  |--e--|     no room for c and d
        iter  |--a--|--b--|00000|00000|--e--|     they come as silence, so that times stay right

    Parameters
    ----------
    max_samples : int
        How many may wait.

    Examples
    --------
    >>> queue = SoundQueue(3)
    >>> for value in (1.0, 2.0, 3.0):
    ...     queue.put(np.full(2, value, np.float32))
    >>> queue.close()
    >>> [block.tolist() for block in queue], queue.num_lost
    ([[1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], 4)
    """

    def __init__(self, max_samples: int) -> None:
        self.num_waiting = 0
        """Samples that wait."""
        self.num_lost = 0
        """Samples that found no room."""
        self.num_gaps = 0
        """Times that the sound card itself lost some."""
        self._max_samples = max_samples
        self._blocks: collections.deque[np.ndarray | int] = collections.deque()
        self._changed, self._closed = threading.Condition(), False

    def put(self, block: np.ndarray) -> None:
        """Add sound, or count it as lost where it has no room."""
        with self._changed:
            if self.num_waiting + len(block) <= self._max_samples:
                self._blocks.append(block)
                self.num_waiting += len(block)
            else:
                self.num_lost += len(block)
                # one number, however long it lasts
                before = self._blocks.pop() if self._is_losing else 0
                self._blocks.append(len(block) + before)
            self._changed.notify()

    @property
    def _is_losing(self) -> bool:
        return bool(self._blocks) and isinstance(self._blocks[-1], int)

    def close(self) -> None:
        """No more sound will come."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def losses(self, sample_rate: int) -> str:
        """What got lost so far, in words; nothing if nothing did."""
        lost, gaps = self.num_lost / sample_rate, self.num_gaps
        found = [f"{lost:.1f} s of sound found no room and count as silence"] if lost else []
        found += [f"the sound card left out some {gaps} time{'s' if gaps > 1 else ''}"] * bool(gaps)
        return "; ".join(found)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks as they come, until it is closed."""
        while True:
            with self._changed:
                # a wait without an end would keep Ctrl-C out on some systems
                while not self._blocks and not self._closed:
                    self._changed.wait(0.2)
                if not self._blocks:
                    return
                block = self._blocks.popleft()
                if not isinstance(block, int):
                    self.num_waiting -= len(block)
            if isinstance(block, int):
                yield from _silence(block)
            else:
                yield block


def _silence(num_samples: int) -> Iterator[np.ndarray]:
    """Zeros in bounded lengths."""
    for start in range(0, num_samples, 1 << 16):
        yield np.zeros(min(1 << 16, num_samples - start), dtype=np.float32)
