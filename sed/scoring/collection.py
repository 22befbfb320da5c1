"""References and hypotheses of many recordings, and which belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pyannote.core import Annotation, Timeline

from sed.formats import (
    FORMATS,
    AnnotatedRecording,
    find_annotations,
    is_dataset,
    read,
    read_dataset,
    read_uem,
)
from sed.labels import spelling_in_rttm
from sed.scoring.tracks import Pair

Annotations = str | Path | Iterable[AnnotatedRecording | Annotation]
"""A file, a folder, or recordings in memory."""

Key = tuple[str, int]
"""Uri in RTTM's spelling, and channel."""

_FIRST = (".rttm", ".json")
"""Endings that go before the others in a folder: beside them may lie words or phones."""

_ZED = "ZED.json"


@dataclass(frozen=True)
class Side:
    """Recordings of one side, each once.

    Parameters
    ----------
    recordings : dict of Key to AnnotatedRecording
    source : str
        What errors call the side.
    new_emotions : frozenset of str
        Emotions that the caller's spellings were mapped onto, which may be none of ours.
    num_failed : int
        Recordings of a Parquet dataset that failed, and are not among these.
    """

    recordings: Mapping[Key, AnnotatedRecording]
    source: str
    new_emotions: frozenset[str] = frozenset()
    num_failed: int = 0


@dataclass(frozen=True)
class Matched:
    """Recordings with both sides, and what was left over.

    Parameters
    ----------
    pairs : tuple of Pair
        One for each reference that is scored, in order of uri.
    durations : dict of str to int
        How many durations came from the ``reference``, the ``uem``, the ``audio``, and how many
        are the ``extent`` of both sides because none is known.
    missing, extra : tuple of str
        References without a hypothesis, which are scored as neutral throughout, and hypotheses
        without a reference, which are not scored.
    outside_uem, only_in_uem : tuple of str
        References that the UEM does not name, which are not scored, and uris of the UEM without
        a reference.
    """

    pairs: tuple[Pair, ...]
    durations: Mapping[str, int]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    outside_uem: tuple[str, ...]
    only_in_uem: tuple[str, ...]


def read_side(source: Annotations, *, labels: Mapping[str, str] | None = None) -> Side:
    """Recordings of a file, of a folder, or from memory.

    A folder with a ``ZED.json`` is that file; of any other every RTTM and JSON file in it and in
    its folders is read, or every annotation file where there is neither. A file that cannot name
    its recording names it by its path in the folder, and so does an RTTM file without a line,
    which is what a recording without emotions looks like. A folder that is a Parquet dataset is
    read as that; recordings that failed are counted and left out.

    Parameters
    ----------
    source : path or iterable of AnnotatedRecording or Annotation
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Raises
    ------
    ValueError
        If a file is malformed, a recording stands twice, or there is none.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.rttm").write_text("SPEAKER a 1 0.5 1.25 <NA> <NA> happy <NA> <NA>")
    >>> _ = (folder / "b.rttm").write_text("")
    >>> list(read_side(folder).recordings)
    [('a', 1), ('b', 1)]
    """
    num_failed = 0
    if isinstance(source, str | Path):
        name = str(source)
        if is_dataset(source):
            found, num_failed = _read_dataset(Path(source), labels)
        else:
            found = _read_path(Path(source), labels)
    else:
        found = [_from_memory(item, labels) for item in source]
        name = "the recordings in memory"
    recordings: dict[Key, AnnotatedRecording] = {}
    places: dict[Key, str] = {}
    for recording, place in found:
        key = (spelling_in_rttm(recording.uri), recording.channel)
        if key in recordings:
            where = f"in {place} and in {places[key]}" if place != places[key] else f"in {place}"
            raise ValueError(f"recording {recording.uri!r} stands twice, {where}; keep one of them")
        recordings[key], places[key] = recording, place
    if not recordings:
        but = f" but {num_failed} that failed" if num_failed else ""
        raise ValueError(f"{name}: no recording in it{but}")
    return Side(recordings, name, frozenset((labels or {}).values()), num_failed)


def _from_memory(
    item: AnnotatedRecording | Annotation, labels: Mapping[str, str] | None
) -> tuple[AnnotatedRecording, str]:
    """Recording from memory, its labels mapped; it must have a name to be matched by."""
    recording = AnnotatedRecording(item) if isinstance(item, Annotation) else item
    if recording.annotation.uri is None:
        raise ValueError("an annotation without a uri cannot be matched; set annotation.uri")
    if labels:
        mapped = {label: labels.get(label, label) for label in recording.annotation.labels()}
        recording = replace(recording, annotation=recording.annotation.rename_labels(mapped))
    return recording, "the recordings in memory"


def _read_dataset(
    folder: Path, labels: Mapping[str, str] | None
) -> tuple[list[tuple[AnnotatedRecording, str]], int]:
    """Recordings of a dataset, each with the file it stands in, and how many failed."""
    found, num_failed = [], 0
    for row, part in read_dataset(folder, labels=labels):
        if row.error is None:
            found.append((row.recording, str(part)))
        else:
            num_failed += 1
    return found, num_failed


