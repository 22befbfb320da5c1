"""Recordings with known emotion boundaries, simulated from utterances that carry one emotion.

After Wang et al. (2023), section 5.1: utterances lose their silences, are brought to equal
loudness, and those of one speaker are joined in sequences such as neutral-emotion-neutral.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment

from sed.audio import Recording
from sed.corpora.utterance import Utterance
from sed.decoding import Binarize
from sed.labels import NEUTRAL
from sed.vad import VAD

FOUR_SEQUENCES: Mapping[str, float] = {"E": 0.25, "NE": 0.25, "EN": 0.25, "NEN": 0.25}
"""The paper's figure 5 with its probabilities: N is a neutral utterance, E an emotional one."""

LOUDNESS = 0.05
"""Root mean square that every clip is brought to: -26 dB below full scale."""


@dataclass(frozen=True)
class Clip:
    """Speech of an utterance, silences removed.

    Parameters
    ----------
    utterance : Utterance
    samples : (num_samples,) np.ndarray of float32
    """

    utterance: Utterance
    samples: np.ndarray


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
    """

    samples: np.ndarray
    sample_rate: int
    annotation: Annotation
    corpus: str
    speaker: str
    sequence: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


def load_clips(
    utterances: Iterable[Utterance],
    *,
    vad: VAD,
    binarize: Binarize,
    sample_rate: int,
) -> list[Clip]:
    r"""Speech of utterances at equal loudness.

    ::

        utterance   ____/^^^\__/^^\_______/^^^^\____      _ silence
        clip            |========||=============|          no silence longer than what the
                                                           binarization fills (0.2 s)

    Parameters
    ----------
    utterances : iterable of Utterance
    vad : VAD
    binarize : Binarize
        Its `min_duration_off` is the longest silence that stays.
    sample_rate : int

    Returns
    -------
    list of Clip
        An utterance in which no speech is found gives none.
    """
    clips = []
    for utterance in utterances:
        recording = Recording.open(utterance.path)
        samples = recording.samples(sample_rate)
        speech = binarize(vad(recording), recording.duration)
        pieces = [
            samples[round(segment.start * sample_rate) : round(segment.end * sample_rate)]
            for segment in speech
        ]
        if not pieces:
            continue
        joined = np.concatenate(pieces)
        level = float(np.sqrt(np.mean(np.square(joined, dtype=np.float64))))
        clips.append(Clip(utterance, (joined * (LOUDNESS / max(level, 1e-6))).astype(np.float32)))
    return clips


class Simulation:
    """Draws recordings: a corpus, an emotion, a clip, a sequence, each at even odds.

    Parameters
    ----------
    clips : iterable of Clip
    classes : sequence of str
        Emotions that may appear; clips of others are ignored.
    sample_rate : int
    sequences : mapping of str to float
        Sequences of N (neutral) and E (emotional) with their probabilities.

    Raises
    ------
    ValueError
        If a sequence is malformed, or no speaker has what the sequences need.
    """

    def __init__(
        self,
        clips: Iterable[Clip],
        *,
        classes: Iterable[str],
        sample_rate: int,
        sequences: Mapping[str, float] = FOUR_SEQUENCES,
    ) -> None:
        if not sum(sequences.values()) > 0:
            raise ValueError(f"no sequence has a probability above zero: {dict(sequences)}")
        for sequence, probability in sequences.items():
            if not sequence or set(sequence) - {"N", "E"} or probability < 0:
                raise ValueError(f"{sequence!r}: {probability} is no sequence of N and E")
        self.sample_rate = sample_rate
        self.sequences = list(sequences)
        weights = np.array(list(sequences.values()), dtype=float)
        self.probabilities = weights / weights.sum()
        by_speaker: dict[tuple[str, str], dict[str, list[Clip]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for clip in clips:
            if clip.utterance.emotion in set(classes):
                speaker = (clip.utterance.corpus, clip.utterance.speaker)
                by_speaker[speaker][clip.utterance.emotion].append(clip)
        # Only speakers with neutral and emotional clips can be in every sequence.
        self._by_speaker = {
            speaker: emotions
            for speaker, emotions in by_speaker.items()
            if NEUTRAL in emotions and len(emotions) > 1
        }
        if not self._by_speaker:
            raise ValueError("no speaker has both neutral and emotional utterances")
        self.corpora = sorted({corpus for corpus, _ in self._by_speaker})

    def draw(self, rng: np.random.Generator, corpus: str | None = None) -> SimulatedRecording:
        """One recording.

        Parameters
        ----------
        rng : np.random.Generator
        corpus : str, optional
            Where the clips come from; drawn by default.
        """
        corpus = corpus or self.corpora[rng.integers(len(self.corpora))]
        if corpus not in self.corpora:
            raise ValueError(f"no clips of {corpus!r}; there are some of {', '.join(self.corpora)}")
        speakers = [speaker for speaker in self._by_speaker if speaker[0] == corpus]
        speaker = speakers[rng.integers(len(speakers))]
        emotions = self._by_speaker[speaker]
        emotional = sorted(set(emotions) - {NEUTRAL})
        sequence = self.sequences[rng.choice(len(self.sequences), p=self.probabilities)]
        annotation = Annotation()
        pieces: list[np.ndarray] = []
        start = 0
        for track, kind in enumerate(sequence):
            emotion = NEUTRAL if kind == "N" else emotional[rng.integers(len(emotional))]
            candidates = emotions[emotion]
            piece = candidates[rng.integers(len(candidates))].samples
            pieces.append(piece)
            end = start + len(piece)
            if emotion != NEUTRAL:
                segment = Segment(start / self.sample_rate, end / self.sample_rate)
                annotation[segment, track] = emotion
            start = end
        return SimulatedRecording(
            samples=np.concatenate(pieces),
            sample_rate=self.sample_rate,
            annotation=annotation,
            corpus=corpus,
            speaker=speaker[1],
            sequence=sequence,
        )

    def draw_set(self, num_recordings: int, seed: int) -> list[SimulatedRecording]:
        """Fixed set of recordings, the corpora in turn, named in order.

        Parameters
        ----------
        num_recordings : int
        seed : int
            The same seed and clips give the same set.
        """
        recordings = []
        for index in range(num_recordings):
            rng = np.random.default_rng((seed, index))
            recording = self.draw(rng, self.corpora[index % len(self.corpora)])
            recording.annotation.uri = f"{recording.corpus}-{recording.speaker}-{index:04d}"
            recordings.append(recording)
        return recordings
