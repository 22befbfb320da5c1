"""Corpora as data: a TOML file says where the recordings are and what their names mean."""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sed.corpora.readers import READERS, Found, by_name
from sed.corpora.utterance import Utterance
from sed.labels import canonical

CATALOG = Path(__file__).parent / "catalog"


@dataclass(frozen=True)
class Corpus:
    r"""What the package knows of a corpus: a file of ``sed/corpora/catalog``, whose keys these are.

    ::

        num_files      |==================================|  all that the corpus has
        num_kept       |=========================|           those with an emotion
        left_out                                 |========|  those without, and why

    Parameters
    ----------
    name, title, language, homepage, licence, citation, obtain : str
        Facts for people; `obtain` ends the error that a missing corpus gives.
    num_files, num_speakers : int
        What the whole corpus has. Fewer or more recordings are an error.
    emotions : mapping of str to str
        The corpus's codes and the emotions they stand for.
    folders : tuple of str
        Usual names of the corpus's folder beside `name`; case and punctuation do not matter.
    pattern : str
        Regular expression of where a recording's path ends, see `sed.corpora.readers.by_name`.
    reader : str
        Name of a reader, for a corpus whose names do not tell; takes the place of `pattern`.
    speakers : mapping of str to str
        Speakers by gender (``female``, ``male``, ``unknown``), as names and ranges of names, such
        as ``"03 08-16"``; empty where the corpus does not tell them apart.
    aliases : mapping of str to str
        Misspelt speakers and who they are.
    left_out : mapping of str to str
        Codes that stand for no emotion, and why.
    num_kept : int
        Recordings that are not left out; `num_files` by default.
    min_files : int
        Fewest recordings that count as all, where copies of the corpus differ; `num_files` by
        default.
    parts : mapping of str to mapping
        Parts that can be had by themselves, as ``esd:english``: their `num_files`, `num_speakers`
        and what narrows them, `speakers` or `codes` (of emotions).
    part : str
        Which of them this is, if it is one.
    """

    name: str
    title: str
    language: str
    homepage: str
    licence: str
    citation: str
    obtain: str
    num_files: int
    num_speakers: int
    emotions: Mapping[str, str]
    folders: tuple[str, ...] = ()
    pattern: str = ""
    reader: str = ""
    speakers: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    num_kept: int = 0
    min_files: int = 0
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    part: str = ""

    def __post_init__(self) -> None:
        """Fill in the counts that follow, and refuse what contradicts itself."""
        object.__setattr__(self, "min_files", self.min_files or self.num_files)
        object.__setattr__(self, "num_kept", self.num_kept or self.num_files)
        if bool(self.pattern) == bool(self.reader) or self.reader not in ("", *READERS):
            known = ", ".join(READERS)
            raise ValueError(f"{self.name} needs a pattern or one of the readers {known}")
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise ValueError(f"the pattern of {self.name} is malformed: {error}") from None
        if self.pattern and not groups >= {"speaker", "emotion"}:
            raise ValueError(f"the pattern of {self.name} needs groups speaker and emotion")
        if self.speakers and len(self.genders) != self.num_speakers:
            raise ValueError(
                f"{self.name} has num_speakers {self.num_speakers}, and {len(self.genders)} named"
            )

    @classmethod
    def from_toml(cls, path: str | Path) -> Corpus:
        """Read a descriptor.

        Raises
        ------
        ValueError
            If a key is missing, unknown, contradicts another, or an emotion is none.
        """
        with open(path, "rb") as stream:
            try:
                content: dict[str, Any] = tomllib.load(stream)
            except ValueError as error:
                raise ValueError(f"{path}: not TOML ({error})") from None
        known = {key.name: key for key in fields(cls) if key.name != "part"}
        needed = {
            name
            for name, key in known.items()
            if key.default is MISSING and key.default_factory is MISSING
        }
        odd = (needed - set(content)) | (set(content) - set(known))
        if odd:
            raise ValueError(f"{path}: these keys are missing or unknown: {', '.join(sorted(odd))}")
        try:
            content["emotions"] = {
                code: canonical(name) for code, name in content["emotions"].items()
            }
            return cls(**content | {"folders": tuple(content.get("folders", ()))})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def named(cls, name: str) -> Corpus:
        """Descriptor of the catalog, or of a part of a corpus as ``corpus:part``.

        Parameters
        ----------
        name : str
            Case and punctuation do not matter.

        Raises
        ------
        ValueError
            If the catalog has none of that name; the message lists what it has.

        Examples
        --------
        >>> Corpus.named("EmoDB").emotions["W"]
        'angry'
        >>> Corpus.named("esd:english").num_files
        17500
        """
        whole, _, part = name.partition(":")
        path = CATALOG / f"{_plain(whole)}.toml"
        if not path.is_file():
            known = ", ".join(corpus.name for corpus in cls.all())
            raise ValueError(f"unknown corpus {name!r}; known are {known}")
        corpus = cls.from_toml(path)
        return corpus.narrowed(part) if part else corpus

    @classmethod
    def all(cls) -> list[Corpus]:
        """Every corpus of the catalog, ordered by name.

        Examples
        --------
        >>> [corpus.name for corpus in Corpus.all()][:3]
        ['casia', 'cremad', 'emodb']
        """
        return [cls.from_toml(path) for path in sorted(CATALOG.glob("*.toml"))]

    def narrowed(self, part: str) -> Corpus:
        """Part of the corpus as a corpus of the same name, which ignores the rest.

        Raises
        ------
        ValueError
            If it has no such part; the message lists those it has.

        Examples
        --------
        >>> Corpus.named("esd").narrowed("english").label
        'esd:english'
        """
        if part not in self.parts:
            known = ", ".join(self.parts) or "none"
            raise ValueError(f"unknown part {part!r} of {self.name}; known are {known}")
        content = dict(self.parts[part])
        speakers = set(_listed(content.pop("speakers", ""))) or set(self.genders)
        codes = set(content.pop("codes", "").split()) or set(self.emotions)
        genders: dict[str, list[str]] = {}
        for speaker, gender in self.genders.items():
            if speaker in speakers:
                genders.setdefault(gender or "unknown", []).append(speaker)
        return replace(
            self,
            part=part,
            speakers={gender: " ".join(names) for gender, names in genders.items()},
            emotions={code: name for code, name in self.emotions.items() if code in codes},
            **{"num_speakers": len(speakers), "num_kept": 0, "min_files": 0} | content,
        )

    @cached_property
    def genders(self) -> dict[str, str | None]:
        """Every speaker with the gender, None where it is not known.

        Examples
        --------
        >>> Corpus.named("emovo").genders["f1"]
        'female'
        """
        return {
            speaker: None if gender == "unknown" else gender
            for gender, names in self.speakers.items()
            for speaker in _listed(names)
        }

    def find(self, data_folder: str | Path) -> Path:
        """The corpus's own folder below one that holds several, or that folder if it is the corpus.

        Raises
        ------
        ValueError
            If there is none; the message says how to get the corpus.
        """
        folder = Path(data_folder)
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; {self._advice}")
        usual = {_plain(name) for name in (self.name, *self.folders)}
        named = [path for path in sorted(folder.iterdir()) if _plain(path.name) in usual]
        for candidate in (*named, folder):
            if candidate.is_dir() and next(self._found(candidate), None) is not None:
                return candidate
        if named:  # an empty one: the error of `utterances` says more
            return named[0]
        names = ", ".join((self.name, *self.folders))
        raise ValueError(f"{folder} holds no {self.name} (looked for {names}); {self._advice}")

    def utterances(self, folder: str | Path, *, complete: bool = True) -> list[Utterance]:
        """Every recording of the corpus that has an emotion, ordered by path.

        Parameters
        ----------
        folder : str or Path
            Where the corpus was unpacked; nothing is written there. A recording that is there
            twice, as copies or under two file endings, is taken where it lies least deep.
        complete : bool
            Whether it must be the whole corpus. False takes a subset as it is, unless it is empty:
            for fixtures and trials, as results on a subset are not results on the corpus.

        Raises
        ------
        ValueError
            If recordings or speakers are missing, there are more than the corpus has, or a
            recording's emotion is unknown; the message is one line that says what, and how to get
            the corpus.
        OSError
            If a folder or file of it cannot be read.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; {self._advice}")
        found: dict[str, Found] = {}
        for item in sorted(self._found(folder), key=lambda item: _depth(item.path)):
            found.setdefault(item.uri, item)
        if not found:
            raise ValueError(f"{folder} holds no recording of {self.label}; {self._advice}")
        kept = [item for item in found.values() if item.code not in self.left_out]
        if complete:
            self._check(folder, list(found.values()), len(kept))
        return [self._utterance(item) for item in sorted(kept, key=lambda item: item.path)]

    @property
    def label(self) -> str:
        """Name that `named` takes: that of the corpus, with the part's."""
        return f"{self.name}:{self.part}" if self.part else self.name

    @property
    def _advice(self) -> str:
        return f"{self.obtain} ({self.homepage})"

    def _found(self, folder: Path) -> Iterator[Found]:
        """What a folder holds of the corpus, or of its part."""
        read = READERS[self.reader](folder) if self.reader else by_name(folder, self.pattern)
        speakers = self.genders
        for item in read:
            item = replace(item, speaker=self.aliases.get(item.speaker, item.speaker))
            if not self.part or (item.speaker in speakers and item.code in self.emotions):
                yield item

    def _utterance(self, item: Found) -> Utterance:
        if item.code not in self.emotions:
            known = ", ".join((*self.emotions, *self.left_out))
            raise ValueError(
                f"{item.path}: {self.name} has no emotion {item.code!r}; it has {known}"
            )
        return Utterance(
            uri=item.uri,
            path=item.path,
            speaker=item.speaker,
            corpus=self.name,
            emotion=self.emotions[item.code],
            sentence=item.sentence,
            gender=self.genders.get(item.speaker),
            turns=item.turns,
        )

    def _check(self, folder: Path, found: list[Found], num_kept: int) -> None:
        """Compare what was found with what the corpus has."""
        holds = f"{folder} holds {len(found)} of the {self.num_files} recordings of {self.label}"
        strange = {item.speaker for item in found} - set(self.genders) if self.speakers else set()
        if strange:
            holds += f", some of speaker {_few(strange)}, whom it does not have"
        if strange or len(found) > self.num_files:
            raise ValueError(f"{holds}; keep one untouched copy of it there: {self._advice}")
        if len(found) < self.min_files:
            raise ValueError(f"{holds}, {self._missing(found)}; {self._advice}")
        left_out = len(found) - num_kept
        if left_out != self.num_files - self.num_kept:
            raise ValueError(
                f"{folder}: {left_out} recordings of {self.label} have no emotion, where "
                f"{self.num_files - self.num_kept} should; was its annotation changed? "
                f"{self._advice}"
            )

    def _missing(self, found: list[Found]) -> str:
        """What an incomplete corpus has none of, or least of."""
        speakers = Counter(item.speaker for item in found)
        codes = {item.code for item in found}
        silent = {name for code, name in self.emotions.items() if code not in codes}
        if absent := set(self.genders) - set(speakers):
            return f"none of speaker {_few(absent)}"
        if absent := silent - {self.emotions.get(code, "") for code in codes}:
            return f"none that is {_few(absent)}"
        if not self.speakers:
            return f"{self.num_files - len(found)} too few"
        fewest = min(speakers, key=lambda speaker: (speakers[speaker], speaker))
        return f"fewest of speaker {fewest} ({speakers[fewest]})"


def _few(names: Iterable[str], most: int = 5) -> str:
    """Names in order, and how many more there are.

    Examples
    --------
    >>> _few({"02", "01"}), _few("abcdefg")
    ('01, 02', 'a, b, c, d, e and 2 more')
    """
    ordered = sorted(names)
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + rest


def _plain(name: str) -> str:
    """Name without case and punctuation.

    Examples
    --------
    >>> _plain("Emotional Speech Dataset (ESD)"), _plain("CREMA-D")
    ('emotionalspeechdatasetesd', 'cremad')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed(names: str) -> list[str]:
    """Names in a list with ranges.

    Examples
    --------
    >>> _listed("03 08-10 f1-f3")
    ['03', '08', '09', '10', 'f1', 'f2', 'f3']
    """
    listed = []
    for name in names.split():
        limits = re.fullmatch(r"(\D*)(\d+)-\1(\d+)", name)
        if limits is None:
            listed.append(name)
            continue
        stem, first, last = limits.groups()
        listed += [f"{stem}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    return listed


def _depth(path: Path) -> tuple[int, bool, str]:
    """Order of copies: the least deep first, wav before flac."""
    return path.as_posix().count("/"), os.path.splitext(path)[1].lower() == ".flac", path.as_posix()
