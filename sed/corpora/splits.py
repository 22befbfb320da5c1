"""Splits: which recordings are trained on, validated on and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from sed.corpora.utterance import Utterance

PARTS = ("train", "valid", "test")

By = Literal["speaker", "utterance"]
Choice = float | Collection[str]
"""A share of the recordings, or the names of speakers."""

_Group = list[Utterance]


def split(
    utterances: Iterable[Utterance],
    *,
    by: By = "speaker",
    valid: Choice = 0.1,
    test: Choice = 0.1,
    seed: int = 0,
) -> dict[str, list[Utterance]]:
    """Recordings to train on, to validate on and to test on, without a speaker in two of them.

    Speakers stand in an order that the seed decides. The test part takes them until its size is
    as near to its share as whole speakers allow, then the validation part; the rest is trained on.

    ::

        speakers    |===== b =====|=== d ===|== a ==|====== e ======|=== c ===|
        shares      |--- test ---|--- valid ---|------------ train -----------|
        parts       |--- test ----|- valid -|------------- train -------------|

    Parameters
    ----------
    utterances : iterable of Utterance
        Their order does not matter.
    by : {"speaker", "utterance"}
        What stays together. By utterance, as in many papers, the same speakers stand on all
        sides, and results look better than they are.
    valid, test : float or collection of str
        Share of the recordings, from 0 to 1, or speakers.
    seed : int

    Returns
    -------
    dict of str to list of Utterance
        For "train", "valid" and "test", each ordered by name; every recording in one of them.
        A share above 0 gives at least one speaker.

    Raises
    ------
    ValueError
        If there are too few speakers, no such speaker, one in both parts, or shares above 1.

    Examples
    --------
    >>> from pathlib import Path
    >>> voices = [
    ...     Utterance(f"{speaker}{number}", Path(), speaker, "toy", "happy")
    ...     for speaker in "abcd" for number in (1, 2)
    ... ]
    >>> parts = split(voices, valid=0.25, test=["c"])
    >>> {part: len(there) for part, there in parts.items()}
    {'train': 4, 'valid': 2, 'test': 2}
    >>> [utterance.uri for utterance in parts["test"]]
    ['c1', 'c2']
    """
    if by not in ("speaker", "utterance"):
        raise ValueError(f"recordings are split by speaker or utterance, not by {by!r}")
    groups: dict[tuple[str, str], _Group] = {}
    for utterance in sorted(utterances, key=_name):
        name = utterance.speaker if by == "speaker" else utterance.uri
        groups.setdefault((utterance.corpus, name), []).append(utterance)
    total = sum(map(len, groups.values()))
    parts: dict[str, list[_Group]] = {part: [] for part in PARTS}
    shares: dict[str, float] = {}
    for part, choice in (("test", test), ("valid", valid)):
        if isinstance(choice, float | int):
            shares[part] = _checked_share(part, choice)
        elif by == "speaker":
            parts[part] = _pop_speakers(groups, choice)
        else:
            raise ValueError(f"{part} cannot be speakers in a split by utterance; give a share")
    shares["train"] = round(1.0 - sum(shares.values()), 9)
    if shares["train"] < 0:
        raise ValueError(f"the shares valid {valid} and test {test} are more than 1 together")
    wanted = [part for part, share in shares.items() if share > 0]
    rest = [groups[key] for key in sorted(groups, key=lambda key: _shuffled(key, seed))]
    if len(rest) < len(wanted):
        raise ValueError(
            f"{len(rest)} {by}{'' if len(rest) == 1 else 's'} cannot be split into "
            f"{', '.join(part for part in PARTS if part in wanted)}; set valid or test to 0"
            + (", or split by utterance" if by == "speaker" else "")
        )
    for num_later, part in zip(reversed(range(len(wanted))), wanted, strict=True):
        num_taken = len(rest)
        if num_later:  # the last part has what is left
            num_taken = _num_nearest(rest[:-num_later], shares[part] * total)
        parts[part], rest = rest[:num_taken], rest[num_taken:]
    return {
        part: sorted((utterance for group in taken for utterance in group), key=_name)
        for part, taken in parts.items()
    }


def _name(utterance: Utterance) -> tuple[str, str]:
    """Name of a recording among those of all corpora."""
    return utterance.corpus, utterance.uri


def _shuffled(key: tuple[str, str], seed: int) -> bytes:
    """Place of a group in the order of a seed.

    Hashes and no generator: the order is that of every version of Python, and for a recording
    more or less the others keep it.
    """
    return hashlib.sha256("\0".join((str(seed), *key)).encode()).digest()


def _checked_share(part: str, share: float) -> float:
    """Share of a part.

    Raises
    ------
    ValueError
        If it is not from 0 to 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the share of {part} is {share}, not between 0 and 1")
    return float(share)


def _pop_speakers(groups: dict[tuple[str, str], _Group], speakers: Collection[str]) -> list[_Group]:
    """Recordings of speakers, taken away from those that no part has yet.

    Raises
    ------
    ValueError
        If one is not there.
    """
    there = sorted({speaker for _, speaker in groups})
    for speaker in speakers:
        if speaker not in there:
            raise ValueError(f"no speaker {speaker!r} to choose; there are {', '.join(there)}")
    return [groups.pop(key) for key in list(groups) if key[1] in speakers]


def _num_nearest(groups: Sequence[_Group], target: float) -> int:
    """How many of the first groups, at least one, come nearest to a number of recordings."""
    size = len(groups[0])
    for num_taken, group in enumerate(groups[1:], start=1):
        if abs(size + len(group) - target) >= abs(size - target):
            return num_taken
        size += len(group)
    return len(groups)
