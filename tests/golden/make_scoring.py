"""Golden scores: recordings written down by hand, scored with tools that are not ours.

Run it to make ``scoring.json`` anew::

    python tests/golden/make_scoring.py

The recordings are laid on frames of a millisecond. scikit-learn gives the confusion matrix,
precision, recall, F1, WAR and UAR of the frames; SpeechBrain's function the rate of each
recording with one emotion; pyannote.metrics the false alarm, missed detection and confusion of
each recording without overlap. What no tool counts, the parts where emotions overlap, is written
down by hand in `BY_HAND`.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
from pyannote.core import Annotation, Segment, Timeline
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

sys.path.insert(0, str(Path(__file__).parent))

from oracles import IdentificationErrorRate, speechbrain_eder_module  # noqa: E402

OUTPUT = Path(__file__).with_name("scoring.json")
EMOTIONS = ("angry", "happy", "sad")

# uri: duration, reference, hypothesis; onset, offset, emotion
RECORDINGS = {
    "entire": (5.0, [(0.0, 5.0, "happy")], [(0.0, 4.2, "happy")]),
    "beginning": (6.5, [(0.0, 3.125, "sad")], [(0.0, 2.5, "sad"), (2.5, 3.0, "angry")]),
    "middle": (8.0, [(2.25, 6.0, "angry")], [(1.75, 4.0, "angry"), (4.0, 6.25, "happy")]),
    "end": (4.321, [(1.0, 4.321, "happy")], [(1.5, 4.321, "happy")]),
    "missed": (3.0, [(1.0, 2.0, "sad")], []),
    "nothing": (2.5, [], [(0.5, 1.0, "angry")]),
    "silent": (2.0, [], []),
    "several": (
        12.0,
        [(1.0, 3.0, "happy"), (3.0, 5.0, "sad"), (8.0, 11.5, "angry")],
        [(0.5, 3.5, "happy"), (3.5, 6.0, "sad"), (8.0, 9.5, "sad"), (9.5, 11.0, "angry")],
    ),
    "overlap": (
        10.0,
        [(1.0, 7.0, "happy"), (5.0, 9.0, "sad")],
        [(2.0, 6.0, "happy"), (3.0, 4.0, "angry"), (6.0, 8.0, "sad"), (8.0, 10.0, "angry")],
    ),
}

# false alarm, missed emotion, confusion, overlap in seconds, and how they come about:
#   1-2 happy unheard, missed; 2-3 right; 3-4 happy with angry, overlap; 4-5 right;
#   5-7 happy and sad, of which one is heard, missed; 7-8 right; 8-9 sad taken for angry, confusion;
#   9-10 angry in neutral, false alarm
BY_HAND = {"overlap": (1.0, 3.0, 1.0, 1.0)}


def annotation(events: list[tuple[float, float, str]]) -> Annotation:
    made = Annotation()
    for onset, offset, emotion in events:
        made[Segment(onset, offset), emotion] = emotion
    return made


def frames(duration: float, events: list[tuple[float, float, str]]) -> np.ndarray:
    """(num_milliseconds, num_emotions) np.ndarray of 0 and 1."""
    made = np.zeros((round(duration * 1000), len(EMOTIONS)), dtype=int)
    for onset, offset, emotion in events:
        made[round(onset * 1000) : round(offset * 1000), EMOTIONS.index(emotion)] = 1
    return made


def words(frames: np.ndarray) -> list[str]:
    """Emotions of each frame in one word."""
    return [
        "+".join(e for e, held in zip(EMOTIONS, row, strict=True) if held) or "neutral"
        for row in frames
    ]


def longest(words: list[str]) -> str:
    """Label of most frames; the recordings have no ties, and no overlap in the longest."""
    values, counts = np.unique(words, return_counts=True)
    return str(values[counts.argmax()])


def parts(duration: float, reference: list, hypothesis: list) -> tuple[float, ...]:
    """False alarm, missed emotion, confusion and overlap in seconds by pyannote.metrics."""
    found = IdentificationErrorRate()(
        annotation(reference),
        annotation(hypothesis),
        uem=Timeline([Segment(0, duration)]),
        detailed=True,
    )
    return (found["false alarm"], found["missed detection"], found["confusion"], 0.0)


def speechbrain_rate(duration: float, reference: list, hypothesis: list) -> float | None:
    """Rate by SpeechBrain's function over millisecond frames, None where it does not apply."""
    if len(reference) != 1:
        return None
    letters = [word[0] for word in words(frames(duration, hypothesis))]
    onset, offset, emotion = reference[0]
    event = [{"emo": emotion, "start": onset, "end": offset}]
    return float(speechbrain_eder_module().EDER(letters, "x", duration, event, 0.001, 0.001))


def make() -> dict:
    """Content of the golden file."""
    recordings = {}
    said_frames, heard_frames = [], []
    for uri, (duration, reference, hypothesis) in RECORDINGS.items():
        said_frames.append(frames(duration, reference))
        heard_frames.append(frames(duration, hypothesis))
        found = BY_HAND.get(uri) or parts(duration, reference, hypothesis)
        recordings[uri] = {
            "duration": duration,
            "reference": reference,
            "hypothesis": hypothesis,
            "parts": [round(part, 9) for part in found],
            "eder": round(sum(found) / duration, 12),
            "speechbrain": speechbrain_rate(duration, reference, hypothesis),
        }
    said, heard = np.concatenate(said_frames), np.concatenate(heard_frames)
    said_words, heard_words = words(said), words(heard)
    labels = sorted({*said_words, *heard_words}, key=lambda w: (w != "neutral", w.count("+"), w))
    precision, recall, f1, _ = precision_recall_fscore_support(said, heard, zero_division=np.nan)
    said_labels = [longest(words(one)) for one in said_frames]
    heard_labels = [longest(words(one)) for one in heard_frames]
    rates = [recording["eder"] for recording in recordings.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that only the hypotheses have
        uar = balanced_accuracy_score(said_labels, heard_labels)
    return {
        "made_with": {"scikit-learn": sklearn.__version__},
        "recordings": recordings,
        "macro": float(np.mean(rates)),
        "pooled": sum(sum(r["parts"]) for r in recordings.values())
        / sum(r["duration"] for r in recordings.values()),
        "confusion": {
            "labels": labels,
            "milliseconds": confusion_matrix(said_words, heard_words, labels=labels).tolist(),
        },
        "emotions": {
            emotion: [float(precision[i]), float(recall[i]), float(f1[i])]
            for i, emotion in enumerate(EMOTIONS)
        },
        "war": float(accuracy_score(said_labels, heard_labels)),
        "uar": float(uar),
    }


if __name__ == "__main__":
    OUTPUT.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
