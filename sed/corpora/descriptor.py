"""Corpora as data: a TOML file says where the recordings are and what their names mean."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sed.corpora.utterance import Utterance
from sed.labels import canonical

CATALOG = Path(__file__).parent / "catalog"


@dataclass(frozen=True)
class Corpus:
    """What the package knows of a corpus; see ``sed/corpora/catalog`` for the files.

    Parameters
    ----------
    name, title, language, homepage, licence, citation, obtain : str
        Facts for people; `obtain` ends the error that a missing corpus gives.
    files : str
        Glob of the recordings, relative to the corpus's folder.
    pattern : str
        Regular expression of a file's stem, with the groups `speaker` and `emotion`, and
        `sentence` where there is one.
    num_files, num_speakers : int
        What the whole corpus has.
    emotions : mapping of str to str
        The corpus's codes and the emotions they stand for.
    """

    name: str
    title: str
    language: str
    homepage: str
    licence: str
    citation: str
    obtain: str
    files: str
    pattern: str
    num_files: int
    num_speakers: int
    emotions: Mapping[str, str]

    @classmethod
    def from_toml(cls, path: str | Path) -> Corpus:
        """Read a descriptor.

        Raises
        ------
        ValueError
            If a key is missing, unknown, or an emotion is none.
        """
        with open(path, "rb") as stream:
            try:
                content: dict[str, Any] = tomllib.load(stream)
            except ValueError as error:
                raise ValueError(f"{path}: not TOML ({error})") from None
        expected = {field.name for field in fields(cls)}
        if set(content) != expected:
            odd = ", ".join(sorted(expected ^ set(content)))
            raise ValueError(f"{path}: these keys are missing or unknown: {odd}")
        codes = content.pop("emotions")
        try:
            emotions = {code: canonical(name) for code, name in codes.items()}
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return cls(**content, emotions=emotions)

    @classmethod
    def named(cls, name: str) -> Corpus:
        """Descriptor of the catalog.

        Raises
        ------
        ValueError
            If the catalog has none of that name; the message lists what it has.

        Examples
        --------
        >>> Corpus.named("emodb").emotions["W"]
        'angry'
        """
        path = CATALOG / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in CATALOG.glob("*.toml")))
            raise ValueError(f"unknown corpus {name!r}; known are {known}")
        return cls.from_toml(path)

    def utterances(self, folder: str | Path) -> list[Utterance]:
        """Every recording of the corpus, ordered by name.

        Parameters
        ----------
        folder : str or Path
            Where the corpus was unpacked; nothing is written there.

        Raises
        ------
        ValueError
            If recordings or speakers are missing, or there are more than the corpus has.
        """
        folder = Path(folder)
        utterances = []
        for path in sorted(folder.glob(self.files)):
            match = re.fullmatch(self.pattern, path.stem)
            if match is None or match["emotion"] not in self.emotions:
                continue
            found = match.groupdict()
            utterances.append(
                Utterance(
                    uri=path.stem,
                    path=path,
                    speaker=found["speaker"],
                    corpus=self.name,
                    emotion=self.emotions[found["emotion"]],
                    sentence=found.get("sentence"),
                )
            )
        speakers = {utterance.speaker for utterance in utterances}
        if (len(utterances), len(speakers)) != (self.num_files, self.num_speakers):
            raise ValueError(
                f"{folder} holds {len(utterances)} of {self.num_files} recordings of "
                f"{len(speakers)} of {self.num_speakers} speakers of {self.name}; {self.obtain} "
                f"({self.homepage})"
            )
        return utterances
