"""Recordings with known emotion boundaries, simulated from utterances that carry one emotion.

After Wang et al. (2023), section 5.1: utterances lose their silences, are brought to equal
loudness, and those of one speaker are joined in sequences such as neutral-emotion-neutral.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment

from sed.corpora.clips import (
    LOUDNESS,
    SHORT_SILENCES,
    AnyClip,
    Clip,
    LazyClip,
    lazy_clips,
    load_clips,
)
from sed.corpora.joining import join
from sed.labels import NEUTRAL

__all__ = [
    "FOUR_SEQUENCES",
    "LOUDNESS",
    "SHORT_SILENCES",
    "Clip",
    "LazyClip",
    "SimulatedRecording",
    "Simulation",
    "lazy_clips",
    "load_clips",
]

FOUR_SEQUENCES: Mapping[str, float] = {"E": 0.25, "NE": 0.25, "EN": 0.25, "NEN": 0.25}
"""The paper's figure 5 with its probabilities: N is a neutral utterance, E an emotional one."""


@dataclass(frozen=True)
class SimulatedRecording:
    """A recording made of clips, and what is in it.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray of float32
    sample_rate : int
    annotation : Annotation
        The emotions; neutral stretches have no segment.
    corpus, speaker, sequence : str
        Where it comes from, and its sequence, such as "NEN".
    clips : tuple of str
        Names of the utterances, in their order.
    """

    samples: np.ndarray
    sample_rate: int
    annotation: Annotation
    corpus: str
    speaker: str
    sequence: str
    clips: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


