"""One job: a recording that was accepted, what was asked for, and how far it is."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
ENDED = frozenset(("done", "failed", "cancelled"))
"""States that a job does not leave."""

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_MAX_NAME = 120


@dataclass(frozen=True)
class Options:
    """What a client asks for.

    Parameters
    ----------
    channel : str
        "mix", "split" for each channel on its own, or a channel's number from 1 on.
    with_neutral : bool
        Whether neutral stretches are segments too.

    Raises
    ------
    ValueError
        If `channel` is none of these.

    Examples
    --------
    >>> Options(channel="2").number
    2
    """

    channel: str = "mix"
    with_neutral: bool = False

    def __post_init__(self) -> None:
        """Refuse a channel that cannot be meant."""
        if self.channel not in ("mix", "split") and not re.fullmatch(
            "[1-9][0-9]{0,3}", self.channel
        ):
            raise ValueError(
                f"channel takes mix, split or a number from 1 on, not {self.channel[:40]!r}"
            )

    @property
    def number(self) -> int | None:
        """The one channel that is heard, None for all of them."""
        return int(self.channel) if self.channel.isdecimal() else None


@dataclass(frozen=True)
class Job:
    """A row of the store.

    Parameters
    ----------
    id : str
        Random; who knows it may see the job.
    name : str
        What the client calls the recording: shown to people, never a path.
    options : Options
    state : State
    size : int
        Bytes of the audio.
    duration : float
        Seconds.
    num_channels : int
        Channels of the audio.
    created, started, finished : float
        Seconds since 1970; None for what has not happened.
    progress : float
        Done share of the work, 0 to 1.
    error : str, optional
        One line about why it failed.
    corrected : bool
        Whether somebody has stored a corrected annotation.
    attempts : int
        How often it was begun.
    number : int
        Counts all jobs in order of arrival.
    """

    id: str
    name: str
    options: Options
    state: State
    size: int
    duration: float
    num_channels: int
    created: float
    started: float | None = None
    finished: float | None = None
    progress: float = 0.0
    error: str | None = None
    corrected: bool = False
    attempts: int = 0
    number: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def uri(self) -> str:
        """Name of the recording in annotations: its label without folders and ending.

        Examples
        --------
        >>> Job("", "../my calls/a b.wav", Options(), "queued", 0, 0.0, 1, 0.0).uri
        'a_b'
        """
        last = re.split(r"[/\\]", self.name)[-1]
        return "_".join((last.rpartition(".")[0] or last).split()).strip("._") or "recording"

    @property
    def channels(self) -> range:
        """Numbers of the channels that its annotation tells apart."""
        if self.options.channel == "split":
            return range(1, self.num_channels + 1)
        number = self.options.number or 1
        return range(number, number + 1)

    @property
    def file_name(self) -> str:
        """Plain name, without ending, under which a browser may save what belongs to the job.

        Examples
        --------
        >>> Job("", "Gespräch: 1.wav", Options(), "queued", 0, 0.0, 1, 0.0).file_name
        'Gespr_ch_1'
        """
        return re.sub("[^A-Za-z0-9-]+", "_", self.uri)[:60].strip("_") or "recording"


def new_id() -> str:
    """Name of a job that nobody guesses: 128 random bits.

    Examples
    --------
    >>> is_id(new_id()), is_id("../../etc/passwd")
    (True, False)
    """
    return secrets.token_urlsafe(16)


def is_id(text: str) -> bool:
    """Whether a text could be a job's name, and so is safe as a part of a path."""
    return _ID.fullmatch(text) is not None


def label(name: str | None) -> str:
    r"""Client's name for a recording as a label: one line, printable, not long.

    Examples
    --------
    >>> label("a\0b\n.wav"), label(None)
    ('ab.wav', 'recording')
    """
    printable = "".join(sign for sign in (name or "")[:4096] if sign.isprintable()).strip()
    return printable[-_MAX_NAME:] or "recording"
