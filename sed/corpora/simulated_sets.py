"""Simulated recordings as files: a folder that a later run completes and never rewrites.

::

    simulation.json        what decides the recordings, written first
    audio/NAME.wav         each of them, whole or not at all
    recordings.jsonl       a line for each that is there: its clips, and its emotions in samples
    reference.json, .rttm  the annotation of all, at the end
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from pyannote.core import Annotation, Segment

from sed.corpora.manifest_formats import Entry, encode_speechbrain
from sed.corpora.simulation import SimulatedRecording
from sed.corpora.utterance import Turn, Utterance
from sed.files import whole_file
from sed.formats import FORMATS, AnnotatedRecording
from sed.labels import NEUTRAL

SETTINGS, JOURNAL, REFERENCE = "simulation.json", "recordings.jsonl", "reference"
"""Files of a set; the reference has two endings."""

AUDIO_FORMATS = ("wav", "flac")
"""What recordings are written as, both in 16 bits."""


class SimulatedSet:
    """Folder of simulated recordings.

    A line of facts for each recording is in memory, its samples only while it is added.

    Parameters
    ----------
    folder : str or Path
        New, empty, or of a set with the same settings.
    settings : mapping of str to object
        All that decides the recordings, but not how many there are; plain JSON.
    format : {"wav", "flac"}

    Raises
    ------
    ValueError
        If the folder holds a set with other settings, or something else.
    OSError
        If it cannot be read.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any], *, format: str = "wav"
    ) -> None:
        if format not in AUDIO_FORMATS:
            raise ValueError(f"recordings are written as {', '.join(AUDIO_FORMATS)}, not {format}")
        self.folder, self.format = Path(folder), format
        self.settings = json.loads(json.dumps({**settings, "format": format}))
        self._check()
        self._facts = self._read_journal()

    def __len__(self) -> int:
        """Recordings that are there."""
        return len(self._facts)

    def missing(self, num_recordings: int) -> list[int]:
        """Numbers of the recordings that are not there, below a number or the largest there is."""
        num_recordings = max([num_recordings, *(index + 1 for index in self._facts)])
        return [index for index in range(num_recordings) if index not in self._facts]

    def begin(self) -> None:
        """Make the folder, and write down what its recordings will be made with.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        (self.folder / "audio").mkdir(parents=True, exist_ok=True)
        self._write(
            SETTINGS, json.dumps({"hash": fingerprint(self.settings), **self.settings}, indent=2)
        )
        # What a run left that was ended inside of a line goes; nothing else changes.
        self._write(JOURNAL, "".join(map(_line, self._facts.values())))

    def add(self, index: int, recording: SimulatedRecording) -> None:
        """Write a recording.

        Parameters
        ----------
        index : int
        recording : SimulatedRecording
            What passes full scale is made softer as a whole.

        Raises
        ------
        OSError
            If it cannot be written; nothing of it is left then.
        """
        uri = f"simulated-{index:06d}"
        wav = f"audio/{uri}.{self.format}"
        with whole_file(self.folder / wav) as stream:
            stream.buffer.write(
                encode_audio(recording.samples, recording.sample_rate, format=self.format)
            )
        facts = {
            "index": index,
            "uri": uri,
            "wav": wav,
            "sample_rate": recording.sample_rate,
            "num_samples": len(recording.samples),
            "corpus": recording.corpus,
            "speaker": recording.speaker,
            "sequence": recording.sequence,
            "clips": recording.clips,
            "emotions": [
                [
                    round(segment.start * recording.sample_rate),
                    round(segment.end * recording.sample_rate),
                    label,
                ]
                for segment, _, label in recording.annotation.itertracks(yield_label=True)
            ],
        }
        with (self.folder / JOURNAL).open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(_line(facts))
        self._facts[index] = facts

    def finish(self) -> None:
        """Write the reference of all recordings, unless it stands there already.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        ordered = [self._facts[index] for index in sorted(self._facts)]
        self._write(f"{REFERENCE}.rttm", "".join(map(_rttm, ordered)))
        entries = list(map(_entry, ordered))
        for name, text in encode_speechbrain(REFERENCE, "simulated", entries).items():
            self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        """Write a file unless it has that content."""
        path = self.folder / name
        if not (path.is_file() and path.read_text(encoding="utf-8") == text):
            with whole_file(path) as stream:
                stream.write(text)

    def _check(self) -> None:
        """Refuse a folder of something else."""
        try:
            found = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
            found.pop("hash")
        except (FileNotFoundError, NotADirectoryError):
            if self.folder.exists() and not self.folder.is_dir():
                raise ValueError(f"{self.folder} is no folder; name one") from None
            if self.folder.exists() and any(self.folder.iterdir()):
                raise ValueError(
                    f"{self.folder} is not empty and holds no simulated recordings; name a new "
                    "folder"
                ) from None
            return
        except (ValueError, AttributeError, KeyError):
            raise ValueError(
                f"{self.folder / SETTINGS} is damaged; name a new folder, or remove this one"
            ) from None
        if found != self.settings:
            names = [
                name
                for name in {**self.settings, **found}
                if self.settings.get(name) != found.get(name)
            ]
            raise ValueError(
                f"{self.folder} holds recordings simulated with other settings "
                f"({', '.join(names)}); name a new folder, or remove this one"
            )

    def _read_journal(self) -> dict[int, dict[str, Any]]:
        """Facts of the recordings that are there, by number."""
        facts = {}
        with suppress(FileNotFoundError):
            for line in (self.folder / JOURNAL).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line, of a run that was ended in it
                    found = json.loads(line)
                    if (self.folder / found["wav"]).is_file():
                        facts[int(found["index"])] = found
        return facts


def fingerprint(content: object) -> str:
    """Hash of anything that JSON can say.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fingerprint_of(utterances: Iterable[Utterance]) -> str:
    """Hash of recordings: their names and emotions, wherever they lie."""
    return fingerprint([[said.corpus, said.uri, said.speaker, said.emotion] for said in utterances])


def encode_audio(samples: np.ndarray, sample_rate: int, *, format: str = "wav") -> bytes:
    """Audio file of samples in 16 bits; what passes full scale is made softer as a whole.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
    sample_rate : int
    format : {"wav", "flac"}

    Examples
    --------
    >>> len(encode_audio(np.zeros(8_000), 8_000)) == 44 + 2 * 8_000
    True
    """
    import soundfile

    # Rounded here, as the two formats round differently.
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    rounded = np.clip(np.rint(samples * (2**15 / peak)), -(2**15), 2**15 - 1).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, rounded, sample_rate, format=format.upper(), subtype="PCM_16")
    return stream.getvalue()


def _line(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _entry(facts: Mapping[str, Any]) -> Entry:
    """Entry of a manifest."""
    rate = facts["sample_rate"]
    utterance = Utterance(
        uri=facts["uri"],
        path=Path(facts["wav"]),
        speaker=facts["speaker"],
        corpus=facts["corpus"],
        emotion=facts["emotions"][0][2] if facts["emotions"] else NEUTRAL,
        turns=tuple(
            Turn(first / rate, last / rate, label) for first, last, label in facts["emotions"]
        ),
    )
    return Entry(utterance, facts["wav"], rate, facts["num_samples"], 1)


def _rttm(facts: Mapping[str, Any]) -> str:
    """Lines of a reference; none for a recording without emotions."""
    annotation, rate = Annotation(uri=facts["uri"]), facts["sample_rate"]
    for track, (first, last, label) in enumerate(facts["emotions"]):
        annotation[Segment(first / rate, last / rate), track] = label
    return FORMATS["rttm"].encode(AnnotatedRecording(annotation))
