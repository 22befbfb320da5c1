"""Long signals in few columns: nothing is lost of their extremes, and memory does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from sed.audio import Recording
from sed.frames import FrameGrid
from sed.report.columns import column_means, envelope


@pytest.mark.parametrize("num_samples", [1, 7, 1000, 1001, 65_432])
@pytest.mark.parametrize("view", [(0.0, float("inf")), (0.01, 0.25), (2.3456, 5.0), (50.0, 60.0)])
def test_an_envelope_holds_the_extremes_of_every_column(
    rng: np.random.Generator, num_samples: int, view: tuple[float, float]
) -> None:
    samples = rng.uniform(-1, 1, num_samples).astype(np.float32)
    recording = Recording.from_samples(samples, 8_000)
    edges, low, high = envelope(recording, start=view[0], end=view[1], num_columns=100)
    bounds = np.rint(edges * 8_000).astype(int)
    first = min(int(view[0] * 8_000), num_samples)
    last = min(num_samples, np.ceil(view[1] * 8_000))
    assert (bounds[0], bounds[-1], len(low)) == (first, last, min(100, last - first))
    pieces = [samples[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True)]
    assert low.tolist() == [piece.min() for piece in pieces]
    assert high.tolist() == [piece.max() for piece in pieces]


def test_an_envelope_of_hours_is_read_block_by_block() -> None:
    """Two hours, made as they are read: neither they nor a part of them is held."""
    rate, hours = 8_000, 2
    silence = Recording.from_samples(np.zeros(hours * 3600 * rate, dtype=np.int16), rate)
    largest = 0

    def spoken(blocks: Iterator[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
        nonlocal largest
        position = 0
        for block in blocks:
            largest = max(largest, len(block))
            for second, value in ((1.0, 0.5), (4321.0, -0.75), (7199.9, 0.25)):
                index = round(second * sample_rate) - position
                if 0 <= index < len(block):
                    block[index] = value
            position += len(block)
            yield block

    tracemalloc.start()
    edges, low, high = envelope(silence.through(spoken))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 500 <= len(low) <= 3000
    assert largest <= 30 * rate
    assert peak < 10 * 30 * rate * 4  # a few blocks of 30 s; all would be 230 MB
    extremes = {
        round(float(edges[column])): (float(low[column]), float(high[column]))
        for column in np.flatnonzero((low < 0) | (high > 0))
    }
    column = 7200 / len(low)
    assert {round(second / column) for second in extremes} == {
        int(second / column) for second in (1.0, 4321.0, 7199.9)
    }
    assert list(extremes.values()) == [(0.0, 0.5), (-0.75, 0.0), (0.0, 0.25)]


def test_means_of_columns_keep_the_mean_of_all(rng: np.random.Generator) -> None:
    scores = rng.dirichlet(np.ones(4), 5_003).astype(np.float32)
    edges, means = column_means(FrameGrid(16_000, 320).feature(scores), num_columns=97)
    assert means.shape == (97, 4)
    assert (edges[0], round(float(edges[-1]), 6)) == (0.0, 100.06)
    np.testing.assert_allclose(means.sum(axis=1), 1.0, atol=1e-5)
    weights = np.diff(edges) / edges[-1]
    np.testing.assert_allclose(weights @ means, scores.mean(axis=0), atol=1e-5)


def test_means_of_a_view_are_those_of_its_frames(rng: np.random.Generator) -> None:
    scores = rng.uniform(size=(100, 2))
    edges, means = column_means(FrameGrid(16_000, 1600).feature(scores), start=2.05, end=4.0)
    np.testing.assert_allclose(edges, np.arange(20, 41) / 10)
    np.testing.assert_allclose(means, scores[20:40])
    _, nothing = column_means(FrameGrid(16_000, 1600).feature(scores), start=11.0, end=12.0)
    assert nothing.shape == (0, 2)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="posteriors hold what is no number"):
        column_means(FrameGrid(16_000, 320).feature(np.array([[0.5], [np.nan]])))
