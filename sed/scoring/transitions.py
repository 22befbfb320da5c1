"""Emotion transitions: how many recordings were decoded into exactly the reference's sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sed.scoring.atoms import Atoms
from sed.scoring.stretches import stretches


@dataclass(frozen=True)
class Transition:
    """``accuracy = correct / total`` of the recordings with one reference sequence.

    Parameters
    ----------
    sequence : str
        Such as ``neutral-happy-neutral``.
    total : int
        Recordings whose reference has this sequence.
    correct : int
        Those whose hypothesis has it too.
    """

    sequence: str
    total: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Share of the recordings that were decoded right."""
        return self.correct / self.total


def transitions(atoms: Atoms) -> list[Transition]:
    """Accuracy for each sequence of the references, the most frequent first.

    Times play no part, only the order. Stretches under 10 ms are left out on both sides.

    References
    ----------
    Wang et al. 2023, Speech Emotion Diarization, section 5.3 and table 3.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> transitions(cut([Pair(reference, hypothesis, duration=5.0)]))
    [Transition(sequence='neutral-happy-neutral', total=1, correct=1)]
    """
    said, heard = sequences(atoms, "reference"), sequences(atoms, "hypothesis")
    counts: dict[str, list[int]] = {}
    for recording, sequence in said.items():
        count = counts.setdefault(sequence, [0, 0])
        count[0] += 1
        count[1] += heard.get(recording) == sequence
    order = sorted(counts, key=lambda sequence: (-counts[sequence][0], sequence))
    return [Transition(sequence, *counts[sequence]) for sequence in order]


def sequences(atoms: Atoms, side: Literal["reference", "hypothesis"]) -> dict[int, str]:
    """Sequence of emotions of each recording with scored time, by the recording's index."""
    runs = stretches(atoms, side)
    steps: dict[int, list[int]] = {}
    for recording, emotions in zip(runs.recording.tolist(), runs.emotions.tolist(), strict=True):
        sequence = steps.setdefault(recording, [])
        if not sequence or sequence[-1] != emotions:  # two scored regions may meet in one emotion
            sequence.append(emotions)
    return {
        recording: "-".join(atoms.name(emotions) for emotions in sequence)
        for recording, sequence in steps.items()
    }
