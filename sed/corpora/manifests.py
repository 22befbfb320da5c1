"""Manifests: the recordings of a corpus, split, as files that other tools read.

::

    corpus ──find──▶ folder ──utterances──▶ list ──split──▶ parts ──headers──▶ entries ──▶ files
                                            Preparation.plan                  Preparation.write
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sed.corpora.descriptor import Corpus
from sed.corpora.manifest_formats import FORMATS, Entry
from sed.corpora.splits import By, Choice, split
from sed.corpora.utterance import Utterance
from sed.files import whole_file

RECORD = "manifest.json"
"""File beside the manifests that says what made them."""


@dataclass(frozen=True)
class Preparation:
    """Manifests of a corpus: planned, so that every error comes before anything is written.

    Parameters
    ----------
    data_folder : Path
        The folder of corpora.
    folder : Path
        Where the manifests go.
    parts : dict of str to list of Utterance
    settings : dict of str to object
        What they are made with, as `RECORD` tells people.
    """

    data_folder: Path
    folder: Path
    parts: Mapping[str, Sequence[Utterance]]
    settings: Mapping[str, Any]

    @classmethod
    def plan(
        cls,
        corpus: Corpus,
        data_folder: str | Path,
        output: str | Path,
        *,
        version: str,
        formats: Sequence[str] = ("speechbrain",),
        by: By = "speaker",
        valid: Choice = 0.1,
        test: Choice = 0.1,
        seed: int = 0,
    ) -> Preparation:
        """Find a corpus and split it.

        Parameters
        ----------
        corpus : Corpus
        data_folder, output : str or Path
            The folder of corpora, and where a folder of the corpus's name gets the manifests.
        version : str
            That of the package.
        formats : sequence of str
            Names of `FORMATS`.
        by, valid, test, seed
            See `sed.corpora.splits.split`.

        Raises
        ------
        ValueError
            If the corpus is not there or not whole, cannot be split like that, the manifests would
            stand in it, or there is no such format.
        OSError
            If a folder of it cannot be read.
        """
        for name in formats:
            if name not in FORMATS:
                raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
        data_folder, folder = Path(data_folder), Path(output, corpus.label.replace(":", "-"))
        home = corpus.find(data_folder)
        if folder.resolve().is_relative_to(home.resolve()):
            raise ValueError(
                f"{folder} is part of the corpus in {home}, where nothing is written; name another "
                "folder for the output"
            )
        utterances = corpus.utterances(home)
        try:
            parts = split(utterances, by=by, valid=valid, test=test, seed=seed)
        except ValueError as error:
            raise ValueError(f"{corpus.label}: {error}") from None
        unnamed = len({utterance.speaker for utterance in utterances}) > corpus.num_speakers
        if unnamed and by == "speaker" and max(map(len, parts.values())) < len(utterances):
            raise ValueError(
                f"{corpus.label} does not tell its {corpus.num_speakers} speakers apart, so no "
                "split can; take all of it (test 1 and valid 0), or split by utterance"
            )
        settings = {
            "version": version,
            "corpus": corpus.label,
            "formats": list(formats),
            "split": by,
            "valid": _as_json(valid),
            "test": _as_json(test),
            "seed": seed,
        }
        return cls(data_folder, folder, parts, settings)

    @property
    def num_recordings(self) -> int:
        """Recordings of all parts."""
        return sum(map(len, self.parts.values()))

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides what is written: settings, and the files with their labels."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        for part, utterances in self.parts.items():
            for utterance in utterances:
                facts = {**asdict(utterance), "path": self._relative(utterance)}
                size = utterance.path.stat().st_size if utterance.path.exists() else None
                digest.update(json.dumps([part, facts, size], sort_keys=True).encode())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Whether the same manifests stand there already, whole and without a recording missing."""
        record = self._record()
        return (
            record.get("hash") == self.fingerprint
            and not record.get("unreadable")
            and all((self.folder / name).is_file() for name in _file_names(record))
        )

    def write(
        self,
        *,
        on_recording: Callable[[Utterance], None] = lambda utterance: None,
        on_error: Callable[[Utterance, Exception], None] = lambda utterance, error: None,
    ) -> dict[str, int]:
        """Read the headers, and write manifests in the place of those of another plan.

        Parameters
        ----------
        on_recording : callable
            Told of each recording whose header was looked at.
        on_error : callable
            Told of each one that cannot be read, which the manifests then lack.

        Returns
        -------
        dict of str to int
            Recordings in the manifest of each part; without any, a part has no file.

        Raises
        ------
        OSError
            If a manifest cannot be written.
        """
        fingerprint = self.fingerprint  # as it is before: what changes meanwhile is read again
        parts: dict[str, list[Entry]] = {part: [] for part in self.parts}
        unreadable = []
        for part, utterances in self.parts.items():
            for utterance in utterances:
                try:
                    parts[part].append(Entry.of(utterance, self._relative(utterance)))
                except (ValueError, OSError) as error:
                    unreadable.append(self._relative(utterance))
                    on_error(utterance, error)
                on_recording(utterance)
        files = {
            name: text
            for format in self.settings["formats"]
            for part, entries in parts.items()
            if entries
            for name, text in FORMATS[format](part, self.folder.name, entries).items()
        }
        # The record goes first and comes last: where it stands, the files are what it says, also
        # after a run that was interrupted here.
        for name in (RECORD, *_file_names(self._record())):
            if (self.folder / name).is_file():
                (self.folder / name).unlink()
        for name, text in files.items():
            _write(self.folder / name, text)
        counts = {part: len(entries) for part, entries in parts.items()}
        record = {
            "hash": fingerprint,
            **self.settings,
            "recordings": counts,
            "unreadable": unreadable,
            "files": list(files),
        }
        _write(self.folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return counts

    def _relative(self, utterance: Utterance) -> str:
        return Path(os.path.relpath(utterance.path, self.data_folder)).as_posix()

    def _record(self) -> dict[str, Any]:
        """What an earlier run left, empty where there was none."""
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            if isinstance(record, dict):
                return record
        return {}


def _as_json(choice: Choice) -> float | list[str]:
    return float(choice) if isinstance(choice, float | int) else sorted(choice)


def _file_names(record: Mapping[str, Any]) -> Iterator[str]:
    """Files of a record; nothing outside of its folder, whoever wrote it."""
    names = record.get("files")
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name == Path(name).name:
            yield name


def _write(path: Path, text: str) -> None:
    with whole_file(path) as stream:
        if path.suffix == ".gz":  # without a time, so that the same content is the same file
            stream.buffer.write(gzip.compress(text.encode(), mtime=0))
        else:
            stream.write(text)
