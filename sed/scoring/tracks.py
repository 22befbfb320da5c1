"""Annotations as arrays of ticks: the only place where the scorer walks over segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pyannote.core import Annotation, Segment, Timeline

from sed.frames import TICKS_PER_SECOND, to_ticks
from sed.labels import NEUTRAL, canonical

MAX_EMOTIONS = 62
"""Emotions of one scoring: each is a bit of a signed 64-bit integer."""

MAX_SECONDS = 1e9
"""Thirty years; beyond it a time is a mistake."""

_NOT_SCORED = -1


@dataclass(frozen=True)
class Pair:
    """Both sides of one recording, and the time in which they are compared.

    Parameters
    ----------
    reference, hypothesis : Annotation
    uem : Timeline or Segment, optional
        Regions to score.
    duration : float, optional
        Seconds of the recording. Regions of `uem` that pass it are cut there. Without both, the
        extent of the emotions of both sides is scored.
    uri : str, optional
        What errors call the recording; the reference's uri by default.
    """

    reference: Annotation
    hypothesis: Annotation
    uem: Timeline | Segment | None = None
    duration: float | None = None
    uri: str | None = None

    @property
    def name(self) -> str:
        """What errors call the recording."""
        return str(self.uri if self.uri is not None else self.reference.uri)


class EmotionCodes(dict[str, int]):
    """Number of the emotion that a label means, -1 for neutral; looked up once per spelling.

    Parameters
    ----------
    mapping : mapping of str to str, optional
        Further spellings of emotions; its targets are known emotions too.

    Raises
    ------
    ValueError
        At the look-up of an unknown label, or of more emotions than an integer has bits.

    Examples
    --------
    >>> codes = EmotionCodes()
    >>> codes["happy"], codes["sad"], codes["h"], codes["neutral"], codes.names
    (0, 1, 0, -1, ['happy', 'sad'])
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.mapping = dict(mapping or {})
        for target in list(self.mapping.values()):
            self.mapping.setdefault(target, target)
        self.names: list[str] = []

    def __missing__(self, label: object) -> int:
        """Look a spelling up."""
        if not isinstance(label, str):
            raise ValueError(f"the label {label!r} is not the name of an emotion")
        name = canonical(label, self.mapping)
        if name == NEUTRAL:
            code = _NOT_SCORED
        elif name in self.names:
            code = self.names.index(name)
        elif len(self.names) == MAX_EMOTIONS:
            raise ValueError(
                f"{name!r} is emotion number {MAX_EMOTIONS + 1}, and at most {MAX_EMOTIONS} are "
                "scored together; map some onto others"
            )
        else:
            code = len(self.names)
            self.names.append(name)
        self[str(label)] = code
        return code


@dataclass(frozen=True, eq=False)
class Tracks:
    """Emotions of both sides of several recordings, and their scored regions.

    Parameters
    ----------
    recording, side, emotion : (num_tracks,) np.ndarray of int
        Index of the recording; 0 for the reference, 1 for the hypothesis; code of the emotion.
    onset, offset : (num_tracks,) np.ndarray of int
        Ticks.
    regions : (num_regions, 3) np.ndarray of int
        Recording, onset and offset of each scored region, possibly overlapping.
    num_recordings : int
    """

    recording: np.ndarray
    side: np.ndarray
    emotion: np.ndarray
    onset: np.ndarray
    offset: np.ndarray
    regions: np.ndarray = field(repr=False)
    num_recordings: int


