"""A recording as a small file that every browser plays."""

from __future__ import annotations

from typing import IO

import numpy as np

from sed.audio import Recording

SAMPLE_RATE = 16_000
"""Samples per second: speech needs no more."""

MAX_BIT_RATE, MIN_BIT_RATE = 24_000, 8_000
"""Bits per second between which speech is small and can still be understood."""

CONTAINER = 1_500
"""Bits per second that WebM adds."""

_OPTIONS: dict[str, object] = {
    "frame_duration": "60",
    "application": "voip",
}  # long frames: less around them


def write_webm(recording: Recording, stream: IO[bytes], *, bit_rate: int = MAX_BIT_RATE) -> None:
    """Write a recording as Opus in WebM, block by block.

    Parameters
    ----------
    recording : Recording
    stream : binary file
        One that can seek.
    bit_rate : int, optional
        Bits per second.

    Raises
    ------
    OSError, ValueError
        If the recording cannot be read, or the disk is full.

    Examples
    --------
    >>> import io
    >>> tone = Recording.from_samples(np.sin(np.arange(16_000) / 5), 16_000)
    >>> stream = io.BytesIO()
    >>> write_webm(tone, stream)
    >>> 1_000 < len(stream.getvalue()) < 6_000
    True
    """
    import av

    with av.open(stream, "w", format="webm") as container:
        track = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        track.bit_rate, track.options = bit_rate, _OPTIONS
        position = 0
        for block in recording.blocks(sample_rate=SAMPLE_RATE):
            scaled = np.clip(block, -1.0, 1.0)
            frame = av.AudioFrame.from_ndarray(scaled[None], format="flt", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, position
            position += len(block)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