def _read_path(
    path: Path, labels: Mapping[str, str] | None
) -> list[tuple[AnnotatedRecording, str]]:
    """Recordings of a file or a folder, each with the file it stands in."""
    if not path.is_dir():
        return [(recording, str(path)) for recording in read(path, labels=labels)]
    if (path / _ZED).is_file():
        return [
            (recording, str(path / _ZED))
            for recording in read(path / _ZED, format="zed", labels=labels)
        ]
    files = find_annotations(path)
    files = [file for file in files if file.suffix.lower() in _FIRST] or files
    if not files:
        endings = ", ".join(dict.fromkeys(s for known in FORMATS.values() for s in known.suffixes))
        raise ValueError(f"{path}: no annotation file ({endings}) in this folder")
    return [
        (recording, str(file))
        for file in files
        for recording in read(file, labels=labels, below=path)
    ]


def match(
    references: Side,
    hypotheses: Side,
    *,
    uem: str | Path | Iterable[Timeline] | None = None,
    audio: str | Path | None = None,
) -> Matched:
    """Pair references with hypotheses by exact uri; what matches nothing is listed.

    White space in a uri counts as ``_``, which is how RTTM has to write it. Channels matter only
    where a side holds several of one uri.

    Parameters
    ----------
    references, hypotheses : Side
    uem : path or iterable of Timeline, optional
        Regions to score, named by uri; recordings that it does not name are not scored.
    audio : path, optional
        Folder of recordings, named as the uris, whose durations fill in for unknown ones.

    Raises
    ------
    ValueError
        If a file is malformed, or nothing is left to score.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> said = read_side([Annotation(uri="a"), Annotation(uri="b")])
    >>> heard = read_side([Annotation(uri="b"), Annotation(uri="c")])
    >>> matched = match(said, heard)
    >>> [pair.uri for pair in matched.pairs], matched.missing, matched.extra
    (['a', 'b'], ('a',), ('c',))
    """
    several = _with_several_channels(references) | _with_several_channels(hypotheses)

    def reduced(key: Key) -> Key:
        return key if key[0] in several else (key[0], 0)

    heard = {reduced(key): recording for key, recording in hypotheses.recordings.items()}
    regions = None if uem is None else _regions(uem)
    files = {} if audio is None else _audio_files(audio)
    said: set[Key] = set()
    pairs: list[Pair] = []
    durations = dict.fromkeys(("reference", "uem", "audio", "extent"), 0)
    missing, outside = [], []
    for key in sorted(references.recordings):
        reference, name = references.recordings[key], _named(reduced(key))
        key = reduced(key)
        said.add(key)
        if regions is not None and key[0] not in regions:
            outside.append(name)
            continue
        if key not in heard:
            missing.append(name)
        duration, origin = _duration(reference, files.get(key[0]), known=regions is not None)
        durations[origin] += 1
        pairs.append(
            Pair(
                reference.annotation,
                heard[key].annotation if key in heard else Annotation(),
                uem=None if regions is None else regions[key[0]],
                duration=duration,
                uri=name,
            )
        )
    if not pairs:
        raise ValueError(
            f"the UEM names none of the {len(outside)} recordings of {references.source}"
        )
    uris = {uri for uri, _ in said}
    return Matched(
        pairs=tuple(pairs),
        durations=durations,
        missing=tuple(missing),
        extra=tuple(_named(key) for key in sorted(heard) if key not in said),
        outside_uem=tuple(outside),
        only_in_uem=tuple(uri for uri in sorted(regions or ()) if uri not in uris),
    )


def _with_several_channels(side: Side) -> set[str]:
    """Uris that a side holds more than one channel of."""
    counts = Counter(uri for uri, _ in side.recordings)
    return {uri for uri, count in counts.items() if count > 1}


def _named(key: Key) -> str:
    """What output calls a recording: its uri, and its channel where there are several."""
    uri, channel = key
    return f"{uri}, channel {channel}" if channel else uri


def _regions(uem: str | Path | Iterable[Timeline]) -> dict[str, Timeline]:
    """Scored regions by uri."""
    timelines = read_uem(uem) if isinstance(uem, str | Path) else list(uem)
    if not timelines:
        raise ValueError(f"{uem}: no region in this UEM")
    return {spelling_in_rttm(str(timeline.uri)): timeline for timeline in timelines}


def _audio_files(folder: str | Path) -> dict[str, Path]:
    """Recordings of a folder by the uri that their name gives."""
    from sed.audio import find_recordings

    files: dict[str, Path] = {}
    for path in find_recordings(folder):
        uri = spelling_in_rttm(path.stem)
        if uri in files:
            raise ValueError(f"{files[uri]} and {path} are both audio of {uri!r}; keep one of them")
        files[uri] = path
    return files


def _duration(
    reference: AnnotatedRecording, audio: Path | None, *, known: bool
) -> tuple[float | None, str]:
    """Duration of a recording, and where it comes from.

    A hypothesis never says how long a recording is: it could make its own rate smaller.
    """
    if reference.duration is not None:
        return reference.duration, "uem" if known else "reference"
    if audio is None and reference.path is not None and reference.path.is_file():
        audio = reference.path
    if audio is not None:
        from sed.audio import Recording

        return Recording.open(audio).duration, "uem" if known else "audio"
    return None, "uem" if known else "extent"