class Simulation:
    """Draws recordings: a corpus, a speaker, a sequence, then emotions and clips, at even odds.

    A clip may come in any number of recordings, so that each is drawn without knowing the others:
    the one with a number is the same whichever are made, by whom and in which order.

    Parameters
    ----------
    clips : iterable of Clip, LazyClip or StoredClip
    classes : sequence of str
        Emotions that may appear; clips of others are ignored.
    sample_rate : int
    sequences : mapping of str to float
        Sequences of N (neutral) and E (emotional) with their probabilities.
    pause : tuple of float
        Shortest and longest silence between clips in seconds. It is no part of an emotion.
    crossfade : float
        Seconds that clips without a pause overlap, see `sed.corpora.joining.join`.

    Raises
    ------
    ValueError
        If a sequence is malformed, no speaker has what the sequences need, or a time makes no
        sense.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sed.corpora import Utterance
    >>> clips = [
    ...     Clip(Utterance(emotion, Path(), "a", "toy", emotion), np.ones(8_000, np.float32))
    ...     for emotion in ("neutral", "happy")
    ... ]
    >>> simulation = Simulation(
    ...     clips, classes=["neutral", "happy"], sample_rate=8_000, sequences={"NENE": 1.0}
    ... )
    >>> for segment in simulation.numbered(0, seed=1).annotation.itersegments():
    ...     print(segment)
    [ 00:00:01.000 -->  00:00:02.000]
    [ 00:00:03.000 -->  00:00:04.000]
    """

    def __init__(
        self,
        clips: Iterable[AnyClip],
        *,
        classes: Iterable[str],
        sample_rate: int,
        sequences: Mapping[str, float] = FOUR_SEQUENCES,
        pause: tuple[float, float] = (0.0, 0.0),
        crossfade: float = 0.0,
    ) -> None:
        if not sum(sequences.values()) > 0:
            raise ValueError(f"no sequence has a probability above zero: {dict(sequences)}")
        for sequence, probability in sequences.items():
            if not sequence or set(sequence) - {"N", "E"} or not 0.0 <= probability < math.inf:
                raise ValueError(f"{sequence!r}: {probability} is no sequence of N and E")
        if not 0.0 <= pause[0] <= pause[1] <= 3600.0:
            raise ValueError(
                f"pauses cannot last {pause[0]} to {pause[1]} s; give two times up to an "
                "hour, the shorter one first"
            )
        if not 0.0 <= crossfade < math.inf:
            raise ValueError(f"a cross-fade cannot last {crossfade} s; give 0 or more")
        self.sample_rate, self.pause, self.crossfade = sample_rate, pause, crossfade
        self.sequences = list(sequences)
        weights = np.array(list(sequences.values()), dtype=float)
        self.probabilities = weights / weights.sum()
        by_speaker: dict[tuple[str, str], dict[str, list[AnyClip]]] = defaultdict(
            lambda: defaultdict(list)
        )
        classes = set(classes)
        for clip in clips:
            if clip.utterance.emotion in classes:
                speaker = (clip.utterance.corpus, clip.utterance.speaker)
                by_speaker[speaker][clip.utterance.emotion].append(clip)
        # Only speakers with neutral and emotional clips can be in every usual sequence.
        needed = set("".join(name for name, weight in sequences.items() if weight > 0))
        self._by_speaker = {
            speaker: emotions
            for speaker, emotions in by_speaker.items()
            if needed <= {"N" if emotion == NEUTRAL else "E" for emotion in emotions}
        }
        if not self._by_speaker:
            words = {"N": "neutral", "E": "emotional"}
            what = " and ".join(words[kind] for kind in "NE" if kind in needed)
            both = "both " if len(needed) > 1 else ""
            raise ValueError(
                f"no speaker has {both}{what} utterances among those of "
                f"{', '.join(sorted(classes))}"
            )
        self.corpora = sorted({corpus for corpus, _ in self._by_speaker})

    def draw(self, rng: np.random.Generator, corpus: str | None = None) -> SimulatedRecording:
        """One recording.

        Parameters
        ----------
        rng : np.random.Generator
        corpus : str, optional
            Where the clips come from; drawn by default.
        """
        speaker, sequence, drawn = self._drawn(rng, corpus)
        samples, spans = join(
            [clip.samples for _, clip in drawn],
            pauses=self._pauses(rng, len(drawn) - 1),
            fade=round(self.crossfade * self.sample_rate),
        )
        annotation = Annotation()
        for track, ((emotion, _), (start, end)) in enumerate(zip(drawn, spans, strict=True)):
            if emotion != NEUTRAL:
                segment = Segment(start / self.sample_rate, end / self.sample_rate)
                annotation[segment, track] = emotion
        return SimulatedRecording(
            samples=samples,
            sample_rate=self.sample_rate,
            annotation=annotation,
            corpus=speaker[0],
            speaker=speaker[1],
            sequence=sequence,
            clips=tuple(clip.utterance.uri for _, clip in drawn),
        )

    def speech_samples(self, rng: np.random.Generator) -> int:
        """Samples of speech of the recording that `draw` would give, which is not made."""
        return sum(clip.num_samples for _, clip in self._drawn(rng)[2])

    def _drawn(
        self, rng: np.random.Generator, corpus: str | None = None
    ) -> tuple[tuple[str, str], str, list[tuple[str, AnyClip]]]:
        """Corpus and speaker, the sequence, and its emotions with a clip for each."""
        corpus = corpus or self.corpora[rng.integers(len(self.corpora))]
        if corpus not in self.corpora:
            raise ValueError(f"no clips of {corpus!r}; there are some of {', '.join(self.corpora)}")
        speakers = [speaker for speaker in self._by_speaker if speaker[0] == corpus]
        speaker = speakers[rng.integers(len(speakers))]
        emotions = self._by_speaker[speaker]
        emotional = sorted(set(emotions) - {NEUTRAL})
        sequence = self.sequences[rng.choice(len(self.sequences), p=self.probabilities)]
        drawn = []
        for kind in sequence:
            emotion = NEUTRAL if kind == "N" else emotional[rng.integers(len(emotional))]
            drawn.append((emotion, self._clip(rng, speaker, emotion)))
        return speaker, sequence, drawn

    def _clip(self, rng: np.random.Generator, speaker: tuple[str, str], emotion: str) -> AnyClip:
        """A clip; one without speech makes way for another.

        Raises
        ------
        ValueError
            If all are without.
        """
        candidates = self._by_speaker[speaker][emotion]
        while candidates:
            index = int(rng.integers(len(candidates)))
            if candidates[index].num_samples:
                return candidates[index]
            candidates = [*candidates[:index], *candidates[index + 1 :]]
        raise ValueError(
            f"no speech is found in any {emotion} utterance of speaker {speaker[1]} of "
            f"{speaker[0]}; leave the speaker out"
        )

    def _pauses(self, rng: np.random.Generator, num_pauses: int) -> list[int]:
        """Samples of silence between clips; nothing is drawn where there shall be none."""
        if self.pause == (0.0, 0.0):
            return []
        return [round(rng.uniform(*self.pause) * self.sample_rate) for _ in range(num_pauses)]

    def numbered(self, index: int, seed: int) -> SimulatedRecording:
        """Recording of a fixed endless set, which takes the corpora in turn.

        Parameters
        ----------
        index, seed : int
            The same two and the same clips give the same recording.
        """
        rng = np.random.default_rng((seed, index))
        recording = self.draw(rng, self.corpora[index % len(self.corpora)])
        recording.annotation.uri = f"{recording.corpus}-{recording.speaker}-{index:04d}"
        return recording

    def draw_set(self, num_recordings: int, seed: int) -> list[SimulatedRecording]:
        """First recordings of the set of a seed, see `numbered`."""
        return [self.numbered(index, seed) for index in range(num_recordings)]
