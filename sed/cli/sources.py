"""Where a live stream comes from: a microphone, a pipe, a file; all as blocks of one rate."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from sed.audio import MIN_SAMPLE_RATE, Recording
from sed.labels import spelling_in_rttm
from sed.pcm import RawDecoder, mono, require_channel
from sed.pipes import Bytes, opened

STANDARD_INPUT = "-"

_PIECE = 0.05  # seconds that are worked on at once: the frames of some codecs are a few samples
_NUM_BYTES = 1 << 14  # that are asked for; a pipe gives what it has


@dataclass(frozen=True)
class Sound:
    """Sound that comes.

    Parameters
    ----------
    sample_rate : int
        Samples per second.
    blocks : iterator of (num_samples,) np.ndarray of float32
        Mono; raises ValueError where nothing more can be heard.
    backlog : callable, optional
        Seconds that have come and wait to be taken, where that is known.
    losses : callable, optional
        What got lost so far, in words; empty if nothing did.
    """

    sample_rate: int
    blocks: Iterator[np.ndarray]
    backlog: Callable[[], float] = lambda: 0.0
    losses: Callable[[], str] = lambda: ""


class Source(Protocol):
    """What can be opened once and heard."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def uri(self) -> str:
        """What results call it."""

    @property
    def is_endless(self) -> bool:
        """Whether it ends only when somebody ends it."""

    def opened(self) -> AbstractContextManager[Sound]:
        """Sound of it; waits for the first of it where the rate is not known before."""


@dataclass(frozen=True)
class StoredFile:
    """A file on the disk, read as `sed diarize` does, as fast as it can be worked on."""

    path: Path
    channel: int | None = None

    is_endless = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def uri(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @contextlib.contextmanager
    def opened(self) -> Iterator[Sound]:
        """Sound of the file."""
        recording = Recording.open(self.path, channel=self.channel)
        rate = recording.sample_rate
        yield Sound(rate, recording.blocks(sample_rate=rate, duration=1.0))


@dataclass(frozen=True)
class Pipe:
    """Standard input, a FIFO or a device: a container that is decoded as it comes."""

    path: Path | None = None
    channel: int | None = None

    is_endless = False

    @property
    def name(self) -> str:
        """The path, or what it stands for."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def uri(self) -> str:
        """Name of the results."""
        return "stdin" if self.path is None else spelling_in_rttm(self.path.stem)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Sound]:
        """Sound of the container, once its beginning has come."""
        with self.stream() as stream, opened(stream, self.name) as piped:
            _require_rate(self.name, piped.sample_rate)
            require_channel(self.name, piped.num_channels, self.channel)
            blocks = (mono(block, self.channel) for block in piped.blocks)
            yield Sound(piped.sample_rate, _pieces(blocks, round(_PIECE * piped.sample_rate)))

    @contextlib.contextmanager
    def stream(self) -> Iterator[Bytes]:
        """The bytes."""
        if self.path is not None:
            with self.path.open("rb") as stream:
                yield stream
        elif sys.stdin is None:
            raise ValueError("- is standard input, but that is closed; name a file")
        else:
            yield cast(Bytes, sys.stdin.buffer)


@dataclass(frozen=True)
class RawPipe:
    """Samples without any header, from a pipe or a file.

    Raises
    ------
    ValueError
        If there is no such encoding, channel or rate.
    """

    pipe: Pipe
    encoding: str
    sample_rate: int
    num_channels: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be, before anything slow."""
        _require_rate("raw sound", self.sample_rate)
        self._decoder()

    is_endless = False

    @property
    def name(self) -> str:
        """That of the pipe."""
        return self.pipe.name

    @property
    def uri(self) -> str:
        """That of the pipe."""
        return self.pipe.uri

    @contextlib.contextmanager
    def opened(self) -> Iterator[Sound]:
        """Sound of the samples, once the first of them have come."""
        with self.pipe.stream() as stream:
            first = stream.read1(_NUM_BYTES)
            if not first:
                raise ValueError(f"{self.name} is empty (0 bytes); is anything sent?")
            blocks = self._blocks(first, stream)
            yield Sound(self.sample_rate, _pieces(blocks, round(_PIECE * self.sample_rate)))

    def _decoder(self) -> RawDecoder:
        return RawDecoder(self.encoding, num_channels=self.num_channels, channel=self.pipe.channel)

    def _blocks(self, data: bytes, stream: Bytes) -> Iterator[np.ndarray]:
        decoder = self._decoder()
        while data:
            yield decoder(data)
            data = stream.read1(_NUM_BYTES)
        if decoder.num_waiting:
            raise ValueError(
                f"{self.name} ends in the middle of a sample; is it {self.encoding} with "
                f"{self.num_channels} channel{'s' if self.num_channels > 1 else ''}?"
            )


def find_source(
    name: str | None,
    *,
    device: str | None,
    raw: str | None,
    rate: int | None,
    num_channels: int | None,
    channel: int | None,
) -> Source:
    """Source that the command's options name; what can be wrong with them is said at once.

    Raises
    ------
    ValueError, OSError
        If an option belongs to another source, or there is no such source.
    """
    if device is not None and name is not None:
        raise ValueError(f"--device-in is a microphone's, but {name} is to be heard; leave one out")
    for option, value in (("--raw", raw), ("--channels", num_channels)):
        if name is None and value is not None:
            raise ValueError(f"{option} is for sound without a header; name where it comes from")
    if name is None:
        from sed.cli.microphone import Microphone

        return Microphone(device, rate, channel)
    if not name:
        raise ValueError("an empty name is no file; name one, - for standard input, or none")
    path = None if name == STANDARD_INPUT else Path(name)
    if raw is None:
        for option, number in (("--rate", rate), ("--channels", num_channels)):
            if number is not None:
                raise ValueError(f"{option} is for sound without a header; add --raw ENCODING")
        if path is None or not stat.S_ISREG(_mode(path)):
            return Pipe(path, channel)
        return StoredFile(path, channel)
    if rate is None:
        raise ValueError(f"--raw {raw} does not tell the sample rate; add --rate, such as 16000")
    if path is not None:
        _mode(path)
    return RawPipe(Pipe(path, channel), raw, rate, num_channels or 1)


def _mode(path: Path) -> int:
    """Kind of a file that is there and is no folder."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; check its spelling") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder; a stream is one file, pipe or device")
    return mode


def _require_rate(name: str, sample_rate: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= 1_000_000:
        raise ValueError(
            f"{name} has a sample rate of {sample_rate} Hz, which holds no speech; send it with "
            f"8000 Hz or more"
        )


def _pieces(blocks: Iterable[np.ndarray], least: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of at least so many; the last one comes before an error, too."""
    waiting: list[np.ndarray] = []
    num_waiting, failure = 0, None
    try:
        for block in blocks:
            waiting.append(block)
            num_waiting += len(block)
            if num_waiting >= least:
                yield np.concatenate(waiting)
                waiting, num_waiting = [], 0
    except (ValueError, OSError) as error:
        failure = error
    if num_waiting:
        yield np.concatenate(waiting)
    if failure is not None:
        raise failure
