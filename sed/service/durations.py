"""How long a recording is, found without decoding more of it than is allowed."""

from __future__ import annotations

from pathlib import Path

from sed.audio import Recording
from sed.decoders import AVFile, SoundFile, Source, _decode
from sed.service.jobs import Options

MAX_CHANNELS = 16
"""Channels that are heard one by one at most."""

MAX_SAMPLE_RATE = 384_000
"""Hz; the filters that bring an odd higher rate down take gigabytes."""


class NotAudioError(ValueError):
    """Nothing of the file can be decoded."""


class TooLongError(ValueError):
    """The recording exceeds what is allowed."""


def check_audio(path: Path, options: Options, *, max_duration: float) -> Recording:
    """Recording of a file, if it is one and not too long.

    What states its length is believed, for no more than that is read of it later on; what does not
    is decoded, block by block, until it ends or reaches the limit. So a small file that unpacks to
    days of silence costs no more than the longest recording that is allowed.

    Parameters
    ----------
    path : Path
    options : Options
        With ``split``, the durations of all channels count together.
    max_duration : float
        Seconds.

    Raises
    ------
    NotAudioError
        If it cannot be decoded.
    TooLongError
        If it is longer than `max_duration`.
    ValueError
        If it is damaged, or has no such channel or too many.
    """
    source = SoundFile.open(path) or _counted(path, max_duration)
    if source.sample_rate > MAX_SAMPLE_RATE:
        raise ValueError(
            f"the recording has a sample rate of {source.sample_rate} Hz; convert it to "
            f"{MAX_SAMPLE_RATE} Hz or less"
        )
    recording = Recording._of(source, channel=options.number, uri="recording")
    num_heard = 1
    if options.channel == "split":
        num_heard = recording.num_channels
        if num_heard > MAX_CHANNELS:
            raise ValueError(
                f"the recording has {num_heard} channels; at most {MAX_CHANNELS} are heard one by "
                f"one, ask for channel=mix or a number"
            )
    _require_short(recording.duration * num_heard, max_duration)
    return recording


def _counted(path: Path, max_duration: float) -> Source:
    """Source of a file that does not state its length."""
    sample_rate = num_channels = num_samples = 0
    try:
        # AVFile.open counts likewise, but to the end, however far that is
        for frame in _decode(str(path)):
            sample_rate, num_channels = frame.sample_rate, frame.layout.nb_channels
            num_samples += frame.samples
            _require_short(num_samples / sample_rate, max_duration)
    except TooLongError:
        raise
    except ValueError as error:
        if num_samples == 0:
            raise NotAudioError(str(error)) from None
        raise
    return AVFile(str(path), sample_rate, num_channels, num_samples)


def _require_short(duration: float, max_duration: float) -> None:
    if duration > max_duration:
        raise TooLongError(
            f"the recording is longer than {max_duration / 3600:g} hours, which is the limit here"
        )
