"""Time cut into atoms, in which neither side changes: what every number is counted from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sed.frames import to_ticks
from sed.labels import NEUTRAL
from sed.scoring.errors import EmotionErrors
from sed.scoring.tracks import MAX_SECONDS, EmotionCodes, Pair, Tracks, chunks, extents, extract

_CHUNK = 512  # recordings cut at once: enough to drown numpy's overhead, few enough for the cache

PARTS = ("correct", "false_alarm", "missed_emotion", "confusion", "overlap")
"""Parts that all scored time falls into, as `EmotionErrors` names them."""

_CORRECT, _FALSE_ALARM, _MISSED, _CONFUSION, _OVERLAP = range(len(PARTS))


@dataclass(frozen=True, eq=False)
class Atoms:
    """Stretches of time in which neither side changes, in order of recording and time.

    ::

        reference       |   happy   |                     R  {}  {h}  {h}   {}   {}
        hypothesis          |      sad       |            H  {}   {}  {s}  {s}   {}
        atoms       |---|---|-------|--------|-----|

    A set of emotions is an integer with one bit for each of `emotions`; 0 is neutral.

    Parameters
    ----------
    recording : (num_atoms,) np.ndarray of int
        Index of the recording.
    onset, ticks : (num_atoms,) np.ndarray of int
        Where the atom starts and how long it lasts.
    reference, hypothesis : (num_atoms,) np.ndarray of int
        Sets of emotions.
    scored : (num_atoms,) np.ndarray of bool
        False within a collar.
    emotions : tuple of str
        Names of the bits, lowest first.
    num_recordings : int
    """

    recording: np.ndarray
    onset: np.ndarray
    ticks: np.ndarray
    reference: np.ndarray
    hypothesis: np.ndarray
    scored: np.ndarray
    emotions: tuple[str, ...]
    num_recordings: int

    def __len__(self) -> int:
        """Number of atoms."""
        return len(self.ticks)

    def errors(self) -> list[EmotionErrors]:
        """Errors of each recording."""
        return [
            EmotionErrors(
                false_alarm=false_alarm,
                missed_emotion=missed,
                confusion=confusion,
                overlap=overlap,
                correct=correct,
                total=correct + false_alarm + missed + confusion + overlap,
            )
            for correct, false_alarm, missed, confusion, overlap in self._counts().tolist()
        ]

    def parts(self) -> np.ndarray:
        """(num_atoms,) index in `PARTS` of each atom, scored or not."""
        reference, hypothesis = self.reference, self.hypothesis
        strange = hypothesis & ~reference  # emotions that the reference does not hold
        part = np.where(reference & hypothesis, _OVERLAP, _CONFUSION)
        part[reference == 0] = _FALSE_ALARM
        part[strange == 0] = _MISSED
        part[reference == hypothesis] = _CORRECT
        return part

    def _counts(self) -> np.ndarray:
        """(num_recordings, 5) ticks of each part."""
        counts = np.zeros(self.num_recordings * len(PARTS), dtype=np.int64)
        np.add.at(counts, self.recording * len(PARTS) + self.parts(), self.ticks * self.scored)
        return counts.reshape(-1, len(PARTS))

    def table(self) -> dict[tuple[int, int], int]:
        """Scored ticks of each pair of a reference set and a hypothesis set."""
        sets = np.column_stack([self.reference, self.hypothesis])[self.scored]
        pairs, inverse = np.unique(sets, axis=0, return_inverse=True)
        ticks = np.zeros(len(pairs), dtype=np.int64)
        np.add.at(ticks, inverse.reshape(-1), self.ticks[self.scored])
        return {(r, h): n for (r, h), n in zip(pairs.tolist(), ticks.tolist(), strict=True)}

    def with_hypothesis(self, emotions: int) -> Atoms:
        """The same time with a hypothesis that says one set of emotions throughout."""
        return replace(self, hypothesis=np.full_like(self.reference, emotions))

    def name(self, emotions: int) -> str:
        """Words for a set of emotions, such as ``happy+sad``; neutral for the empty one."""
        names = [name for bit, name in enumerate(self.emotions) if emotions >> bit & 1]
        return "+".join(sorted(names)) or NEUTRAL


def cut(
    pairs: Iterable[Pair], *, collar: float = 0.0, labels: Mapping[str, str] | None = None
) -> Atoms:
    """Cut the scored time of recordings at every boundary of either side.

    Equal emotions that overlap or touch are one run first, so it does not matter how an annotation
    is split. Both sides are seen within the scored regions only. A collar spans ±`collar` seconds
    around each boundary of a run of the reference.

    Parameters
    ----------
    pairs : iterable of Pair
    collar : float, optional
        Seconds on each side of a reference boundary that are not scored.
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Raises
    ------
    ValueError
        If a label is unknown, a time is no number, or the collar negative.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "sad"
    >>> atoms = cut([Pair(reference, hypothesis, duration=5.0)])
    >>> atoms.ticks.tolist()
    [1000000, 1000000, 1000000, 1000000, 1000000]
    >>> [(atoms.name(r), atoms.name(h)) for r, h in zip(atoms.reference, atoms.hypothesis)][:3]
    [('neutral', 'neutral'), ('happy', 'neutral'), ('happy', 'sad')]
    """
    if not 0 <= collar < MAX_SECONDS:
        raise ValueError(f"a collar of {collar} s is not possible; give seconds, 0 or more")
    codes = EmotionCodes(labels)
    pieces = []
    first = 0
    for chunk in chunks(pairs, _CHUNK):
        tracks = extract(chunk, codes)
        pieces.append(_cut(tracks, to_ticks(collar), max(1, len(codes.names)), first))
        first += len(chunk)
    if not pieces:
        pieces.append((*[np.zeros(0, dtype=np.int64)] * 5, np.zeros(0, dtype=bool)))
    recording, onset, ticks, reference, hypothesis, scored = (
        np.concatenate(column) for column in zip(*pieces, strict=True)
    )
    return Atoms(
        recording,
        onset,
        ticks,
        reference,
        hypothesis,
        scored,
        emotions=tuple(codes.names),
        num_recordings=first,
    )


def _cut(tracks: Tracks, collar: int, num_emotions: int, base: int) -> tuple[np.ndarray, ...]:
    """Columns of the atoms of some recordings.

    The recordings lie one after the other on a tape, each in a slot of its own, so one sort and
    one running sum cut them all::

        slot 0             slot 1             slot 2
        |-- recording 0 --||-- recording 1 --||-- recording 2 --|
    """
    first, last = extents(tracks.regions, tracks.num_recordings)
    # what lies further outside than a collar reaches cannot matter: one tick more keeps a run
    # that is cut here from having a boundary whose collar reaches the region
    margin = collar + 1
    width = int((last - first).max(initial=0)) + 2 * margin + 1
    num_groups = tracks.num_recordings * 2 * num_emotions
    if num_groups * width >= 2**62:
        raise ValueError(f"{tracks.num_recordings} recordings of {width} ticks are too long")
    origin = first - margin
    room = last - first + 2 * margin

    def in_slot(recording: np.ndarray, times: np.ndarray) -> np.ndarray:
        return np.clip(times - origin[recording], 0, room[recording])

    group = (tracks.recording * 2 + tracks.side) * num_emotions + tracks.emotion
    start, end = _runs(
        group * width + in_slot(tracks.recording, tracks.onset),
        group * width + in_slot(tracks.recording, tracks.offset),
    )
    group, start = np.divmod(start, width)
    end -= group * width
    source, emotion = np.divmod(group, num_emotions)
    slot = (source >> 1) * width
    start, end = start + slot, end + slot
    bit = np.left_shift(np.int64(1), emotion)
    is_hypothesis = (source & 1).astype(bool)

    region_slot = tracks.regions[:, 0] * width
    regions = [
        in_slot(tracks.regions[:, 0], tracks.regions[:, column]) + region_slot for column in (1, 2)
    ]
    spans = [(start, end), (regions[0], regions[1])]
    if collar:
        edges = np.concatenate([start[~is_hypothesis], end[~is_hypothesis]])
        floor = edges // width * width
        spans.append((np.maximum(edges - collar, floor), edges + collar))

    times = np.concatenate([side for span in spans for side in span])
    order = np.argsort(times)
    times = times[order]
    ticks = np.diff(times)

    def running(values: np.ndarray, span: int) -> np.ndarray:
        """Sum over the spans of one kind that are open after each boundary but the last."""
        steps = np.zeros(len(order), dtype=np.int64)
        place = 2 * sum(len(opening) for opening, _ in spans[:span])
        steps[place : place + len(values)] = values
        steps[place + len(values) : place + 2 * len(values)] = -values
        return np.cumsum(steps[order])[:-1]

    inside = running(np.ones_like(regions[0]), 1) > 0
    kept = np.flatnonzero(inside & (ticks > 0))
    onset = times[kept]
    atom = onset // width
    near = running(np.ones_like(edges), 2)[kept] > 0 if collar else np.zeros(len(kept), dtype=bool)
    return (
        atom + base,
        onset - atom * width + origin[atom],
        ticks[kept],
        running(np.where(is_hypothesis, 0, bit), 0)[kept],
        running(np.where(is_hypothesis, bit, 0), 0)[kept],
        ~near,
    )


def _runs(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximal runs of intervals that overlap or touch.

    ::

        intervals   |----|  |---|
                      |---|     |--|       |--|
        runs        |-----| |------|       |--|
    """
    order = np.argsort(start)
    start, end = start[order], end[order]
    reach = np.maximum.accumulate(end)
    opens = np.ones(len(start), dtype=bool)
    opens[1:] = start[1:] > reach[:-1]
    closes = np.ones(len(start), dtype=bool)
    closes[:-1] = opens[1:]
    return start[opens], reach[closes]
