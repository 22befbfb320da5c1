"""The oracles of the field agree where they should; where they do not, who is right and why."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment, Timeline

from sed.scoring import Pair, cut, eder
from sed.scoring.crosscheck import speechbrain_eder
from sed.scoring.stretches import stretches
from sed.scoring.tracks import EmotionCodes

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from oracles import IdentificationErrorRate, speechbrain_eder_module  # noqa: E402

speechbrain = speechbrain_eder_module()
speechbrain_function = speechbrain.EDER

NUM_CASES = 500
STRIDE = 0.02
WORDS = {"n": "neutral", "h": "happy", "s": "sad", "a": "angry"}


def of_frames(letters: list[str], stride: float = STRIDE) -> Annotation:
    """Frame-wise letters as an annotation, one segment for each run."""
    made = Annotation()
    start = 0
    for frame in range(1, len(letters) + 1):
        if frame == len(letters) or letters[frame] != letters[start]:
            made[Segment(start * stride, frame * stride)] = WORDS[letters[start]]
            start = frame
    return made


def random_frames(rng: np.random.Generator, num_frames: int) -> list[str]:
    """Letters in runs of random lengths."""
    letters: list[str] = []
    while len(letters) < num_frames:
        letters += [str(rng.choice(list(WORDS)))] * int(rng.integers(1, 60))
    return letters[:num_frames]


def random_annotation(rng: np.random.Generator, seconds: float) -> Annotation:
    """Up to eight segments that neither overlap nor touch."""
    times = np.unique(rng.integers(0, int(seconds * 1000), 2 * int(rng.integers(0, 9))))
    made = Annotation(uri="recording")
    for start, end in zip(times[::2], times[1::2], strict=False):
        made[Segment(start / 1000, end / 1000)] = str(rng.choice(["happy", "sad", "angry"]))
    return made


def one_emotion(letter: str, start: float, end: float) -> Annotation:
    made = Annotation()
    made[Segment(start, end)] = letter
    return made


def test_speechbrain_agrees_on_single_emotion_files(rng):
    """Its function on frames, ours on segments, and our rendering of its formula."""
    for _ in range(NUM_CASES):
        num_frames = int(rng.integers(10, 400))
        duration = num_frames * STRIDE
        start, end = np.sort(rng.choice(int(duration * 1000), 2, replace=False)) / 1000
        letter = str(rng.choice(["h", "s", "a"]))
        letters = random_frames(rng, num_frames)
        emotion = [{"emo": letter, "start": start, "end": end}]
        theirs = speechbrain_function(letters, "x", duration, emotion, STRIDE, STRIDE)
        said, heard = one_emotion(letter, start, end), of_frames(letters)
        assert eder(said, heard, duration=duration).eder == pytest.approx(theirs, abs=1e-9)
        formula = speechbrain_eder(said, heard, duration=duration, codes=EmotionCodes())
        assert formula == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("collar", [0.0, 0.25])
def test_identification_error_rate_agrees_where_nothing_overlaps(rng, collar):
    """Part by part and in seconds: the two divide by different times.

    pyannote's collar is both sides together, so it is given twice ours.
    """
    theirs = IdentificationErrorRate(collar=2 * collar)
    for _ in range(NUM_CASES if not collar else NUM_CASES // 5):
        seconds = float(rng.integers(2, 20))
        said, heard = random_annotation(rng, seconds), random_annotation(rng, seconds)
        uem = Timeline([Segment(0, seconds)])
        parts = theirs(said, heard, uem=uem, detailed=True)
        ours = eder(said, heard, uem=uem, collar=collar)
        assert ours.false_alarm / 1e6 == pytest.approx(parts["false alarm"], abs=1e-9)
        assert ours.missed_emotion / 1e6 == pytest.approx(parts["missed detection"], abs=1e-9)
        assert ours.confusion / 1e6 == pytest.approx(parts["confusion"], abs=1e-9)
        assert ours.overlap == 0


def test_first_letters_are_not_emotions():
    """SpeechBrain takes sad for surprised; different words are different emotions."""
    letters = ["s"] * 100  # a system that says sad
    emotion = [{"emo": "surprised", "start": 0.0, "end": 2.0}]
    assert speechbrain_function(letters, "x", 2.0, emotion, STRIDE, STRIDE) == pytest.approx(0.0)
    ours = eder(one_emotion("surprised", 0, 2), of_frames(letters), duration=2.0)
    assert ours.confusion == ours.total


def test_two_emotions_in_a_file_are_scored():
    """SpeechBrain stops at an assertion; the paper's equation does not ask for one emotion."""
    letters = ["h"] * 50 + ["s"] * 50
    emotion = [
        {"emo": "happy", "start": 0.0, "end": 1.0},
        {"emo": "sad", "start": 1.0, "end": 2.0},
    ]
    with pytest.raises(AssertionError):
        speechbrain_function(letters, "x", 2.0, emotion, STRIDE, STRIDE)
    said = one_emotion("happy", 0, 1)
    said[Segment(1, 2)] = "sad"
    assert eder(said, of_frames(letters), duration=2.0).eder == 0.0


