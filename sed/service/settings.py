"""What a server allows: sizes, durations, how many at a time, and who may ask."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}

MIN_TOKEN = 8
"""Characters of the shortest token; what is shorter is guessed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of a server.

    Parameters
    ----------
    folder : Path
        Where jobs and their audio are kept; made if need be.
    token : str, optional
        What clients must send as ``Authorization: Bearer TOKEN``.
    hosts : tuple of str
        Names by which the server may be called, all by default. Where nobody needs a token, these
        keep web pages of others from reaching it under a name of theirs (DNS rebinding).
    max_size : int
        Bytes of the largest recording.
    max_duration : float
        Seconds of the longest one; where its channels are heard one by one, of all together.
    max_queue : int
        Jobs that wait at most.
    max_uploads : int
        Uploads at a time.
    upload_timeout : float
        Seconds that an upload may stand still.
    min_rate : float
        Bytes per second that an upload must keep on average.
    wait : float
        Seconds for which a client is kept waiting for the result of a short recording.
    keep : float
        Seconds for which an ended job stays, with its audio and its result.
    heartbeat : float
        Seconds after which a stream of events shows that it is alive.
    max_attempts : int
        How often a job is begun at most: one that brings the server down must not do so for ever.
    num_workers : int
        Jobs that are worked on at a time, with one model.
    max_streams : int
        Live streams at a time, beside the jobs.
    max_message : int
        Bytes of the largest message of a stream.
    stream_timeout : float
        Seconds for which a stream may send no sound, or take no result.

    Raises
    ------
    ValueError
        If a limit allows nothing, or the token is too short or no plain text.

    Examples
    --------
    >>> Settings(folder=Path("jobs"), max_queue=0)
    Traceback (most recent call last):
    ValueError: max_queue is 0, but must be above zero
    """

    folder: Path
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    max_size: int = 2**30
    max_duration: float = 12 * 3600.0
    max_queue: int = 100
    max_uploads: int = 8
    upload_timeout: float = 30.0
    min_rate: float = 1000.0
    wait: float = 60.0
    keep: float = 24 * 3600.0
    heartbeat: float = 15.0
    max_attempts: int = 5
    num_workers: int = 1
    max_streams: int = 4
    max_message: int = 2**20
    stream_timeout: float = 30.0

    def __post_init__(self) -> None:
        """Refuse limits without sense."""
        for name in (
            "max_size max_duration max_queue max_uploads upload_timeout wait keep heartbeat "
            "max_attempts num_workers max_streams max_message stream_timeout"
        ).split():
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be above zero")
        if not 0 <= self.min_rate < math.inf:
            raise ValueError(f"min_rate is {self.min_rate}, but must be zero or above")
        if self.token is not None and not re.fullmatch(rf"[!-~]{{{MIN_TOKEN},}}", self.token):
            raise ValueError(
                f"a token has at least {MIN_TOKEN} letters, digits or signs and no space; "
                f"make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )


def size_in_bytes(text: str) -> int:
    """Size that somebody wrote, with or without a unit.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> size_in_bytes("1500"), size_in_bytes("1 GiB"), size_in_bytes("1.5MB")
    (1500, 1073741824, 1500000)
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size; write bytes, or a number with kB, MB, GB, MiB, GiB")
    return round(float(match[1]) * _UNITS[match[2]])
