"""Any file as a recording: channels, resampling, and samples block by block.

::

    file ──decoders──▶ native blocks ──channel──▶ mono ──resampling──▶ blocks ──through──▶ blocks
         soundfile     (n, channels)   or mix     (n,)                 (n,)    transforms  (n,)
         or PyAV

Memory never grows with the file: each arrow is a generator.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sed.decoders import (
    AUDIO_SUFFIXES,
    Samples,
    Source,
    is_audio,
    open_source,
    to_float32,
)
from sed.labels import spelling_in_rttm
from sed.resampling import Resampler

__all__ = ["AUDIO_SUFFIXES", "Recording", "Transform", "find_recordings", "is_audio"]

MIN_SAMPLE_RATE = 4000
"""Hz; what is slower holds no speech."""

Transform = Callable[[Iterator[np.ndarray], int], Iterable[np.ndarray]]
"""From mono blocks and their sample rate to as many samples, in blocks of any lengths."""


@dataclass(frozen=True)
class Recording:
    """What one microphone, or the mean of several, has heard: read whole or block by block.

    Recordings of files are equal if file, channel, uri and transforms are; those of samples in
    memory only if they stem from the same call.

    Parameters
    ----------
    uri : str
        Name without white space, as RTTM needs it.
    sample_rate : int
        Samples per second of the source.
    num_channels : int
        Channels of the source.
    duration : float
        Seconds.
    channel : int or None
        None for the mean of all channels, else 1, 2, ...

    Examples
    --------
    >>> left, right = np.ones(8_000), np.zeros(8_000)
    >>> call = Recording.from_samples(np.stack([left, right]), 8_000, uri="call")
    >>> call.duration, call.samples(8_000)[:2].tolist()
    (1.0, [0.5, 0.5])
    >>> [(side.channel, float(side.samples(8_000).max())) for side in call.split()]
    [(1, 1.0), (2, 0.0)]
    >>> [len(block) for block in call.blocks(sample_rate=16_000, duration=0.75)]
    [12000, 4000]
    """

    uri: str
    sample_rate: int
    num_channels: int
    duration: float
    channel: int | None
    _source: Source = field(repr=False)
    _transforms: tuple[Transform, ...] = field(default=(), repr=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        channel: int | None = None,
        uri: str | None = None,
        max_duration: float = math.inf,
    ) -> Recording:
        """Recording of an audio or video file.

        Parameters
        ----------
        path : str or Path
        channel : int, optional
            Counted from 1; the mean of all channels by default.
        uri : str, optional
            The file's name without its ending by default.
        max_duration : float
            Seconds; what is longer is refused, without being decoded to its end.

        Raises
        ------
        OSError
            If the file is missing, a folder, or must not be read.
        ValueError
            If it holds no audio that can be decoded (a `NotAudioError` of `sed.decoders`), no
            samples, or no such channel, or is too long (`TooLongError`).

        Examples
        --------
        >>> import tempfile
        >>> import soundfile
        >>> path = Path(tempfile.mkdtemp()) / "two words.wav"
        >>> soundfile.write(path, np.zeros((22_050, 2)), 22_050)
        >>> Recording.open(path, channel=2)
        Recording(uri='two_words', sample_rate=22050, num_channels=2, duration=1.0, channel=2)
        """
        path = Path(path)
        source = open_source(path, max_duration=max_duration)
        return cls._of(source, channel=channel, uri=path.stem if uri is None else uri)

    @classmethod
    def from_samples(
        cls,
        samples: np.ndarray,
        sample_rate: int,
        *,
        uri: str = "recording",
        channel: int | None = None,
    ) -> Recording:
        """Recording of samples in memory, which are copied.

        Parameters
        ----------
        samples : (num_samples,) or (num_channels, num_samples) np.ndarray
            Floats, or integers that are scaled to ±1.
        sample_rate : int
            Samples per second.
        uri : str, optional
        channel : int, optional
            Counted from 1; the mean of all channels by default.

        Raises
        ------
        ValueError
            If the samples' shape or type is another, there are none, or no such channel.
        """
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
            raise ValueError(
                f"samples of {uri} have shape {samples.shape} and type {samples.dtype}; "
                f"give floats or integers as (num_samples,) or (num_channels, num_samples)"
            )
        array = np.atleast_2d(to_float32(samples)).copy()
        if len(array) > 1024:  # more than any format knows: time and channels are swapped
            raise ValueError(
                f"samples of {uri} have {len(array)} channels; give (num_channels, num_samples)"
            )
        if sample_rate != int(sample_rate):
            raise ValueError(
                f"{uri} cannot have {sample_rate} samples per second; give a whole number"
            )
        return cls._of(Samples(uri, int(sample_rate), array), channel=channel, uri=uri)

    @classmethod
    def _of(cls, source: Source, *, channel: int | None, uri: str) -> Recording:
        if source.num_samples == 0:
            raise ValueError(f"{source.name} holds no samples; record or export it again")
        if source.sample_rate < MIN_SAMPLE_RATE:
            raise ValueError(
                f"{source.name} has a sample rate of {source.sample_rate} Hz, too low for speech; "
                f"record at 8000 Hz or more"
            )
        if channel is not None and channel not in range(1, source.num_channels + 1):
            *choices, last = ("mix", *range(1, source.num_channels + 1))
            raise ValueError(
                f"{source.name} has {last} channel{'s' if source.num_channels > 1 else ''}; "
                f"choose {', '.join(map(str, choices))} or {last}, not {channel}"
            )
        return cls(
            uri=spelling_in_rttm(uri) or "_",
            sample_rate=source.sample_rate,
            num_channels=source.num_channels,
            duration=source.num_samples / source.sample_rate,
            channel=channel,
            _source=source,
        )

    def num_samples(self, sample_rate: int) -> int:
        """Number of samples that `blocks` and `samples` give at a rate.

        Examples
        --------
        >>> Recording.from_samples(np.zeros(44_101), 44_100).num_samples(16_000)
        16001
        """
        if sample_rate <= 0:
            raise ValueError(f"cannot read at {sample_rate} Hz; give a sample rate above 0")
        return -(-self._source.num_samples * sample_rate // self.sample_rate)

    def blocks(self, *, sample_rate: int, duration: float = 30.0) -> Iterator[np.ndarray]:
        """Mono samples in blocks, the file opened anew for each call.

        ::

            recording  |---------------------------------------|
            blocks     |--duration--|--duration--|--duration--|-|

        Parameters
        ----------
        sample_rate : int
            Samples per second to resample to; seams are exact, whatever the duration.
        duration : float, optional
            Seconds of each block but the last.

        Yields
        ------
        (num_samples,) np.ndarray of float32
            As many samples in all as `num_samples` says.

        Raises
        ------
        ValueError
            If the file is damaged or shorter than it says, or holds NaN or infinity.
        """
        num_samples = self.num_samples(sample_rate)
        if not duration > 0:
            raise ValueError(f"blocks cannot last {duration} s; give a duration above 0")
        size = max(1, round(min(duration * sample_rate, num_samples)))
        stream = Resampler(self.sample_rate, sample_rate)(self._mono())
        stream = _rechunked(stream, size)
        for transform in self._transforms:
            stream = _rechunked(self._transformed(stream, transform, sample_rate), size)
        return stream

    def samples(self, sample_rate: int) -> np.ndarray:
        """All mono samples.

        Parameters
        ----------
        sample_rate : int
            Samples per second to resample to.

        Returns
        -------
        (num_samples,) np.ndarray of float32
        """
        (samples,) = self.blocks(sample_rate=sample_rate, duration=math.inf)
        return samples

    def split(self) -> tuple[Recording, ...]:
        """One recording per channel, as for calls with one speaker a side."""
        return tuple(replace(self, channel=channel + 1) for channel in range(self.num_channels))

    def through(self, transform: Transform) -> Recording:
        """Recording whose blocks pass through a transform, such as an enhancement.

        Parameters
        ----------
        transform : callable
            Takes an iterator of mono blocks and their sample rate and gives as many samples, in
            blocks of any lengths. Called once for each reading.

        Examples
        --------
        >>> def louder(blocks, sample_rate):
        ...     for block in blocks:
        ...         yield 2 * block
        >>> quiet = Recording.from_samples(np.full(8_000, 0.25), 8_000)
        >>> quiet.through(louder).samples(8_000)[:2].tolist()
        [0.5, 0.5]
        """
        return replace(self, _transforms=(*self._transforms, transform))

    def _mono(self) -> Iterator[np.ndarray]:
        """Native samples of the channel or mix, exactly as many as the source has, all finite."""
        source, num_read = self._source, 0
        for block in source.blocks():
            num_read += len(block)
            if num_read > source.num_samples or block.shape[1] != self.num_channels:
                raise ValueError(f"{source.name} has changed since it was opened; open it again")
            if self.channel is not None or self.num_channels == 1:
                mono = block[:, (self.channel or 1) - 1]
            else:  # column by column: ten times faster than mean(axis=1)
                weight = np.float32(1 / self.num_channels)
                with np.errstate(invalid="ignore"):  # infinity less infinity, refused below
                    mono = block[:, 0] * weight
                    for channel in range(1, self.num_channels):
                        mono += block[:, channel] * weight
            _require_finite(mono, source.name, num_read - len(block), self.sample_rate)
            yield mono
        if num_read < source.num_samples:
            raise ValueError(
                f"{source.name} ends after {num_read / self.sample_rate:.3f} s where "
                f"{self.duration:.3f} s are promised; copy it again or convert it to wav"
            )

    def _transformed(
        self, stream: Iterator[np.ndarray], transform: Transform, sample_rate: int
    ) -> Iterator[np.ndarray]:
        """Stream through a transform that must keep the length and give finite numbers."""
        num_given, num_samples = 0, self.num_samples(sample_rate)
        name = f"{self._source.name} through {getattr(transform, '__name__', transform)}"
        for block in transform(stream, sample_rate):
            block = np.asarray(block, dtype=np.float32).reshape(-1)
            _require_finite(block, name, num_given, sample_rate)
            num_given += len(block)
            yield block
        if num_given != num_samples:
            raise ValueError(f"{name} has {num_given} samples; give {num_samples}, as many as came")


def find_recordings(
    folder: str | Path, *, on_error: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """Audio and video files of a folder and its folders, sorted within each.

    Hidden ones are left out. Links are followed, except to a folder that holds them. One folder's
    names are in memory at a time, never the whole tree's.

    Parameters
    ----------
    folder : str or Path
    on_error : callable, optional
        Told of a folder that is missing or must not be read, so that the others still come.

    Raises
    ------
    OSError
        If there is such a folder and no `on_error`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.flac", "a.txt", ".hidden.wav", "a.wav"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_recordings(folder)]
    ['a.wav', 'b.flac']
    """
    yield from _find(Path(folder), frozenset(), on_error)


def _find(
    folder: Path, parents: frozenset[str], on_error: Callable[[OSError], None] | None
) -> Iterator[Path]:
    parents |= {os.path.realpath(folder)}
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry.name, entry.is_dir())
                for entry in entries
                if not entry.name.startswith(".") and (is_audio(entry.name) or entry.is_dir())
            )
    except OSError as error:
        if on_error is None:
            raise
        on_error(error)
        return
    for name, is_folder in found:
        path = folder / name
        if not is_folder:
            yield path
        elif os.path.realpath(path) not in parents:
            yield from _find(path, parents, on_error)


def _rechunked(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `size`, the last one shorter."""
    chunk, filled = np.empty(size, dtype=np.float32), 0
    for block in blocks:
        while len(block):
            part = block[: size - filled]
            chunk[filled : filled + len(part)] = part
            filled, block = filled + len(part), block[len(part) :]
            if filled == size:
                yield chunk
                chunk, filled = np.empty(size, dtype=np.float32), 0
    if filled:
        yield chunk[:filled]


def _require_finite(block: np.ndarray, name: str, num_before: int, sample_rate: int) -> None:
    """Refuse NaN and infinity, naming the second."""
    # a sum is finite only if its terms are, and costs a third of looking at each
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(block))
    if len(bad):
        raise ValueError(
            f"{name} holds {block[bad[0]]} at {(num_before + bad[0]) / sample_rate:.3f} s, not a "
            f"sample; export it again"
        )
