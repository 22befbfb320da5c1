"""The only decoders of the package: files as float blocks, by soundfile or else by PyAV.

soundfile reads what is stored sample by sample, and trusts its header for the length. Whatever it
does not open, and what it counts wrongly, goes to PyAV, which decodes the file once to count.
"""

from __future__ import annotations

import logging
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

if TYPE_CHECKING:
    from av import AudioFrame

logger = logging.getLogger("sed")

AUDIO_SUFFIXES = frozenset(
    # soundfile
    ".wav .wave .bwf .w64 .rf64 .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .sph .voc"
    # PyAV
    " .aac .ac3 .amr .awb .ape .eac3 .m4a .m4b .m4r .mka .mp1 .mp2 .mpga .spx .tta .weba .wma .wv"
    # the sound of videos; no .ts, which is more often TypeScript
    " .3g2 .3gp .asf .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv".split()
)
"""Endings of the files that the decoders read, in lower case."""


class NotAudioError(ValueError):
    """Nothing of a file can be decoded."""


class TooLongError(ValueError):
    """A recording exceeds what is allowed."""


_BLOCK = 1 << 16  # numbers, of all channels together, that are decoded at a time


class Source(Protocol):
    """Samples of all channels at their native rate, readable any number of times."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    @property
    def num_channels(self) -> int:
        """Number of channels."""

    @property
    def num_samples(self) -> int:
        """Exact number of samples per channel."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples as (num_samples, num_channels) arrays of float32 in bounded lengths."""


@dataclass(frozen=True)
class SoundFile:
    """A file that soundfile decodes."""

    name: str
    sample_rate: int
    num_channels: int
    num_samples: int

    @classmethod
    def open(cls, path: Path) -> SoundFile | None:
        """Source of a file, None where soundfile cannot read it or cannot tell its length."""
        import soundfile

        # mpg123 guesses the length of an mp3 (0.3 % off without a Xing header, twice the truth
        # when truncated) and complains to stderr on its own; libav does neither
        if _looks_like_mpeg(path):
            return None
        try:
            with soundfile.SoundFile(path) as file:
                name, notes = str(path), file.extra_info
                source = cls(name, file.samplerate, file.channels, file.frames)
                if file.subtype.startswith("MPEG"):
                    return None
        except (soundfile.LibsndfileError, TypeError, UnicodeEncodeError):
            return None  # TypeError: it takes the file for raw PCM; Unicode: a name not in UTF-8
        # 0: a truncated ogg, or a wav that a pipe left without sizes; 2 ** 63 - 1: a flac likewise
        if not 0 < source.num_samples < 2**62:
            return None
        # libsndfile notes "data : 160000 (should be 79978)"; streaming writers leave 0xFFFFFFFF
        wrong = [note for note in notes.splitlines() if "data" in note and "(should be" in note]
        if wrong and "4294967295" not in wrong[0]:
            seconds = source.num_samples / source.sample_rate
            logger.warning("%s is shorter than its header says; reading %.3f s", path, seconds)
        return source

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples as (num_samples, num_channels) arrays of float32 in bounded lengths."""
        import soundfile

        num_read = 0
        try:
            with soundfile.SoundFile(self.name) as file:
                size = max(1, _BLOCK // file.channels)
                while len(block := file.read(size, dtype="float32", always_2d=True)):
                    num_read += len(block)
                    yield block
        except soundfile.LibsndfileError as error:
            raise _damaged(self.name, num_read / self.sample_rate, str(error)) from None


@dataclass(frozen=True)
class AVFile:
    """A file that PyAV decodes, the first or the default audio stream of a video included."""

    name: str
    sample_rate: int
    num_channels: int
    num_samples: int

    @classmethod
    def open(cls, path: Path, *, max_duration: float = math.inf) -> AVFile:
        """Source of a file, decoded once to count its samples.

        Containers state a duration that lacks the encoder's padding, is rounded to milliseconds
        or is missing altogether. Counting ends at `max_duration`, so a small file that unpacks to
        days of silence costs no more than the longest recording that is allowed.
        """
        sample_rate = num_channels = num_samples = 0
        for frame in _decode(str(path), warn=True):
            sample_rate, num_channels = frame.sample_rate, frame.layout.nb_channels
            num_samples += frame.samples
            _require_short(cls(str(path), sample_rate, num_channels, num_samples), max_duration)
        return cls(str(path), sample_rate, num_channels, num_samples)

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples as (num_samples, num_channels) arrays of float32 in bounded lengths."""
        arrays: list[np.ndarray] = []
        size = 0
        for frame in _decode(self.name):
            array = samples_of(frame)
            arrays.append(array)
            size += array.size
            if size >= _BLOCK:
                yield to_float32(np.concatenate(arrays))
                arrays, size = [], 0
        if arrays:
            yield to_float32(np.concatenate(arrays))


