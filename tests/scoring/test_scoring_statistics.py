"""Transitions, boundaries, utterance labels, baselines, bootstrap: each against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline
from scoring_cases import annotation, disjoint_events, events

from sed.formats import AnnotatedRecording
from sed.scoring import (
    Pair,
    bootstrap,
    boundaries,
    cut,
    paired_bootstrap,
    score,
    transitions,
    uar,
    war,
)
from sed.scoring.baselines import baselines
from sed.scoring.bootstrap import _draws
from sed.scoring.boundaries import _matches
from sed.scoring.headline import Headline
from sed.scoring.transitions import sequences
from sed.scoring.utterance import utterance_labels

law = settings(deadline=None)


def atoms_of(*files, duration=5.0, uem=None):
    """Atoms of files given as reference and hypothesis events."""
    return cut([Pair(annotation(r), annotation(h), duration=duration, uem=uem) for r, h in files])


# transitions


def test_transitions_compare_order_and_not_times():
    """Three files of one sequence, of which two are decoded into it."""
    happy = [(10, 20, "happy")]
    found = transitions(
        atoms_of((happy, [(5, 40, "happy")]), (happy, [(10, 20, "happy")]), (happy, [(0, 30, "h")]))
    )
    assert [(t.sequence, t.total, t.correct) for t in found] == [("neutral-happy-neutral", 3, 2)]


def test_crumbs_of_rounding_are_no_transition():
    """An RTTM's milliseconds leave 0.4 ms of neutral at the end, and 1 ms between segments."""
    said = Annotation()
    said[Segment(0, 4.0194)] = "happy"
    heard = Annotation()
    heard[Segment(0, 2)] = heard[Segment(2.001, 4.019)] = "happy"
    atoms = cut([Pair(said, heard, duration=4.0194)])
    assert sequences(atoms, "hypothesis") == sequences(atoms, "reference") == {0: "happy"}


def test_overlapping_emotions_are_a_step_of_their_own():
    atoms = atoms_of(([(0, 30, "sad"), (20, 30, "happy")], []))
    assert sequences(atoms, "reference") == {0: "sad-happy+sad-happy"}


def test_a_collar_hides_no_transition():
    pair = Pair(annotation([(10, 1, "happy")]), Annotation(), duration=5.0)
    assert sequences(cut([pair], collar=1.0), "reference") == {0: "neutral-happy-neutral"}


def test_two_scored_regions_do_not_repeat_an_emotion():
    uem = Timeline([Segment(0, 1), Segment(2, 3)])
    atoms = atoms_of(([(0, 30, "sad")], []), uem=uem)
    assert sequences(atoms, "reference") == {0: "sad"}
    assert boundaries(atoms).num_reference == 0


@law
@given(disjoint_events())
def test_sequences_equal_collapsing_cells(said):
    """The paper's way: fuse equal neighbours of frame-wise labels."""
    cells = ["neutral"] * 120
    for first, length, emotion in said:
        cells[first : first + length] = [emotion] * length
    fused = [c for i, c in enumerate(cells) if i == 0 or cells[i - 1] != c]
    assert sequences(atoms_of((said, []), duration=12.0), "reference") == {0: "-".join(fused)}


# boundaries


def test_boundaries_at_the_ends_of_the_recording_are_none():
    """A file that is happy throughout has nothing to find."""
    found = boundaries(atoms_of(([(0, 50, "happy")], [(0, 50, "sad")])))
    assert (found.num_reference, found.num_hypothesis) == (0, 0)
    assert math.isnan(found.f1) and math.isnan(found.deviation)


def test_a_boundary_is_used_once():
    """Two hypothesis boundaries near one of the reference are one hit and one false."""
    found = boundaries(atoms_of(([(20, 30, "happy")], [(19, 2, "happy")])))
    assert (found.num_reference, found.num_hypothesis, found.num_matched) == (1, 2, 1)
    assert (found.precision, found.recall) == (0.5, 1.0)
    assert found.deviation == pytest.approx(0.1)


def test_deviation_is_infinite_where_most_boundaries_have_no_partner():
    said = [(10, 20, "happy")]
    found = boundaries(atoms_of((said, []), (said, []), (said, said)))
    assert found.deviation == math.inf
    assert found.recall == pytest.approx(1 / 3)
    assert math.isnan(boundaries(atoms_of(([], said))).recall)


def test_the_tolerance_is_inclusive_and_checked():
    atoms = atoms_of(([(10, 40, "happy")], [(12, 38, "happy")]))
    assert boundaries(atoms, tolerance=0.2).f1 == 1.0
    assert boundaries(atoms, tolerance=0.19).f1 == 0.0
    with pytest.raises(ValueError, match="tolerance"):
        boundaries(atoms, tolerance=-0.1)


@law
@given(
    st.lists(st.integers(0, 30), unique=True, max_size=6),
    st.lists(st.integers(0, 30), unique=True, max_size=6),
    st.integers(0, 6),
)
def test_matching_is_the_largest_there_is(times, found, tolerance):
    def largest(left: list[int], right: list[int]) -> int:
        if not left:
            return 0
        first, rest = left[0], left[1:]
        skip = largest(rest, right)
        taken = [
            1 + largest(rest, [r for r in right if r != t])
            for t in right
            if abs(t - first) <= tolerance
        ]
        return max([skip, *taken])

    assert _matches(sorted(times), sorted(found), tolerance) == largest(times, found)


# utterance level


