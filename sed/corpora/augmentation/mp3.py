"""MP3: what a recording loses when it is encoded and decoded again, in memory."""

from __future__ import annotations

import io

import numpy as np

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Samples per second that an MP3 can have."""

_FRAME = 1152  # samples; of less than a frame not every number comes back


def through_mp3(samples: np.ndarray, sample_rate: int, bit_rate: float) -> np.ndarray:
    """Samples as they sound after an MP3, as many, and in the same places.

    LAME notes by how much it delays the sound, and the decoder takes that off.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray of float32
    sample_rate : int
        One of `SAMPLE_RATES`.
    bit_rate : float
        In kbit/s. LAME takes the nearest that there is: 8 to 64 up to 12 kHz, 8 to 160 up to
        24 kHz, 32 to 320 above.

    Returns
    -------
    (num_samples,) np.ndarray of float32

    Raises
    ------
    ValueError
        If there are no MP3s of this sample rate.

    Examples
    --------
    >>> tone = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    >>> decoded = through_mp3(tone, 16_000, 32.0)
    >>> len(decoded), bool(np.abs(decoded - tone)[2000:-2000].max() < 0.1)
    (16000, True)
    """
    if sample_rate not in SAMPLE_RATES:
        known = ", ".join(map(str, SAMPLE_RATES))
        raise ValueError(f"no MP3 has {sample_rate} samples per second; known are {known}")
    import av

    padded = np.pad(samples, (0, max(0, _FRAME - len(samples)))).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=sample_rate, layout="mono")
        stream.format, stream.bit_rate = "fltp", round(bit_rate * 1000)  # integers would be cut
        frame = av.AudioFrame.from_ndarray(padded[None], format="fltp", layout="mono")
        frame.sample_rate = sample_rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r", format="mp3") as container:
        decoded = np.concatenate([block.to_ndarray()[0] for block in container.decode(audio=0)])
    return decoded[: len(samples)]
