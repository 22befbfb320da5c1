"""Raw samples as they come through pipes and sockets: bytes of a named encoding to mono floats."""

from __future__ import annotations

import functools

import numpy as np

from sed.decoders import to_float32

_TYPES = {
    "u8": "u1",
    "s8": "i1",
    "s16le": "<i2",
    "s16be": ">i2",
    "s32le": "<i4",
    "s32be": ">i4",
    "f32le": "<f4",
    "f32be": ">f4",
    "f64le": "<f8",
    "f64be": ">f8",
}

ENCODINGS = (*_TYPES, "s24le", "s24be", "mulaw", "alaw")
"""Names as ffmpeg has them; mulaw and alaw are those of telephony (ITU-T G.711)."""

MAX_CHANNELS = 64


class RawDecoder:
    """Bytes to samples, cut anywhere.

    ::

        bytes    |--a--|--b--|--|   -- cut in the middle of a sample
        samples  |--a--|--b-----|      the begun one waits for its rest

    Parameters
    ----------
    encoding : str
        One of `ENCODINGS`.
    num_channels : int, optional
        Channels that take turns, sample by sample.
    channel : int, optional
        Counted from 1; the mean of all channels by default.

    Raises
    ------
    ValueError
        If there is no such encoding or channel.

    Examples
    --------
    >>> decoder = RawDecoder("s16le")
    >>> decoder(bytes([0, 0x40, 0])).tolist(), decoder(bytes([0xC0])).tolist()
    ([0.5], [-0.5])
    """

    def __init__(self, encoding: str, *, num_channels: int = 1, channel: int | None = None) -> None:
        if encoding not in ENCODINGS:
            raise ValueError(f"no encoding {encoding!r}; choose {', '.join(ENCODINGS)}")
        if not 1 <= num_channels <= MAX_CHANNELS:
            raise ValueError(f"raw samples have 1 to {MAX_CHANNELS} channels, not {num_channels}")
        require_channel("raw sound", num_channels, channel)
        self._encoding, self._num_channels, self._channel = encoding, num_channels, channel
        self._size = num_channels * _num_bytes(encoding)
        self._waiting = b""

    def __call__(self, data: bytes) -> np.ndarray:
        """Samples (num_samples,) of float32 that these bytes complete."""
        data = self._waiting + data if self._waiting else data
        whole = len(data) // self._size * self._size
        self._waiting = data[whole:]
        samples = _decoded(data[:whole], self._encoding)
        return mono(samples.reshape(-1, self._num_channels), self._channel)

    @property
    def num_waiting(self) -> int:
        """Bytes of a begun sample; above zero at the end of a stream, it was cut or is another."""
        return len(self._waiting)


def mono(block: np.ndarray, channel: int | None) -> np.ndarray:
    """One channel of a (num_samples, num_channels) block, counted from 1, or the mean of all.

    Examples
    --------
    >>> mono(np.array([[0.0, 1.0]]), None).tolist(), mono(np.array([[0.0, 1.0]]), 2).tolist()
    ([0.5], [1.0])
    """
    if block.shape[1] == 1 or channel is not None:
        return block[:, (channel or 1) - 1]
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused later
        return block.mean(axis=1, dtype=block.dtype)


def require_channel(name: str, num_channels: int, channel: int | None) -> None:
    """Refuse a channel that is not there.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    if channel is not None and not 1 <= channel <= num_channels:
        raise ValueError(
            f"{name} has {num_channels} channel{'s' if num_channels > 1 else ''}; choose mix or 1 "
            f"to {num_channels}, not {channel}"
        )


def _num_bytes(encoding: str) -> int:
    """Bytes of one sample of one channel."""
    if encoding in _TYPES:
        return np.dtype(_TYPES[encoding]).itemsize
    return 3 if encoding.startswith("s24") else 1


def _decoded(data: bytes, encoding: str) -> np.ndarray:
    """Whole samples, channels still mixed."""
    if encoding in _TYPES:
        return to_float32(np.frombuffer(data, _TYPES[encoding]))
    codes = np.frombuffer(data, np.uint8)
    if encoding in ("mulaw", "alaw"):
        return _telephony(encoding)[codes]
    triples = codes.reshape(-1, 3)[:, :: 1 if encoding == "s24le" else -1]
    padded = np.pad(triples, ((0, 0), (1, 0)))  # the low byte of 32 bits is nothing
    return to_float32(padded.view("<i4")[:, 0])


@functools.cache
def _telephony(encoding: str) -> np.ndarray:
    """Sample of each of the 256 codes of G.711: a sign, an exponent and four bits."""
    codes = np.arange(256) ^ (0xFF if encoding == "mulaw" else 0x55)
    positive = (codes & 0x80 == 0) if encoding == "mulaw" else (codes & 0x80 != 0)
    exponent, mantissa = codes >> 4 & 7, codes & 15
    if encoding == "mulaw":
        size = ((2 * mantissa + 33) << (exponent + 2)) - 132
    else:
        size = np.where(
            exponent == 0, 16 * mantissa + 8, (16 * mantissa + 264) << np.maximum(exponent - 1, 0)
        )
    return (np.where(positive, size, -size) / 32768).astype(np.float32)