def extract(pairs: Sequence[Pair], codes: EmotionCodes) -> Tracks:
    """Emotions of pairs as arrays; neutral and what is shorter than a tick is left out.

    Raises
    ------
    ValueError
        If a label is unknown or a time is no number; the message names the recording.
    """
    onsets: list[float] = []
    offsets: list[float] = []
    emotions: list[int] = []
    counts: list[int] = []
    for pair in pairs:
        for annotation in (pair.reference, pair.hypothesis):
            # itertracks() sorts the tracks of every segment by their names' text, four times the
            # work of all that follows; order does not matter here, so the plain dict is walked,
            # twice, because a list of its items wakes the garbage collector
            tracks = annotation._tracks
            segments = [segment for segment, labels in dict.items(tracks) for _ in labels]
            try:
                emotions += [
                    codes[label] for labels in dict.values(tracks) for label in labels.values()
                ]
            except ValueError as error:
                which = "hypothesis" if len(counts) % 2 else "reference"
                raise ValueError(f"{which} of recording {pair.name!r}: {error}") from None
            onsets += [segment.start for segment in segments]
            offsets += [segment.end for segment in segments]
            counts.append(len(segments))
    source = np.repeat(np.arange(len(counts)), counts)
    onset, offset = _ticks(onsets, source, pairs), _ticks(offsets, source, pairs)
    emotion = np.array(emotions, dtype=np.int64)
    kept = (emotion != _NOT_SCORED) & (offset > onset)
    if not kept.all():
        source, emotion, onset, offset = source[kept], emotion[kept], onset[kept], offset[kept]
    recording = source >> 1
    return Tracks(
        recording=recording,
        side=source & 1,
        emotion=emotion,
        onset=onset,
        offset=offset,
        regions=_regions(pairs, recording, onset, offset),
        num_recordings=len(pairs),
    )


def _ticks(seconds: list[float], source: np.ndarray, pairs: Sequence[Pair]) -> np.ndarray:
    """Nearest ticks to times, or an error that names the recording of a bad one."""
    times = np.array(seconds, dtype=np.float64)
    fine = np.abs(times) < MAX_SECONDS  # false for NaN too
    if not fine.all():
        bad = int(np.flatnonzero(~fine)[0])
        name = pairs[source[bad] >> 1].name
        raise ValueError(f"recording {name!r}: {times[bad]} is not a time in seconds")
    return np.rint(times * TICKS_PER_SECOND).astype(np.int64)


def _regions(
    pairs: Sequence[Pair], recording: np.ndarray, onset: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Scored regions of each recording.

    ::

        emotions         |----|     |------|
        duration     |------------------------|      regions  |------------------------|
        uem             |-------|  |-----------|     regions     |-------|  |----------|
        neither                                      regions      |-------------|
    """
    regions: list[tuple[int, int, int]] = []
    for index, pair in enumerate(pairs):
        if pair.uem is None and pair.duration is None:
            continue
        end = None if pair.duration is None else _checked_ticks(pair.duration, pair)
        if pair.uem is None:
            regions.append((index, 0, end or 0))
            continue
        for segment in [pair.uem] if isinstance(pair.uem, Segment) else pair.uem:
            start, stop = (_checked_ticks(time, pair, signed=True) for time in segment)
            if end is not None:
                start, stop = max(start, 0), min(stop, end)
            if stop > start:
                regions.append((index, start, stop))
    unknown = [i for i, pair in enumerate(pairs) if pair.uem is None and pair.duration is None]
    table = np.array(regions, dtype=np.int64).reshape(-1, 3)
    if not unknown:
        return table
    first, last = extents(np.column_stack([recording, onset, offset]), len(pairs))
    indices = np.array([i for i in unknown if last[i] > first[i]], dtype=np.int64)
    return np.vstack([table, np.column_stack([indices, first[indices], last[indices]])])


def _checked_ticks(seconds: float, pair: Pair, *, signed: bool = False) -> int:
    """Ticks of a duration or of a region's boundary."""
    if not (-MAX_SECONDS if signed else 0) <= seconds < MAX_SECONDS:  # false for NaN too
        what = "a time" if signed else "a duration"
        raise ValueError(f"recording {pair.name!r}: {seconds} s is not {what} that can be scored")
    return to_ticks(seconds)


def extents(regions: np.ndarray, num_recordings: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last tick of each recording's intervals, 0 and 0 where it has none.

    Parameters
    ----------
    regions : (num_regions, 3) np.ndarray of int
        Recording, onset, offset.
    num_recordings : int

    Returns
    -------
    first, last : (num_recordings,) np.ndarray of int
    """
    first = np.full(num_recordings, np.iinfo(np.int64).max)
    last = np.full(num_recordings, np.iinfo(np.int64).min)
    np.minimum.at(first, regions[:, 0], regions[:, 1])
    np.maximum.at(last, regions[:, 0], regions[:, 2])
    nothing = last < first
    first[nothing] = last[nothing] = 0
    return first, last


def chunks(pairs: Iterable[Pair], size: int) -> Iterable[list[Pair]]:
    """Lists of at most `size` pairs."""
    chunk: list[Pair] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
