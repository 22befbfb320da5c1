"""What a model of frames learns from, and the recordings it is judged on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pyannote.core import Annotation, Segment
from tqdm import tqdm

from sed.audio import Recording
from sed.corpora import Corpus, Utterance, relabelled
from sed.corpora.augmentation import Augmentation, Sounds
from sed.corpora.simulation import Simulation
from sed.corpora.splits import PARTS, Choice, split
from sed.corpora.stored import StoredClip, stored_clips
from sed.formats import AnnotatedRecording
from sed.training.waveforms import Augment

Judged = tuple[Recording, AnnotatedRecording, str]
"""A recording, what is said of it, and the corpus it is from."""

_UNCHANGED: dict[str, Any] = {
    **dict.fromkeys(("noise_probability", "telephone_probability", "room_probability"), 0.0),
    "colour": 0.0,
    "gain": (0.0, 0.0),
}


def find_utterances(hparams: Mapping[str, Any]) -> dict[str, list[Utterance]]:
    """Utterances to train, validate and test on, no speaker in two parts; audio is not read yet.

    ::

        left_out     none                        c
        a            train  valid  test          train  valid   -
        b            train  valid  test          train  valid   -
        c            train  valid  test          --- test ---------

    Raises
    ------
    ValueError
        If a corpus is missing or incomplete, has too few speakers for the split, or the one that is
        left out is none of them.
    """
    left_out = hparams["left_out"]
    if left_out is not None and left_out not in hparams["corpora"]:
        raise ValueError(f"left_out {left_out!r} is none of {', '.join(hparams['corpora'])}")
    parts: dict[str, list[Utterance]] = {part: [] for part in PARTS}
    for name in hparams["corpora"]:
        known = [
            utterance
            for utterance in relabelled(corpus_utterances(hparams, name), hparams["relabelled"])
            if utterance.emotion in hparams["classes"]
        ]
        is_left_out = name == left_out
        try:
            found = split(
                known,
                by=hparams["split"],
                valid=0.0 if is_left_out else _choice(hparams["valid"], name),
                test=1.0 if is_left_out else _choice(hparams["test"], name),
                seed=hparams["split_seed"],
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        for part in PARTS:
            if part != "test" or left_out is None or is_left_out:
                parts[part] += found[part]
    return parts


def _choice(setting: float | Mapping[str, list[str]], corpus: str) -> Choice:
    """Share of every corpus, or its speakers, of which there may be none."""
    return setting.get(corpus, 0.0) if isinstance(setting, Mapping) else setting


def corpus_utterances(hparams: Mapping[str, Any], name: str) -> list[Utterance]:
    """All utterances of a corpus."""
    corpus = Corpus.named(name)
    folder = corpus.find(hparams["data_folder"])
    return corpus.utterances(folder, complete=hparams["complete_corpora"])


def simulation(
    hparams: Mapping[str, Any],
    utterances: list[Utterance],
    *,
    part: str,
    quiet: bool = False,
) -> Simulation:
    """Recordings to draw, of one part's utterances; their speech is found on the way."""
    bar = tqdm(utterances, desc=f"speech to {part} on", mininterval=1.0, disable=quiet)
    clips: list[StoredClip] = stored_clips(
        utterances,
        hparams["speech_folder"],
        vad=hparams["vad"],
        sample_rate=hparams["sample_rate"],
        progress=bar,
        on_error=lambda utterance, error: bar.write(f"left out: {utterance.path}: {error}"),
    )
    return Simulation(
        clips,
        classes=hparams["classes"],
        sample_rate=hparams["sample_rate"],
        **drawing(hparams, part),
    )


def drawing(hparams: Mapping[str, Any], part: str) -> dict[str, Any]:
    """How the recordings of a part are drawn; judged ones are joined without pauses or fades."""
    if part != "train":
        return {"sequences": hparams["judged_sequences"]}
    pause, crossfade = tuple(hparams["pause"]), hparams["crossfade"]
    return {"sequences": hparams["sequences"], "pause": pause, "crossfade": crossfade}