def test_no_rate_is_negative():
    """SpeechBrain counts agreement past the end; both sides end where the recording does."""
    letters = ["h"] * 100
    emotion = [{"emo": "happy", "start": 0.0, "end": 2.0}]
    assert speechbrain_function(letters, "x", 1.0, emotion, STRIDE, STRIDE) == pytest.approx(-1.0)
    assert eder(one_emotion("happy", 0, 2), of_frames(letters), duration=1.0).eder == 0.0


def test_a_constant_label_is_one_segment():
    """Floats break SpeechBrain's 30 s of one label into hundreds of segments; ticks do not."""
    frames = [["x", i * STRIDE, i * STRIDE + STRIDE, "h"] for i in range(1500)]
    assert len(speechbrain.merge_ssegs_same_emotion_adjacent(frames)) > 100
    made = Annotation()
    for _, start, end, _ in frames:
        made[Segment(start, end)] = "happy"
    runs = stretches(cut([Pair(Annotation(), made, duration=30.0)]), "hypothesis")
    assert runs.onset.tolist() == [0]


def test_an_extra_label_over_a_right_one_is_overlap():
    """IER calls it a false alarm; the paper's figure 4 names it overlap. The time is the same."""
    said, heard = one_emotion("happy", 0, 2), one_emotion("happy", 0, 2)
    heard[Segment(0, 1)] = "sad"
    theirs = IdentificationErrorRate()(said, heard, uem=Timeline([Segment(0, 2)]), detailed=True)
    ours = eder(said, heard, duration=2.0)
    assert (theirs["false alarm"], theirs["missed detection"]) == (1.0, 0.0)
    assert (ours.overlap, ours.false_alarm) == (1_000_000, 0)


def test_no_moment_is_wrong_twice():
    """IER counts labels and passes 100 %; EDER counts time, and there is only so much of it."""
    said, heard = one_emotion("happy", 0, 1), Annotation()
    for emotion in ("sad", "angry", "bored"):
        heard[Segment(0, 2), emotion] = emotion
    theirs = IdentificationErrorRate()(said, heard, uem=Timeline([Segment(0, 2)]))
    assert theirs == pytest.approx(6.0)
    assert eder(said, heard, duration=2.0).eder == 1.0


def test_the_rate_is_over_the_recording_not_over_its_emotions():
    """IER divides by the emotional time and EDER, by equation 1, by the utterance's duration."""
    said, heard = one_emotion("happy", 0, 1), one_emotion("happy", 0, 3)
    theirs = IdentificationErrorRate()(said, heard, uem=Timeline([Segment(0, 4)]))
    assert theirs == pytest.approx(2.0)
    assert eder(said, heard, duration=4.0).eder == 0.5


def test_a_collar_does_not_stand_where_nothing_changes():
    """pyannote puts one around every segment, so cutting a reference in two hides errors."""
    whole, pieces = one_emotion("happy", 0, 4), one_emotion("happy", 0, 2)
    pieces[Segment(2, 4)] = "happy"
    uem = Timeline([Segment(0, 4)])
    metric = IdentificationErrorRate(collar=1.0)
    missed = [metric(said, Annotation(), uem=uem, detailed=True) for said in (whole, pieces)]
    assert [found["missed detection"] for found in missed] == [3.0, 2.0]
    ours = [eder(said, Annotation(), uem=uem, collar=0.5) for said in (whole, pieces)]
    assert ours[0] == ours[1]
    assert ours[0].missed_emotion == 3_000_000