def test_the_utterance_is_what_lasts_longest():
    atoms = atoms_of(
        ([(0, 30, "happy")], [(0, 20, "happy")]),  # happy; then neutral wins
        ([(0, 20, "sad"), (20, 20, "angry")], []),  # a tie: the first by name, before neutral
        duration=4.0,
    )
    assert utterance_labels(atoms, "reference") == ["happy", "angry"]
    assert utterance_labels(atoms, "hypothesis") == ["happy", "neutral"]


def test_recordings_without_scored_time_have_no_label():
    nothing = score([Annotation(uri="a"), annotation([(0, 5, "sad")], "b")], [Annotation(uri="a")])
    assert utterance_labels(nothing.atoms, "reference") == [None, "sad"]
    assert (nothing.war, nothing.not_scored) == (0.0, ("a",))


def test_war_is_accuracy_and_uar_its_mean_over_classes():
    said, heard = ["h", "h", "h", "s"], ["h", "h", "a", "h"]
    assert war(said, heard) == 0.5
    assert uar(said, heard) == pytest.approx((2 / 3 + 0) / 2)
    for wrong in (([], []), (["h"], [])):
        with pytest.raises(ValueError):
            war(*wrong)
        with pytest.raises(ValueError):
            uar(*wrong)


# baselines


@law
@given(events)
def test_baselines_score_like_their_annotations(said):
    """Computed on the reference's atoms, they equal scoring a hypothesis that was written out."""
    atoms = atoms_of((said, [(3, 9, "sad")]))
    for baseline in baselines(atoms):
        heard = [] if baseline.emotion is None else [(0, 50, baseline.emotion)]
        assert baseline.atoms.errors() == atoms_of((said, heard)).errors()


def test_the_most_frequent_emotion_is_of_the_references_and_by_time():
    atoms = atoms_of(([(0, 10, "sad"), (20, 5, "happy"), (30, 4, "happy")], [(0, 50, "angry")]))
    assert [baseline.name for baseline in baselines(atoms)] == ["all neutral", "always sad"]
    assert [baseline.name for baseline in baselines(atoms_of(([], [])))] == ["all neutral"]


# bootstrap


def test_intervals_are_of_the_printed_numbers_and_seeded():
    said = [
        AnnotatedRecording(annotation([(0, 10, "sad")], str(i)), duration=2.0) for i in range(9)
    ]
    heard = [annotation([(0, i + 1, "sad")], str(i)) for i in range(9)]
    found = score(said, heard)
    once, again, other = (found.intervals(seed=seed) for seed in (1, 1, 2))
    assert once == again != other
    assert once["pooled"].value == pytest.approx(found.pooled.eder)
    assert once["macro"].value == pytest.approx(found.macro)
    assert (once["war"].value, once["uar"].value) == (found.war, found.uar)
    assert once["macro"].low < found.macro < once["macro"].high
    narrow = found.intervals(confidence=0.5)["macro"]
    assert once["macro"].low < narrow.low < narrow.high < once["macro"].high


def test_an_interval_covers_the_mean_as_often_as_it_says(rng):
    """Of 200 samples of 40 normal numbers, about 95 % have 0 in their interval."""
    covered = 0
    for seed in range(200):
        values = rng.normal(size=(40, 1))
        [interval] = bootstrap(lambda c, v=values: c @ v / 40, 40, num_resamples=400, seed=seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_headline_of_drawn_recordings_is_that_of_the_recordings_written_out():
    files = [([(0, 10, "sad")], [(0, 4, "sad")]), ([(5, 9, "happy")], []), ([], [(0, 3, "sad")])]
    atoms = atoms_of(*files)
    drawn = atoms_of(files[0], files[0], files[2])
    numbers = Headline(atoms, atoms.errors())(np.array([[2, 0, 1]]))[0]
    assert numbers == pytest.approx(Headline(drawn, drawn.errors())(np.ones((1, 3)))[0])


def test_every_draw_holds_as_many_recordings_as_there_are():
    draws = np.concatenate(list(_draws(7, 50, seed=0)))
    assert draws.shape == (50, 7)
    assert (draws.sum(axis=1) == 7).all()


def test_paired_comparison_tells_a_difference_from_chance(rng):
    rates = rng.uniform(size=60)

    def mean(values):
        return lambda counts: counts @ values[:, None] / len(values)

    [same] = paired_bootstrap(mean(rates), mean(rates), 60)
    assert same.p_value == 1.0 and same.interval.value == 0.0
    [worse] = paired_bootstrap(mean(rates), mean(rates + 0.01), 60)  # small, but on every file
    assert worse.p_value < 0.01 and worse.interval.low > 0
    [noise] = paired_bootstrap(mean(rates), mean(rng.permutation(rates)), 60)
    assert noise.p_value > 0.05


def test_the_p_value_is_two_sided():
    """Of 27 draws from +1, +1, -1 seven do not sum above zero, so p is 14 / 27."""
    differences = np.array([[1.0], [1.0], [-1.0]])
    [found] = paired_bootstrap(
        lambda counts: counts @ np.zeros((3, 1)), lambda counts: counts @ differences, 3
    )
    assert found.p_value == pytest.approx(14 / 27, abs=0.05)


def test_comparing_needs_the_same_recordings():
    said = annotation([(0, 10, "sad")], "a")
    found = score([said], [said])
    other = score([annotation([(0, 10, "sad")], "b")], [said])
    with pytest.raises(ValueError, match="same recordings"):
        found.compare(other)
    assert found.compare(found)["pooled"].p_value == 1.0


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_probability(confidence):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        bootstrap(lambda counts: counts, 3, confidence=confidence)