@dataclass(frozen=True, eq=False)  # equal only to themselves
class Samples:
    """Samples in memory."""

    name: str
    sample_rate: int
    array: np.ndarray = field(repr=False)  # (num_channels, num_samples) float32

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.array)

    @property
    def num_samples(self) -> int:
        """Number of samples per channel."""
        return self.array.shape[1]

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples as (num_samples, num_channels) arrays of float32 in bounded lengths."""
        for start in range(0, self.num_samples, _BLOCK):
            yield self.array[:, start : start + _BLOCK].T


def is_audio(path: str | Path) -> bool:
    """Whether a file's ending is one of those that the decoders read.

    Examples
    --------
    >>> is_audio("call.WAV"), is_audio("call.rttm")
    (True, False)
    """
    return os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES


def open_source(path: Path, *, max_duration: float = math.inf) -> Source:
    """Source of a file.

    Parameters
    ----------
    path : Path
    max_duration : float
        Seconds. What states its length is believed, for no more than that is read of it later on;
        of what does not, no more than this is decoded to find out.

    Raises
    ------
    OSError
        If the file is missing, a folder, or must not be read.
    NotAudioError
        If it holds no audio that can be decoded.
    TooLongError
        If it is longer than `max_duration`.
    ValueError
        If it is a pipe, or damaged.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"{path} is a folder; name an audio file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is a pipe or a device; save it as a file, to be read twice")
        open(path, "rb").close()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; check its spelling") from None
    except PermissionError:
        raise PermissionError(f"{path} must not be read; ask its owner to allow it") from None
    if status.st_size == 0:
        raise NotAudioError(f"{path} is empty (0 bytes); copy or record it again")
    source = SoundFile.open(path) or AVFile.open(path, max_duration=max_duration)
    _require_short(source, max_duration)
    return source


def samples_of(frame: AudioFrame) -> np.ndarray:
    """Samples (num_samples, num_channels) of a decoded frame, of whatever type they are."""
    # packed: (1, num_samples * num_channels); planar: (num_channels, num_samples)
    array = frame.to_ndarray()
    return array.T if frame.format.is_planar else array.reshape(frame.samples, -1)


def stated_duration(path: str | Path) -> float | None:
    """Seconds that a file's header states, at once and perhaps wrongly; None if it states none.

    Examples
    --------
    >>> stated_duration("no such file.wav") is None
    True
    """
    import av
    import soundfile

    try:
        if not _looks_like_mpeg(Path(path)):
            with soundfile.SoundFile(path) as file:
                if 0 < file.frames < 2**62:
                    return float(file.frames / file.samplerate)
    except (soundfile.LibsndfileError, OSError, TypeError, UnicodeEncodeError):
        pass
    try:
        options = {"protocol_whitelist": "file"}
        with av.open(f"file:{os.path.abspath(path)}", options=options) as container:
            duration = container.duration
    except (av.FFmpegError, OSError, ValueError):
        return None
    return None if duration is None else duration / av.time_base


def to_float32(samples: np.ndarray) -> np.ndarray:
    """Samples of any type, integers scaled to ±1.

    Examples
    --------
    >>> to_float32(np.array([-32768, 16384], dtype=np.int16)).tolist()
    [-1.0, 0.5]
    >>> to_float32(np.array([0, 192], dtype=np.uint8)).tolist()
    [-1.0, 0.5]
    """
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes infinite, which is refused with its time
            return samples.astype(np.float32, copy=False)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    scaled = samples.astype(np.float32) / np.float32(half)
    return scaled - np.float32(1) if samples.dtype.kind == "u" else scaled


def _decode(name: str, *, warn: bool = False) -> Iterator[AudioFrame]:
    """Frames of a file, all of one rate and number of channels.

    A packet that cannot be decoded ends the recording if it is the last (a recorder that lost
    power; told if `warn`) and is an error if more follow. Gaps between timestamps are not filled:
    times count from the first sample on.
    """
    import av

    form, num_read, damage = None, 0, None
    try:
        # the prefix keeps names such as "concat:a" or "http:" from being taken for protocols
        with av.open(
            f"file:{os.path.abspath(name)}",
            metadata_errors="replace",
            options={"protocol_whitelist": "file"},
        ) as container:
            stream = container.streams.best("audio")
            if stream is None:
                raise NotAudioError(f"{name} has no audio stream; name a file with sound")
            for packet in container.demux(stream):
                try:
                    frames = cast("list[AudioFrame]", packet.decode())
                except av.FFmpegError as error:
                    if damage is not None:
                        raise
                    damage = str(error.strerror)
                    continue
                for frame in frames:
                    form = form or (frame.sample_rate, frame.layout.nb_channels)
                    seconds = num_read / form[0]
                    if damage is not None:
                        raise _damaged(name, seconds, damage)
                    if form != (frame.sample_rate, frame.layout.nb_channels):
                        raise ValueError(
                            f"{name} changes its sample rate or channels after {seconds:.3f} s; "
                            f"cut it there or convert it to wav"
                        )
                    num_read += frame.samples
                    yield frame
    except av.FFmpegError as error:
        if form is None:
            raise NotAudioError(
                f"{name} is not audio that can be decoded ({error.strerror}); "
                f"convert it to wav or check that it is complete"
            ) from None
        raise _damaged(name, num_read / form[0], str(error.strerror)) from None
    if warn and damage is not None and form is not None:
        seconds = num_read / form[0]
        logger.warning("%s breaks off after %.3f s (%s); reading that", name, seconds, damage)


def _require_short(source: Source, max_duration: float) -> None:
    if source.num_samples > max_duration * source.sample_rate:
        raise TooLongError(
            f"{source.name} is longer than {max_duration / 3600:g} hours, which is the limit here"
        )


def _damaged(name: str, seconds: float, reason: str) -> ValueError:
    reason = " ".join(reason.split()).rstrip(".") or "the decoder lost its way"
    return ValueError(
        f"{name} is damaged after {seconds:.3f} s ({reason}); copy it again or cut it there"
    )


def _looks_like_mpeg(path: Path) -> bool:
    """Whether a file is called or starts as mp3 and its kin, by an ID3 tag or a sync word."""
    if path.suffix.lower() in (".mp1", ".mp2", ".mp3", ".mpga"):
        return True
    with open(path, "rb") as stream:
        head = stream.read(3)
    return head == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