def augmentation(hparams: Mapping[str, Any]) -> Augment | None:
    """Changes to training recordings, with the noises and rooms of the settings' folders.

    Raises
    ------
    ValueError
        If a folder holds no audio.
    OSError
        If a folder is missing.
    """
    if hparams["augmentation"] is None:
        return None
    augment: Augment = hparams["augmentation"](**_sounds(hparams))
    return augment


def conditions(hparams: Mapping[str, Any]) -> dict[str, Augment]:
    """Changes to judged recordings by their names: an `Augmentation` of what is named alone.

    Raises
    ------
    ValueError
        If a folder holds no audio, a name would make no folder, or a change moves the emotions.
    OSError
        If a folder is missing.
    TypeError
        If there is no such change.
    """
    settings = hparams["judged_conditions"] or {}
    made: dict[str, Augment] = {}
    sounds = _sounds(hparams) if settings else {}
    for name, changes in settings.items():
        if not re.fullmatch(r"[\w-]+", str(name)):
            raise ValueError(f"{name!r} is no name; give one of letters and digits")
        change = Augmentation(**{**_UNCHANGED, **sounds, **changes})
        if change.speed != 1.0:
            raise ValueError(f"{name}: another speed would move the emotions; leave it at 1.0")
        made[str(name)] = change
    return made


def _sounds(hparams: Mapping[str, Any]) -> dict[str, Sounds]:
    """Noises and rooms of the settings' folders."""
    return {
        kind: Sounds(folder, hparams["sample_rate"], num_kept=256)
        for kind in ("noises", "rooms")
        if (folder := hparams[f"{kind[:-1]}_folder"])
    }


def judged_recordings(
    hparams: Mapping[str, Any], parts: Mapping[str, list[Utterance]]
) -> dict[str, Iterator[Judged]]:
    """Sets of recordings with known emotions, each made one by one as it is asked for.

    ``simulated`` are drawn from the speech of the test speakers; ``simulated, noisy`` and others
    are the same under the conditions of the settings; another set is a corpus whose recordings say
    when which emotion appears, such as ZED.
    """
    sets: dict[str, Iterator[Judged]] = {}
    if hparams["num_test"]:
        part = hparams["judged_part"]
        drawn = simulation(hparams, parts[part], part=part)
        count, seed = hparams["num_test"], hparams["test_seed"]
        sets["simulated"] = _simulated(drawn, count, seed)
        for name, change in conditions(hparams).items():
            sets[f"simulated, {name}"] = _simulated(drawn, count, seed, change)
    if hparams["test_corpus"]:
        sets[hparams["test_corpus"]] = map(
            _judged, corpus_utterances(hparams, hparams["test_corpus"])
        )
    return sets


def _simulated(
    drawn: Simulation, num_recordings: int, seed: int, change: Augment | None = None
) -> Iterator[Judged]:
    for index in range(num_recordings):
        made = drawn.numbered(index, seed)
        samples = np.asarray(made.samples)
        if change is not None:  # by chance that each recording has of its own
            rng = np.random.default_rng((seed, index, 1))
            samples = change(samples, made.sample_rate, rng)
        recording = Recording.from_samples(samples, made.sample_rate, uri=made.annotation.uri)
        yield recording, AnnotatedRecording(made.annotation, duration=made.duration), made.corpus


def _judged(utterance: Utterance) -> Judged:
    """A recording of a corpus; its emotion fills the whole of it where there are no turns."""
    recording = Recording.open(utterance.path, uri=utterance.uri)
    duration = recording.duration
    annotation = Annotation(uri=utterance.uri)
    for turn in utterance.turns:
        annotation[Segment(turn.onset, min(turn.offset, duration))] = turn.emotion
    if not utterance.turns and utterance.emotion != "neutral":
        annotation[Segment(0.0, duration)] = utterance.emotion
    reference = AnnotatedRecording(annotation, duration=duration, path=utterance.path)
    return recording, reference, utterance.corpus
