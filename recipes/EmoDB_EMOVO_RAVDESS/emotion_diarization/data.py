"""Speech of the recipe's corpora, split by speakers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tqdm import tqdm

from sed.corpora import Corpus
from sed.corpora.simulation import Clip, load_clips
from sed.decoding import Binarize
from sed.vad import Silero

SPLITS = ("train", "valid", "test")


def split_of(hparams: dict, corpus: str, speaker: str) -> str:
    """Where a speaker belongs: on one side only."""
    for split in ("test", "valid"):
        if speaker in hparams[f"{split}_speakers"][corpus]:
            return split
    return "train"


def read_clips(
    hparams: dict, emotions: Collection[str], splits: Collection[str] = SPLITS
) -> dict[str, list[Clip]]:
    """Clips of each split, silences removed.

    Parameters
    ----------
    hparams : dict
        `corpora`, `data_folder`, `sample_rate`, `test_speakers` and `valid_speakers` are used.
    emotions : collection of str
    splits : collection of str
        The others are not even read.
    """
    clips: dict[str, list[Clip]] = {split: [] for split in splits}
    for name in hparams["corpora"]:
        utterances = [
            utterance
            for utterance in Corpus.named(name).utterances(Path(hparams["data_folder"]) / name)
            if utterance.emotion in emotions
            and split_of(hparams, name, utterance.speaker) in splits
        ]
        found = load_clips(
            tqdm(utterances, desc=f"speech of {name}", mininterval=1.0),
            vad=Silero(),
            binarize=Binarize(),
            sample_rate=hparams["sample_rate"],
        )
        for clip in found:
            clips[split_of(hparams, name, clip.utterance.speaker)].append(clip)
    return clips
