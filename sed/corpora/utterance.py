"""One recording of a corpus and what was said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Turn:
    """A stretch of a recording that carries an emotion.

    Parameters
    ----------
    onset, offset : float
        Seconds.
    emotion : str
        Canonical name.
    """

    onset: float
    offset: float
    emotion: str


@dataclass(frozen=True)
class Utterance:
    """A recording of one speaker, and the emotion in it.

    ::

        turns == ()          |=========== happy ===========|   the whole recording
        turns == (Turn,)     |    neutral    |=== happy ===|   as in ZED

    Parameters
    ----------
    uri : str
        Name that is unique in its corpus.
    path : Path
        The audio.
    speaker, corpus : str
        Who speaks, and the corpus's name. Speakers are unique within a corpus only.
    emotion : str
        Canonical name; that of the turns, where there are any.
    sentence : str, optional
        What is said, where the corpus has fixed sentences.
    gender : {"female", "male"}, optional
        Where the corpus says.
    turns : tuple of Turn
        Where the emotion is; what lies between is neutral. Empty where the recording carries
        `emotion` from beginning to end.
    """

    uri: str
    path: Path
    speaker: str
    corpus: str
    emotion: str
    sentence: str | None = None
    gender: str | None = None
    turns: tuple[Turn, ...] = ()


def relabelled(utterances: Iterable[Utterance], mapping: Mapping[str, str]) -> list[Utterance]:
    """Utterances with some emotions under another name, as a recipe with few classes needs them.

    Parameters
    ----------
    utterances : iterable of Utterance
    mapping : mapping of str to str
        Emotions and what they count as; the others stay.

    Examples
    --------
    >>> laughing = Utterance("a", Path("a.wav"), "bea", "emovdb", "amused")
    >>> [said.emotion for said in relabelled([laughing], {"amused": "happy", "excited": "happy"})]
    ['happy']
    """
    return [
        replace(
            utterance,
            emotion=mapping.get(utterance.emotion, utterance.emotion),
            turns=tuple(
                replace(turn, emotion=mapping.get(turn.emotion, turn.emotion))
                for turn in utterance.turns
            ),
        )
        for utterance in utterances
    ]
