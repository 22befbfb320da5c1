"""Sound that is decoded as it comes: containers through a pipe, without a copy on the disk.

`sed.decoders` reads files any number of times and knows their length; here nothing is known of what
comes next, and it is given out at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from sed.decoders import samples_of, to_float32

if TYPE_CHECKING:
    from av import AudioFrame

logger = logging.getLogger("sed")

_OPTIONS = {
    # libav hears for five seconds by default before it gives out the first sample. Sound needs
    # little to be recognised; "nobuffer" would drop what was heard meanwhile.
    "probesize": "32768",
    "analyzeduration": "0",
    "protocol_whitelist": "none",  # a playlist that comes through the pipe opens nothing
}


class Bytes(Protocol):
    """A stream that gives what is there, such as ``sys.stdin.buffer``."""

    def read1(self, size: int, /) -> bytes:
        """At least one byte unless it has ended, and no more than `size`."""


@dataclass(frozen=True)
class Piped:
    """Sound that comes through a pipe.

    Parameters
    ----------
    sample_rate, num_channels : int
    blocks : iterator of (num_samples, num_channels) np.ndarray of float32
        Raises ValueError where the sound cannot be decoded any further.
    """

    sample_rate: int
    num_channels: int
    blocks: Iterator[np.ndarray]


@contextlib.contextmanager
def opened(stream: Bytes, name: str) -> Iterator[Piped]:
    """Sound of a container, once its first samples are there.

    A packet that cannot be decoded is left out with a warning, the first time: a call must not end
    because some bytes were lost on the way.

    Parameters
    ----------
    stream : Bytes
        If it has ``seek`` and ``tell`` as well they are used: some containers need it.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If it is empty, or holds no audio that can be decoded.

    Examples
    --------
    >>> import io
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.full((8_000, 2), 0.5), 8_000, format="WAV")
    >>> with opened(io.BytesIO(file.getvalue()), "the file") as piped:
    ...     piped.sample_rate, piped.num_channels, sum(map(len, piped.blocks))
    (8000, 2, 8000)
    """
    import av

    reader = _Reader(stream)
    with contextlib.ExitStack() as stack:
        try:
            container = stack.enter_context(
                av.open(reader, options=_OPTIONS, metadata_errors="replace")
            )
            reader.require_whole()
            frames = _frames(container, name)
            first = next(frames, None)
        except av.FFmpegError as error:
            reader.require_whole()
            if reader.num_bytes == 0:
                raise ValueError(f"{name} is empty (0 bytes); is anything sent?") from None
            raise _undecodable(name, str(error.strerror)) from None
        reader.require_whole()
        if first is None:
            raise _undecodable(name, "no samples in it")
        yield Piped(*_form(first), _blocks(first, frames, reader, name))


def _undecodable(name: str, reason: str) -> ValueError:
    return ValueError(
        f"{name} is not audio that can be decoded ({reason}); send it as wav, or as raw samples "
        f"and name their encoding"
    )


class _Reader:
    """What libav reads from; without ``seek`` where the stream cannot."""

    def __init__(self, stream: Any) -> None:
        self.num_bytes = 0
        self._stream = stream
        self._failure: BaseException | None = None
        if getattr(stream, "seekable", bool)():
            self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """What is there, no more than `size`."""
        try:
            data: bytes = b"" if self._failure else self._stream.read1(size)
        except BaseException as failure:
            self._failure, data = failure, b""
        self.num_bytes += len(data)
        return data

    def require_whole(self) -> None:
        """Raise what kept it from being read, Ctrl-C for example.

        libav swallows some of that and reads on after some, so to it the stream has ended.
        """
        if self._failure is not None:
            raise self._failure


def _form(frame: AudioFrame) -> tuple[int, int]:
    return frame.sample_rate, frame.layout.nb_channels


def _frames(container: Any, name: str) -> Iterator[AudioFrame]:
    """Frames as they are decoded, without packets that are damaged."""
    import av

    stream = container.streams.best("audio")
    if stream is None:
        raise ValueError(f"{name} has no audio stream; send one with sound")
    seconds, warned = 0.0, False
    for packet in container.demux(stream):
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except av.FFmpegError as error:
            if not warned:
                logger.warning(
                    "%s is damaged after %.3f s (%s); what cannot be decoded is left out",
                    name, seconds, error.strerror,
                )  # fmt: skip
            warned = True
            continue
        for frame in frames:
            if frame.samples:
                seconds += frame.samples / frame.sample_rate
                yield frame


def _blocks(
    first: AudioFrame, frames: Iterator[AudioFrame], reader: _Reader, name: str
) -> Iterator[np.ndarray]:
    """Samples of frames that all have one rate and number of channels."""
    import av

    frame: AudioFrame | None = first
    form, num_heard = _form(first), 0
    while frame is not None:
        if _form(frame) != form:
            raise ValueError(
                f"{name} changes its sample rate or channels after {num_heard / form[0]:.3f} s; "
                f"begin a new stream there"
            )
        yield to_float32(samples_of(frame))
        num_heard += frame.samples
        try:
            frame = next(frames, None)
        except av.FFmpegError as error:
            reader.require_whole()
            raise ValueError(
                f"{name} cannot be decoded any further after {num_heard / form[0]:.3f} s "
                f"({error.strerror}); what was heard before counts"
            ) from None
    reader.require_whole()
