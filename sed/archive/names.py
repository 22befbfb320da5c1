"""Names of recordings: each has its own, in a stream of any length."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import PurePath

from sed.labels import spelling_in_rttm


def name_of(path: PurePath) -> str:
    """Path without its ending, as RTTM can spell it.

    Examples
    --------
    >>> name_of(PurePath("deep/two words.wav")), name_of(PurePath(".wav"))
    ('deep/two_words', '.wav')
    """
    name = path.with_suffix("").as_posix() if path.stem else path.as_posix()
    return spelling_in_rttm(name) or "_"


class Names:
    """Names that were given to recordings, in 12 to 24 bytes each.

    Of a name only a hash of 64 bits is kept. Should two of them be equal, one recording gets an
    ending that it did not need.

    Examples
    --------
    >>> names = Names()
    >>> [names.unique("call", ending) for ending in (".wav", ".mp3", ".mp3", ".wav")]
    ['call', 'call.mp3', 'call.mp3-2', 'call.wav']
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))  # open addressing; 0 is a free place
        self._num_taken = 0

    def unique(self, name: str, suffix: str) -> str:
        """Name that no recording before had: `name`, or with its ending, or with a number too."""
        candidate, number = name, 1
        while not self._take(candidate):
            candidate = name + suffix if number == 1 else f"{name}{suffix}-{number}"
            number += 1
        return candidate

    def _take(self, name: str) -> bool:
        """Whether a name was free; it is not any more."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        key = int.from_bytes(digest, "little") or 1
        if not _put(self._slots, key):
            return False
        self._num_taken += 1
        if 3 * self._num_taken > 2 * len(self._slots):
            larger = array("Q", bytes(16 * len(self._slots)))
            for taken in self._slots:
                if taken:
                    _put(larger, taken)
            self._slots = larger
        return True


def _put(slots: array[int], key: int) -> bool:
    """Whether a key was not yet in a table, in which it is now."""
    place, last = key & (len(slots) - 1), len(slots) - 1
    while slots[place]:
        if slots[place] == key:
            return False
        place = (place + 1) & last
    slots[place] = key
    return True
