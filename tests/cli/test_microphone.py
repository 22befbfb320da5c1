"""The microphone: what is said without it, and the queue between its callback and the work."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from command_line import Command

from sed.cli.microphone import MAX_BACKLOG, SoundQueue

try:
    import sounddevice
except (ModuleNotFoundError, OSError):
    sounddevice = None


def block(value: float, num_samples: int = 10) -> np.ndarray:
    return np.full(num_samples, value, dtype=np.float32)


def lengths(queue: SoundQueue) -> list[tuple[float, int]]:
    """Value and length of each block that comes out."""
    return [(float(block[0]), len(block)) for block in queue]


def test_what_is_missing_is_one_line_that_says_how_to_get_it(
    sed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the model is loaded; without PortAudio too, which is what a bare machine lacks."""
    if sounddevice is not None:
        monkeypatch.setitem(sys.modules, "sounddevice", None)
    outcome = sed("stream")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error == (
        "microphones need sounddevice and PortAudio: pip install "
        "'speech-emotion-diarization[live]', and on Linux apt install libportaudio2"
    )


@pytest.mark.skipif(sounddevice is None, reason="PortAudio is not on this machine")
def test_an_unknown_microphone_is_one_line_with_those_there_are(sed: Command) -> None:
    outcome = sed("stream", "--device-in", "no such microphone")
    assert (outcome.code, outcome.out) == (2, "")
    assert "there is no one microphone called 'no such microphone'" in outcome.error


def test_sound_comes_out_as_it_went_in() -> None:
    queue = SoundQueue(100)
    for value in (1.0, 2.0):
        queue.put(block(value))
    assert queue.num_waiting == 20
    queue.close()
    assert lengths(queue) == [(1.0, 10), (2.0, 10)]
    assert (queue.num_waiting, queue.num_lost, queue.losses(10)) == (0, 0, "")


def test_what_finds_no_room_is_silence_of_the_same_length() -> None:
    """So the time of what follows is right, and the queue does not grow."""
    queue = SoundQueue(20)
    for value in (1.0, 2.0, 3.0, 4.0):
        queue.put(block(value))
    taken = iter(queue)
    assert next(taken)[0] == 1.0
    queue.put(block(5.0))
    queue.put(block(6.0))
    queue.close()
    assert [(float(b[0]), len(b)) for b in taken] == [(2.0, 10), (0.0, 20), (5.0, 10), (0.0, 10)]
    assert queue.num_lost == 30
    assert queue.losses(10) == "3.0 s of sound found no room and count as silence"
    queue.num_gaps = 2
    assert queue.losses(10).endswith("; the sound card left out some 2 times")


def test_hours_without_room_need_no_memory() -> None:
    queue = SoundQueue(10)
    for _ in range(10_000):
        queue.put(block(1.0))
    assert len(queue._blocks) == 2
    queue.close()
    assert sum(length for _, length in lengths(queue)) == 100_000


def test_a_thread_waits_for_sound_and_for_the_end() -> None:
    """Everything arrives, in order, whoever is faster."""
    queue = SoundQueue(round(MAX_BACKLOG * 16_000))
    heard: list[float] = []

    def take() -> None:
        heard.extend(float(block[0]) for block in queue)

    thread = threading.Thread(target=take)
    thread.start()
    for value in range(200):
        queue.put(block(value))
        if value % 50 == 0:
            time.sleep(0.01)
    assert thread.is_alive()
    queue.close()
    thread.join(10)
    assert heard == list(range(200))
