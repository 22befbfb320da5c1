"""What manifests hold, and how other tools want it written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sed.audio import Recording
from sed.corpora.utterance import Utterance

DATA_ROOT = "data_root"
"""What stands for the folder of corpora in manifests; SpeechBrain's readers replace it."""


@dataclass(frozen=True)
class Entry:
    """A recording of a manifest: an utterance and what the header of its file says.

    Parameters
    ----------
    utterance : Utterance
    path : str
        Relative to the folder of corpora, with slashes.
    sample_rate, num_samples, num_channels : int
        Of the file.
    """

    utterance: Utterance
    path: str
    sample_rate: int
    num_samples: int
    num_channels: int

    @classmethod
    def of(cls, utterance: Utterance, path: str) -> Entry:
        """Entry of an utterance, whose file's header is read.

        Raises
        ------
        ValueError, OSError
            If that cannot be done, see `sed.audio.Recording.open`.
        """
        recording = Recording.open(utterance.path)
        num_samples = recording.num_samples(recording.sample_rate)
        return cls(utterance, path, recording.sample_rate, num_samples, recording.num_channels)

    @property
    def duration(self) -> float:
        """Seconds."""
        return round(self.num_samples / self.sample_rate, 6)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Emotions with their times, neutral ones too, as SpeechBrain writes them."""
        turns = [(turn.emotion, turn.onset, turn.offset) for turn in self.utterance.turns]
        return [
            {"emo": emotion, "start": round(onset, 6), "end": round(offset, 6)}
            for emotion, onset, offset in turns or [(self.utterance.emotion, 0.0, self.duration)]
        ]


Files = dict[str, str]
"""Contents by file name; of a name in ``.gz`` before compression."""


def encode_speechbrain(part: str, name: str, entries: Sequence[Entry]) -> Files:
    """JSON that `DynamicItemDataset.from_json` reads, in the shape of ``ZED.json``.

    Examples
    --------
    >>> from pathlib import Path
    >>> voice = Utterance("a-1", Path(), speaker="a", corpus="toy", emotion="happy")
    >>> files = encode_speechbrain("test", "toy", [Entry(voice, "toy/a-1.wav", 8_000, 12_000, 1)])
    >>> print(files["test.json"])
    {
    "a-1": {"wav": "{data_root}/toy/a-1.wav", "duration": 1.5,
            "emotion": [{"emo": "happy", "start": 0.0, "end": 1.5}],
            "speaker": "a", "corpus": "toy"}
    }
    """
    members = [
        json.dumps(entry.utterance.uri, ensure_ascii=False)
        + ": "
        + json.dumps(
            {
                "wav": f"{{{DATA_ROOT}}}/{entry.path}",
                "duration": entry.duration,
                "emotion": entry.events,
                "speaker": entry.utterance.speaker,
                "corpus": entry.utterance.corpus,
            },
            ensure_ascii=False,
        )
        for entry in entries
    ]
    return {f"{part}.json": "{\n" + ",\n".join(members) + "\n}\n"}


def encode_csv(part: str, name: str, entries: Sequence[Entry]) -> Files:
    """CSV that `DynamicItemDataset.from_csv` reads; `events` is the JSON of the emotions."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ID", "duration", "wav", "speaker", "corpus", "emotion", "events"])
    for entry in entries:
        voice = entry.utterance
        wav, events = f"${DATA_ROOT}/{entry.path}", json.dumps(entry.events)
        writer.writerow(
            [voice.uri, entry.duration, wav, voice.speaker, voice.corpus, voice.emotion, events]
        )
    return {f"{part}.csv": text.getvalue()}


def encode_lhotse(part: str, name: str, entries: Sequence[Entry]) -> Files:
    """Recordings and supervisions of lhotse, named as its own recipes name them.

    An emotion is a supervision with a field `emotion` in `custom`. The paths are relative;
    `RecordingSet.with_path_prefix` puts the folder of corpora before them.
    """
    recordings, supervisions = [], []
    for entry in entries:
        voice, channels = entry.utterance, list(range(entry.num_channels))
        recordings.append(
            {
                "id": voice.uri,
                "sources": [{"type": "file", "channels": channels, "source": entry.path}],
                "sampling_rate": entry.sample_rate,
                "num_samples": entry.num_samples,
                "duration": entry.num_samples / entry.sample_rate,
                "channel_ids": channels,
            }
        )
        for number, event in enumerate(entry.events):
            supervision = {
                "id": f"{voice.uri}-{number}",
                "recording_id": voice.uri,
                "start": event["start"],
                "duration": round(event["end"] - event["start"], 6),
                "channel": 0 if entry.num_channels == 1 else channels,
                "speaker": voice.speaker,
                "custom": {"emotion": event["emo"], "corpus": voice.corpus},
            }
            if voice.gender is not None:
                supervision["gender"] = voice.gender
            supervisions.append(supervision)
    return {
        f"{name}_{kind}_{part}.jsonl.gz": "".join(
            json.dumps(item, ensure_ascii=False) + "\n" for item in items
        )
        for kind, items in (("recordings", recordings), ("supervisions", supervisions))
    }


FORMATS: Mapping[str, Callable[[str, str, Sequence[Entry]], Files]] = {
    "speechbrain": encode_speechbrain,
    "lhotse": encode_lhotse,
    "csv": encode_csv,
}
"""What gives the files of a part, by the name of the format: from the names of part and corpus."""
