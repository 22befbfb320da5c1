"""One recording of a corpus and what was said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Utterance:
    """A recording of one speaker that carries one emotion from beginning to end.

    Parameters
    ----------
    uri : str
        Name that is unique in its corpus.
    path : Path
        The audio.
    speaker, corpus : str
        Who speaks, and the corpus's name. Speakers are unique within a corpus only.
    emotion : str
        Canonical name.
    sentence : str, optional
        What is said, where the corpus has fixed sentences.
    """

    uri: str
    path: Path
    speaker: str
    corpus: str
    emotion: str
    sentence: str | None = None
