"""Recordings that a server takes: not too long, of rates and channels that it can hear."""

from __future__ import annotations

from pathlib import Path

from sed.audio import Recording
from sed.decoders import TooLongError
from sed.service.jobs import Options

MAX_CHANNELS = 16
"""Channels that are heard one by one at most."""

MAX_SAMPLE_RATE = 384_000
"""Hz; the filters that bring an odd higher rate down take gigabytes."""


def check_audio(path: Path, options: Options, *, max_duration: float) -> Recording:
    """Recording of a file, if it is one and not too long.

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
    recording = Recording.open(
        path, channel=options.number, uri="recording", max_duration=max_duration
    )
    if recording.sample_rate > MAX_SAMPLE_RATE:
        raise ValueError(
            f"the recording has a sample rate of {recording.sample_rate} Hz; convert it to "
            f"{MAX_SAMPLE_RATE} Hz or less"
        )
    if options.channel == "split":
        num_heard = recording.num_channels
        if num_heard > MAX_CHANNELS:
            raise ValueError(
                f"the recording has {num_heard} channels; at most {MAX_CHANNELS} are heard one by "
                f"one, ask for channel=mix or a number"
            )
        if recording.duration * num_heard > max_duration:
            raise TooLongError(
                f"the {num_heard} channels of the recording are together longer than "
                f"{max_duration / 3600:g} hours, which is the limit here"
            )
    return recording
