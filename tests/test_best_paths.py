"""Best paths: as good as the best of all paths, tried one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sed.best_paths import Stretch, Trellis, single_event_path, viterbi_path

SCORES = st.tuples(st.integers(1, 7), st.integers(1, 3)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(-16, 0).map(lambda n: n / 4))
)


def stretches(path: list[int]) -> list[tuple[int, int]]:
    """Class and length of each stretch."""
    return [(kind, len(list(frames))) for kind, frames in groupby(path)]


def worth(scores: np.ndarray, path: list[int], penalty: float = 0.0) -> float:
    """Score of a path."""
    changes = sum(a != b for a, b in pairwise(path))
    return sum(scores[t, k] for t, k in enumerate(path)) - penalty * changes


@given(SCORES, st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_no_path_whose_stretches_last_is_better(
    scores: np.ndarray, min_frames: int, penalty: float
) -> None:
    num_frames, num_classes = scores.shape
    path = viterbi_path(scores, min_frames, penalty).tolist()
    lengths = [length for _, length in stretches(path)]
    # a recording shorter than that is one stretch
    assert min(lengths) >= min_frames or lengths == [num_frames]
    allowed = [
        other
        for other in product(range(num_classes), repeat=num_frames)
        if len(found := stretches(list(other))) == 1 or min(n for _, n in found) >= min_frames
    ]
    best = max(worth(scores, list(other), penalty) for other in allowed)
    assert worth(scores, path, penalty) == best


BEFORE = st.none() | st.builds(Stretch, st.just(0), st.integers(1, 6))


def allowed_paths(
    shape: tuple[int, int], min_frames: int, before: Stretch | None
) -> Iterator[list[int]]:
    """All that go on from what was before, the last stretch as young as it likes."""
    for path in product(range(shape[1]), repeat=shape[0]):
        kinds, lengths = zip(*stretches(list(path)), strict=True)
        first = lengths[0]
        if before is not None and kinds[0] == before.index:
            first += before.num_frames
        elif before is not None and before.num_frames < min_frames:
            continue
        if all(length >= min_frames for length in [first, *lengths[1:]][: len(lengths) - 1]):
            yield list(path)


@given(SCORES, st.integers(1, 5), st.sampled_from([0.0, 0.5, 3.0]), BEFORE)
def test_a_path_that_goes_on_may_end_in_a_young_stretch(
    scores: np.ndarray, min_frames: int, penalty: float, before: Stretch | None
) -> None:
    def value(path: list[int]) -> float:
        changed = before is not None and path[0] != before.index
        return worth(scores, path, penalty) - penalty * changed

    path = Trellis(scores, min_frames, penalty, before).open().tolist()
    allowed = list(allowed_paths(scores.shape, min_frames, before))
    assert path in allowed
    assert value(path) == max(value(other) for other in allowed)


@given(SCORES, SCORES, st.integers(1, 4), st.sampled_from([0.0, 0.5, 3.0]), BEFORE)
def test_what_is_certain_stays_and_paths_go_on_from_there(
    scores: np.ndarray, more: np.ndarray, min_frames: int, penalty: float, before: Stretch | None
) -> None:
    more = np.resize(more, (len(more), scores.shape[1]))
    both = np.concatenate((scores, more + np.linspace(0, 0.1, more.size).reshape(more.shape)))
    num_certain = Trellis(scores, min_frames, penalty, before).num_certain()
    whole = Trellis(both, min_frames, penalty, before)
    settled = Trellis(scores, min_frames, penalty, before).closed()[:num_certain]
    path = whole.closed()
    assert path[:num_certain].tolist() == settled.tolist()
    if num_certain:
        index, length = stretches(settled.tolist())[-1]
        if length == num_certain and before is not None and before.index == index:
            length += before.num_frames
        rest = Trellis(both[num_certain:], min_frames, penalty, Stretch(index, length))
        assert worth(both, [*settled, *rest.closed()], penalty) == pytest.approx(
            worth(both, path.tolist(), penalty)
        )


def test_without_conditions_the_best_path_is_the_best_class_of_each_frame(
    rng: np.random.Generator,
) -> None:
    scores = rng.standard_normal((500, 5))
    np.testing.assert_array_equal(viterbi_path(scores, 1, 0.0), scores.argmax(axis=1))


@given(st.integers(1, 60), st.integers(0, 10), st.integers(0, 2**32 - 1))
def test_stretches_of_long_paths_last(min_frames: int, penalty: int, seed: int) -> None:
    scores = np.log(np.random.default_rng(seed).dirichlet([0.3] * 4, size=300))
    path = viterbi_path(np.maximum(scores, -50), min_frames, float(penalty)).tolist()
    assert min(length for _, length in stretches(path)) >= min_frames


@given(SCORES, st.integers(1, 9), st.data())
def test_no_single_event_is_better(
    scores: np.ndarray, min_frames: int, data: st.DataObject
) -> None:
    num_frames, num_classes = scores.shape
    neutral = data.draw(st.integers(0, num_classes - 1))
    path = single_event_path(scores, neutral, min_frames).tolist()
    events = [stretch for stretch in stretches(path) if stretch[0] != neutral]
    shortest = min(min_frames, num_frames)
    assert len(events) <= 1 and all(length >= shortest for _, length in events)
    allowed = [[neutral] * num_frames]
    for start, end, kind in product(range(num_frames), range(num_frames + 1), range(num_classes)):
        if end - start >= shortest:
            allowed.append([kind if start <= t < end else neutral for t in range(num_frames)])
    assert worth(scores, path) == max(worth(scores, other) for other in allowed)


def test_where_nothing_beats_neutral_all_is_neutral() -> None:
    assert single_event_path(np.zeros((5, 3)), neutral=1, min_frames=2).tolist() == [1] * 5


def test_no_frames_make_an_empty_path() -> None:
    assert viterbi_path(np.zeros((0, 3)), 5, 1.0).tolist() == []
    assert single_event_path(np.zeros((0, 3)), neutral=0, min_frames=5).tolist() == []
