"""What must hold for any recording: brute-force counting, and the laws of the error rate."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment
from scoring_cases import (
    CELLS_PER_SECOND,
    Event,
    annotation,
    collars,
    count,
    disjoint_events,
    durations,
    emotions_at,
    events,
    regions,
    scored_cells,
    timeline,
)

from sed.scoring import EmotionErrors, Pair, confusion, cut, detections, eder, eder_of_many
from sed.scoring.tracks import MAX_EMOTIONS

law = settings(deadline=None)  # a busy machine must not fail a test


@settings(max_examples=300, deadline=None)
@given(events, events, st.none() | durations, st.none() | regions, collars)
def test_errors_equal_brute_force_counting(reference, hypothesis, duration, uem, collar):
    """Overlaps on both sides, UEM, duration, both, neither, and collars."""
    found = eder(
        annotation(reference),
        annotation(hypothesis),
        uem=None if uem is None else timeline(uem),
        duration=None if duration is None else duration / CELLS_PER_SECOND,
        collar=collar / CELLS_PER_SECOND,
    )
    cells = scored_cells(reference, hypothesis, duration=duration, regions=uem, collar=collar)
    assert asdict(found) == count(reference, hypothesis, cells)
    assert 0.0 <= found.eder <= 1.0
    assert found.errors + found.correct == found.total


@law
@given(events, durations, collars)
def test_an_annotation_against_itself_has_no_errors(said, duration, collar):
    seconds = duration / CELLS_PER_SECOND
    same = eder(annotation(said), annotation(said), duration=seconds, collar=collar / 10)
    assert same.eder == 0.0
    assert same.correct == same.total


@law
@given(events, events, durations, collars, st.lists(st.integers(0, 70), max_size=4))
def test_errors_add_up_over_cuts_of_the_uem(reference, hypothesis, duration, collar, cuts):
    """A region cut in two scores as the whole did, whatever a collar does at the cut."""
    said, heard = annotation(reference), annotation(hypothesis)
    edges = sorted({0, duration, *(c for c in cuts if c < duration)})
    whole = eder(said, heard, uem=timeline([(0, duration)]), collar=collar / 10)
    parts = [
        eder(said, heard, uem=timeline([(a, b - a)]), collar=collar / 10)
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    assert sum(parts, EmotionErrors.zero()) == whole


@law
@given(disjoint_events(), disjoint_events(), durations)
def test_swapping_sides_swaps_false_alarm_and_missed_emotion(reference, hypothesis, duration):
    seconds = duration / CELLS_PER_SECOND
    one = eder(annotation(reference), annotation(hypothesis), duration=seconds)
    other = eder(annotation(hypothesis), annotation(reference), duration=seconds)
    assert (one.false_alarm, one.missed_emotion) == (other.missed_emotion, other.false_alarm)
    assert (one.confusion, one.correct, one.eder) == (other.confusion, other.correct, other.eder)
    assert one.overlap == other.overlap == 0


@law
@given(st.lists(st.tuples(events, events, durations), min_size=1, max_size=6), st.randoms())
def test_recordings_together_score_as_each_alone_in_any_order(files, random):
    """Nothing leaks from one recording into another, and sums do not depend on the order."""
    pairs = [
        Pair(annotation(r, uri=str(i)), annotation(h), duration=d / CELLS_PER_SECOND)
        for i, (r, h, d) in enumerate(files)
    ]
    alone = [eder(pair.reference, pair.hypothesis, duration=pair.duration) for pair in pairs]
    assert eder_of_many(pairs) == alone
    shuffled = random.sample(pairs, len(pairs))
    assert sum(eder_of_many(shuffled), EmotionErrors.zero()) == sum(alone, EmotionErrors.zero())


@st.composite
def split(draw: st.DrawFn, whole: list[Event]) -> list[Event]:
    """The same events in other pieces, in another order; pieces may overlap."""
    pieces: list[Event] = []
    for first, length, emotion in whole:
        at = draw(st.integers(0, length))
        back = draw(st.integers(0, at))
        pieces += [(first, at, emotion)] if at else []
        pieces += [(first + at - back, length - at + back, emotion)] if length > at - back else []
    return draw(st.permutations(pieces))


@law
@given(st.data(), events, events, durations, collars)
def test_splitting_segments_and_renaming_uris_changes_nothing(
    data, reference, hypothesis, duration, collar
):
    options = {"duration": duration / CELLS_PER_SECOND, "collar": collar / CELLS_PER_SECOND}
    whole = eder(annotation(reference), annotation(hypothesis), **options)
    pieces = data.draw(split(reference)), data.draw(split(hypothesis))
    assert eder(annotation(pieces[0], "x"), annotation(pieces[1], "y"), **options) == whole


@law
@given(events, events, st.none() | durations, collars)
def test_a_gap_scores_like_written_out_neutral(reference, hypothesis, duration, collar):
    options = {
        "duration": None if duration is None else duration / CELLS_PER_SECOND,
        "collar": collar / CELLS_PER_SECOND,
    }
    whole = eder(annotation(reference), annotation(hypothesis), **options)
    neutral = (-5, 90, "neutral")
    assert eder(annotation([*reference, neutral]), annotation(hypothesis), **options) == whole
    assert eder(annotation(reference), annotation([*hypothesis, neutral]), **options) == whole


@law
@given(events, events, durations, collars)
def test_confusion_matrix_sums_to_the_scored_time(reference, hypothesis, duration, collar):
    pair = Pair(annotation(reference), annotation(hypothesis), duration=duration / 10)
    atoms = cut([pair], collar=collar / 10)
    [errors] = atoms.errors()
    matrix = confusion(atoms)
    assert matrix.ticks.sum() == errors.total
    assert np.trace(matrix.ticks) == errors.correct
    assert matrix.ticks[0, 1:].sum() == errors.false_alarm


@law
@given(events, events, durations)
def test_detection_of_each_emotion_equals_counting_cells(reference, hypothesis, duration):
    pair = Pair(annotation(reference), annotation(hypothesis), duration=duration / 10)
    for found in detections(cut([pair])):
        said = [emotions_at(reference, cell) for cell in range(duration)]
        heard = [emotions_at(hypothesis, cell) for cell in range(duration)]

        def holds(cell, emotion=found.emotion):
            return not cell if emotion == "neutral" else emotion in cell

        both = [(holds(r), holds(h)) for r, h in zip(said, heard, strict=True)]
        assert found.hit == both.count((True, True)) * 100_000
        assert found.false == both.count((False, True)) * 100_000
        assert found.missed == both.count((True, False)) * 100_000


def test_more_recordings_than_one_batch_keep_their_order():
    """Batches are a matter of speed: the 600th recording is still the 600th."""
    pairs = [
        Pair(annotation([(i % 7, 5, "happy" if i % 2 else "sad")]), annotation([(3, 4, "sad")]))
        for i in range(1200)
    ]
    assert eder_of_many(pairs) == [eder(pair.reference, pair.hypothesis) for pair in pairs]


def many_emotions(number: int) -> tuple[Annotation, dict[str, str]]:
    names = [f"emotion {i}" for i in range(number)]
    made = Annotation()
    for i, name in enumerate(names):
        made[Segment(0, 1 + i), name] = name
    return made, {name: name for name in names}


def test_as_many_emotions_as_fit_are_told_apart():
    """The highest bit is no sign: all emotions at once still equal themselves only."""
    said, names = many_emotions(MAX_EMOTIONS)
    assert eder(said, said, labels=names).eder == 0.0
    fewer = said.subset(list(names)[:-1])
    found = eder(said, fewer, labels=names)
    assert found.missed_emotion == found.total == MAX_EMOTIONS * 1_000_000


def test_one_emotion_too_many_is_an_error():
    said, names = many_emotions(MAX_EMOTIONS + 1)
    with pytest.raises(ValueError, match="at most 62 are scored together"):
        eder(said, said, labels=names)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 2e9])
def test_times_that_are_no_times_name_the_recording(seconds):
    good = annotation([(0, 10, "happy")], uri="call")
    bad = Annotation(uri="call")
    bad[Segment(0.0, 1.0)] = "happy"
    bad._tracks[Segment(2.0, seconds)] = {0: "sad"}  # pyannote itself refuses NaN and takes inf
    with pytest.raises(ValueError, match="recording 'call'"):
        eder(good, bad, duration=5.0)
    with pytest.raises(ValueError, match="recording 'call'"):
        eder(good, good, duration=seconds)
    with pytest.raises(ValueError, match="collar"):
        eder(good, good, duration=5.0, collar=seconds)


def test_unknown_and_nameless_labels_say_where_they_stand():
    good, bad = annotation([(0, 10, "happy")]), annotation([(0, 10, "hangry")])
    with pytest.raises(ValueError, match="hypothesis of recording 'recording': unknown emotion"):
        eder(good, bad)
    with pytest.raises(ValueError, match="reference of recording 'recording': unknown emotion"):
        eder(bad, good)
    number = Annotation(uri="call")
    number[Segment(0, 1)] = 3
    with pytest.raises(ValueError, match="label 3 is not the name of an emotion"):
        eder(good, number)


def test_letters_and_synonyms_are_the_emotions_they_mean():
    said, heard = annotation([(0, 10, "h"), (20, 5, "Sadness")]), annotation([(0, 10, "joy")])
    assert eder(said, heard, duration=3.0).missed_emotion == 500_000
    assert eder(said, annotation([(0, 10, "freude")]), labels={"freude": "happy"}).confusion == 0


def test_nothing_to_score_is_no_error():
    """Empty sides without a duration, a duration of zero, and a collar that hides everything."""
    nothing = Annotation()
    assert eder(nothing, nothing) == EmotionErrors.zero()
    assert eder(annotation([(0, 9, "sad")]), nothing, duration=0.0) == EmotionErrors.zero()
    assert eder(annotation([(0, 9, "sad")]), nothing, duration=0.9, collar=1.0).total == 0
    assert eder_of_many([]) == []
