"""What the recipe learns from, and the recordings it is judged on."""

from __future__ import annotations

from collections.abc import Mapping

from pyannote.core import Annotation, Segment
from tqdm import tqdm

from sed.audio import Recording
from sed.corpora import Corpus, Utterance, relabelled
from sed.corpora.clips import SHORT_SILENCES, Clip, load_clips
from sed.corpora.splits import split
from sed.formats import AnnotatedRecording
from sed.vad import vad_named


def find_utterances(hparams: dict) -> dict[str, list[Utterance]]:
    """Utterances to train and to validate on, and those of the test corpus; audio is not read yet.

    Raises
    ------
    ValueError
        If a corpus is missing or incomplete, or has too few speakers for the split.
    """
    parts: dict[str, list[Utterance]] = {"train": [], "valid": [], "test": []}
    for name in hparams["corpora"]:
        known = [
            utterance
            for utterance in relabelled(_utterances(hparams, name), hparams["relabelled"])
            if utterance.emotion in hparams["classes"]
        ]
        found = split(
            known,
            by=hparams["split"],
            valid=hparams["valid_share"],
            test=0.0,
            seed=hparams["split_seed"],
        )
        for part in ("train", "valid"):
            parts[part] += found[part]
    parts["test"] = _utterances(hparams, hparams["test_corpus"])
    return parts


def _utterances(hparams: dict, name: str) -> list[Utterance]:
    corpus = Corpus.named(name)
    folder = corpus.find(hparams["data_folder"])
    return corpus.utterances(folder, complete=hparams["complete_corpora"])


def read_clips(hparams: dict, utterances: Mapping[str, list[Utterance]]) -> dict[str, list[Clip]]:
    """Clips to train and to validate on, silences removed."""
    return {
        part: load_clips(
            tqdm(utterances[part], desc=f"speech to {part} on", mininterval=1.0),
            vad=vad_named(hparams["vad"]),
            binarize=SHORT_SILENCES,
            sample_rate=hparams["sample_rate"],
        )
        for part in ("train", "valid")
    }


def reference(utterance: Utterance) -> AnnotatedRecording:
    """What is said of a test recording; the whole of it where there are no turns."""
    duration = Recording.open(utterance.path).duration
    annotation = Annotation(uri=utterance.uri)
    for turn in utterance.turns:
        annotation[Segment(turn.onset, min(turn.offset, duration))] = turn.emotion
    if not utterance.turns and utterance.emotion != "neutral":
        annotation[Segment(0.0, duration)] = utterance.emotion
    return AnnotatedRecording(annotation, duration=duration, path=utterance.path)
