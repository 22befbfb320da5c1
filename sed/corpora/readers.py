"""What stands in a corpus's folder, as the corpus itself names it.

Most corpora say everything in the names of their files; the others have a reader of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sed.corpora.utterance import Turn
from sed.formats import read
from sed.labels import NEUTRAL

AUDIO = (".wav", ".flac")
"""Endings of recordings, in any case."""


@dataclass(frozen=True)
class Found:
    """A recording as the corpus describes it; `code` is the corpus's word for the emotion."""

    uri: str
    path: Path
    speaker: str
    code: str
    sentence: str | None = None
    turns: tuple[Turn, ...] = ()


Reader = Callable[[Path], Iterator[Found]]
"""A corpus's folder to the recordings in it, in any order, one of them perhaps twice."""


def by_name(folder: Path, pattern: str) -> Iterator[Found]:
    """Recordings whose path below the folder ends in what a pattern describes.

    ::

        Emotional Speech Dataset (ESD)/0011/Angry/train/0011_000351.wav
        |------- any folders --------|      |------ pattern ------| any ending of audio

    So an extra level of folders does not matter, nor which of the usual endings the files have.

    Parameters
    ----------
    folder : Path
    pattern : str
        Regular expression with the groups `speaker` and `emotion`, and perhaps `sentence` and
        `uri`; the uri is else what was matched, with ``_`` between folders.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    tail = re.compile(rf"(?:^|.*/)(?P<_tail>{pattern})")
    for parent, _, names in os.walk(folder, onerror=_raise, followlinks=True):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in AUDIO:
                continue
            path = Path(parent, name)
            match = tail.fullmatch(path.relative_to(folder).with_name(stem).as_posix())
            if match is not None:
                group = match.groupdict()
                yield Found(
                    uri=group.get("uri") or group["_tail"].replace("/", "_"),
                    path=path,
                    speaker=group["speaker"],
                    code=group["emotion"],
                    sentence=group.get("sentence"),
                )


def _raise(error: OSError) -> None:
    raise error


# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
_IEMOCAP_TURN = re.compile(
    r"\[[\d.]+ - [\d.]+\]\t(?P<uri>(?P<dialog>(?P<session>Ses0\d)\w+)_(?P<gender>[FM])\w+)"
    r"\t(?P<emotion>\w+)\t\[.*\]\s*"
)


def iemocap(folder: Path) -> Iterator[Found]:
    r"""Sentences of IEMOCAP that have audio, with the emotion that its evaluators agreed on.

    ::

        Session1/dialog/EmoEvaluation/Ses01F_impro01.txt                    one line a sentence
        Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

    The first letter of a dialog names who wears the markers, the letter of a sentence who speaks:
    Ses01F_impro01_M000 is of speaker Ses01M.
    """
    for text in _below(folder, "Session[1-5]/dialog/EmoEvaluation/Ses*.txt"):
        audio = text.parents[2] / "sentences" / "wav"
        for line in text.read_text(encoding="utf-8", errors="replace").splitlines():
            match = _IEMOCAP_TURN.fullmatch(line)
            path = match and _existing(audio / match["dialog"], match["uri"])
            if match and path:
                speaker = match["session"] + match["gender"]
                yield Found(match["uri"], path, speaker, match["emotion"])


def _below(folder: Path, pattern: str) -> list[Path]:
    """Files in a folder, or in the folders in it: archives often bring one of their own."""
    return [path for level in (pattern, f"*/{pattern}") for path in sorted(folder.glob(level))]


def _existing(folder: Path, stem: str) -> Path | None:
    """Audio of a name, with whichever ending it has."""
    paths = (folder / f"{stem}{suffix}" for ending in AUDIO for suffix in (ending, ending.upper()))
    return next((path for path in paths if path.is_file()), None)


def zed(folder: Path) -> Iterator[Found]:
    """Recordings of the Zaion Emotion Dataset that have audio, with the turns of ZED.json.

    The file names no speakers: every recording counts as its own.

    Raises
    ------
    ValueError
        If the annotation is malformed, or a recording has turns of two emotions.
    """
    for annotation in _below(folder, "ZED.json"):
        for recording in read(annotation, format="zed"):
            turns = tuple(
                Turn(segment.start, segment.end, str(label))
                for segment, _, label in recording.annotation.itertracks(yield_label=True)
                if label != NEUTRAL
            )
            codes = sorted({turn.emotion for turn in turns}) or [NEUTRAL]
            if len(codes) > 1:
                raise ValueError(
                    f"{annotation}, recording {recording.uri!r}: turns of {' and '.join(codes)}; "
                    "a recording of ZED has one emotion, so this is another file of its shape"
                )
            path = recording.path and _existing(recording.path.parent, recording.path.stem)
            if path:
                yield Found(recording.uri, path, recording.uri, codes[0], turns=turns)


READERS: Mapping[str, Reader] = MappingProxyType({"iemocap": iemocap, "zed": zed})
"""Readers that a descriptor may name in the place of a pattern."""
