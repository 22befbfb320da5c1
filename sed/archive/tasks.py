"""What workers are given, and what they answer; rows and files stay with whoever makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sed.archive.items import Item


def part_name(items: Iterable[Item]) -> str:
    """Name of the part of a dataset that holds some recordings.

    Examples
    --------
    >>> part_name([Item("calls/a.wav", "a")])
    '71ce42767af905ef25ef103a3334f41c'
    """
    digest = hashlib.blake2b(digest_size=16)
    for item in items:
        for text in (item.path, item.uri):
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class Chunk:
    """Recordings that are diarized one after the other, and become one part of the dataset.

    Parameters
    ----------
    items : tuple of Item
    given_up : tuple of (Item, str)
        Those that are not tried again, and why.
    """

    items: tuple[Item, ...]
    given_up: tuple[tuple[Item, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of its part, whatever has been given up."""
        return part_name(self.items)


@dataclass(frozen=True)
class Preparation:
    """First step of a long recording: find its speech and its windows."""

    item: Item


@dataclass(frozen=True)
class Stretch:
    """Second step of a long recording: the posteriors of some of its windows.

    Parameters
    ----------
    item : Item
    side : int
        Of the channels that are diarized, counted from 0.
    first, end : int
        Windows ``[first, end)``.
    """

    item: Item
    side: int
    first: int
    end: int


@dataclass(frozen=True)
class Joining:
    """Last step of a long recording: all stretches become its rows."""

    item: Item
    stretches: tuple[Stretch, ...]


Task: TypeAlias = Chunk | Preparation | Stretch | Joining


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    num_recordings, num_failed : int
        That have rows now, and how many of these say that it failed.
    seconds : float
        Of audio in those that did not fail.
    lines : tuple of str
        For people: why recordings failed, and what was odd about others.
    part : Path, optional
        What was written.
    num_windows : tuple of int
        Of each channel, after a `Preparation`.
    failure : str, optional
        Why a long recording failed, of which this was one step.
    stop : OSError or ValueError, optional
        Why nobody can go on, such as a full disk.
    """

    num_recordings: int = 0
    num_failed: int = 0
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    part: Path | None = None
    num_windows: tuple[int, ...] = ()
    failure: str | None = None
    stop: OSError | ValueError | None = None


@dataclass(frozen=True)
class Lost:
    """A task whose worker has died over it.

    Parameters
    ----------
    reason : str
    """

    reason: str
