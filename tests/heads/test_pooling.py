"""Local attention: its three equations, and what holds for any frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from sed.heads.pooling import LocalAttention

WIDTH = 3

VALUES = st.floats(-50.0, 50.0, width=32)
SEQUENCES = st.integers(1, 12).flatmap(
    lambda count: arrays(np.float64, (count, WIDTH), elements=VALUES)
)
BATCHES = st.lists(SEQUENCES, min_size=1, max_size=4)
ATTENTIONS = arrays(np.float64, WIDTH, elements=st.floats(-3.0, 3.0, width=32))


def pooling_with(u: np.ndarray, *, variance: bool = True) -> LocalAttention:
    pooling = LocalAttention(WIDTH, variance=variance).double()
    with torch.no_grad():
        pooling.scores.weight.copy_(torch.from_numpy(u)[None])
    return pooling


def batch_of(sequences: list[np.ndarray], filling: float = math.nan) -> tuple[Tensor, Tensor]:
    tensors = [torch.from_numpy(sequence) for sequence in sequences]
    batch = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=filling)
    return batch, torch.tensor([len(sequence) for sequence in sequences])


@torch.no_grad()
def test_the_equations_are_those_of_the_paper(rng: np.random.Generator) -> None:
    """As they are printed, in float64: the variance is a difference of two moments."""
    frames, u = rng.normal(2.0, 3.0, (40, WIDTH)), rng.normal(size=WIDTH)
    alpha = np.exp(frames @ u) / np.exp(frames @ u).sum()
    mean = (alpha[:, None] * frames).sum(axis=0)
    variance = (alpha[:, None] * frames**2).sum(axis=0) - mean**2
    batch = torch.from_numpy(frames)[None]
    pooling = pooling_with(u)
    np.testing.assert_allclose(pooling.weights(batch)[0], alpha, atol=1e-12)
    expected = np.concatenate((mean, variance))
    np.testing.assert_allclose(pooling(batch)[0], expected, atol=1e-11)
    np.testing.assert_allclose(pooling_with(u, variance=False)(batch)[0], mean, atol=1e-12)
    assert (pooling.num_outputs, pooling_with(u, variance=False).num_outputs) == (6, 3)


@torch.no_grad()
def test_small_variances_survive_a_large_mean() -> None:
    """In float32, where the printed difference of two moments is lost."""
    frames = 1e4 + 0.5 * torch.randn(1, 200, WIDTH, generator=torch.Generator().manual_seed(0))
    pooling = pooling_with(np.zeros(WIDTH)).float()
    exact = frames.double().var(dim=1, correction=0)
    torch.testing.assert_close(pooling(frames)[:, WIDTH:].double(), exact, rtol=0.01, atol=0)
    printed = frames.square().mean(dim=1) - frames.mean(dim=1).square()
    assert float((printed.double() - exact).abs().max()) > 1.0


@torch.no_grad()
@settings(deadline=None, max_examples=60)
@given(sequences=BATCHES, u=ATTENTIONS)
def test_neither_padding_nor_batch_matters(sequences: list[np.ndarray], u: np.ndarray) -> None:
    """Weights are a distribution over the true frames, and a variance is never negative."""
    pooling = pooling_with(u)
    batch, lengths = batch_of(sequences)
    weights, pooled = pooling.weights(batch, lengths), pooling(batch, lengths)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(sequences)).double())
    assert bool((weights >= 0).all()) and bool((pooled[:, WIDTH:] >= 0).all())
    for row, found, sequence in zip(weights, pooled, sequences, strict=True):
        assert not row[len(sequence) :].any()
        alone = torch.from_numpy(sequence)[None]
        torch.testing.assert_close(row[: len(sequence)], pooling.weights(alone)[0])
        torch.testing.assert_close(found, pooling(alone)[0], atol=1e-9, rtol=1e-9)


@torch.no_grad()
@settings(deadline=None, max_examples=40)
@given(frame=arrays(np.float64, WIDTH, elements=VALUES), u=ATTENTIONS, count=st.integers(1, 30))
def test_a_constant_sequence_has_no_variance(frame: np.ndarray, u: np.ndarray, count: int) -> None:
    pooled = pooling_with(u)(torch.from_numpy(frame).expand(1, count, WIDTH))[0]
    np.testing.assert_allclose(pooled[:WIDTH], frame, atol=1e-10)
    np.testing.assert_allclose(pooled[WIDTH:], 0.0, atol=1e-20)


@torch.no_grad()
@settings(deadline=None, max_examples=40)
@given(frames=SEQUENCES, u=ATTENTIONS, seed=st.integers(0, 99))
def test_the_order_of_frames_does_not_matter(frames: np.ndarray, u: np.ndarray, seed: int) -> None:
    pooling = pooling_with(u)
    shuffled = np.random.default_rng(seed).permutation(frames)
    expected = pooling(torch.from_numpy(frames)[None])
    found = pooling(torch.from_numpy(shuffled)[None])
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@torch.no_grad()
def test_large_scores_do_not_overflow() -> None:
    pooling = pooling_with(np.full(WIDTH, 1e3)).float()
    frames = torch.tensor([[[1.0] * WIDTH, [2.0] * WIDTH]])
    assert pooling.weights(frames).tolist() == [[0.0, 1.0]]
    assert pooling(frames).tolist() == [[2.0] * WIDTH + [0.0] * WIDTH]


@pytest.mark.parametrize("variance", [False, True])
def test_the_attention_learns_through_a_single_frame_and_many(variance: bool) -> None:
    """Finite gradients, and none that reach padding."""
    pooling = pooling_with(np.array([0.5, -1.0, 2.0]), variance=variance)
    batch, lengths = batch_of([np.ones((1, WIDTH)), np.eye(WIDTH), np.ones((5, WIDTH))], 7.0)
    batch.requires_grad_()
    pooling(batch, lengths).square().sum().backward()
    gradient = pooling.scores.weight.grad
    assert gradient is not None and bool(gradient.isfinite().all()) and gradient.any()
    assert batch.grad is not None and not batch.grad[0, 1:].any() and not batch.grad[1, 3:].any()
