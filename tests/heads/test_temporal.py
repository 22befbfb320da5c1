"""Temporal blocks: parity with naive ones, context as promised, padding unseen."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from padded import NUM_FEATURES, padded
from torch import Tensor
from torch.nn import functional as F

from sed.heads.attentive import BLOCKS
from sed.heads.temporal import BLSTM, LSTM, TDNN


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def block_named(name: str) -> LSTM | TDNN:
    """Tiny block in inference."""
    sizes = {"num_layers": 3} if name == "tdnn" else {"num_cells": 4}
    return BLOCKS[name](NUM_FEATURES, num_units=5, **sizes).eval()


def reached(block: LSTM | TDNN, frame: int, num_frames: int) -> list[int]:
    """Frames that matter to one of the output."""
    features = torch.randn(1, num_frames, NUM_FEATURES, dtype=torch.float64, requires_grad=True)
    block.double()(features)[0, frame].sum().backward()
    return features.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()


def naive_lstm(x: Tensor, cells: torch.nn.LSTM) -> Tensor:
    """Cells over (num_frames, num_features), by their equations."""
    into, back = cells.weight_ih_l0, cells.weight_hh_l0
    bias = cells.bias_ih_l0 + cells.bias_hh_l0
    hidden = memory = torch.zeros(cells.hidden_size)
    outputs = []
    for frame in x:
        i, f, g, o = (into @ frame + back @ hidden + bias).chunk(4)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(memory)
        outputs.append(hidden)
    return torch.stack(outputs)


@torch.no_grad()
@pytest.mark.parametrize("name", ["lstm", "blstm"])
def test_recurrent_blocks_are_those_of_a_loop_over_frames(name: str) -> None:
    block, features = block_named(name), torch.randn(1, 9, NUM_FEATURES)
    prepared = (features[0] @ block.prepare.weight.T + block.prepare.bias).clamp(min=0.0)
    expected = naive_lstm(prepared, block.recurrent[0])
    if name == "blstm":
        back = naive_lstm(prepared.flip(0), block.recurrent[1]).flip(0)
        expected = torch.cat((expected, back), dim=1)
    torch.testing.assert_close(block(features)[0], expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_time_delay_network_is_that_of_a_loop_over_frames() -> None:
    block, features = block_named("tdnn"), torch.randn(1, 8, NUM_FEATURES)
    x = features[0]
    for layer in block.layers:
        around = F.pad(x, (0, 0, 1, 1))
        x = torch.stack(
            [
                sum(layer.weight[:, :, tap] @ around[t + tap] for tap in range(3)) + layer.bias
                for t in range(len(x))
            ]
        ).clamp(min=0.0)
    torch.testing.assert_close(block(features)[0], x, atol=1e-6, rtol=0)


def test_the_paper_has_these_sizes() -> None:
    """Section 4.3, and the context of figure 4."""
    lstm, blstm, tdnn = LSTM(257), BLSTM(257), TDNN(257)
    assert (lstm.prepare.out_features, lstm.recurrent[0].hidden_size) == (512, 128)
    assert [block.num_outputs for block in (lstm, blstm, tdnn)] == [128, 256, 512]
    assert [layer.kernel_size for layer in tdnn.layers] == [(3,)] * 6
    assert [block.dropout.p for block in (lstm, blstm, tdnn)] == [0.5] * 3
    assert [block.context for block in (lstm, blstm, tdnn)] == [None, None, 6]


@pytest.mark.parametrize(
    ("name", "frames"),
    [("lstm", range(0, 11)), ("blstm", range(0, 20)), ("tdnn", range(7, 14))],
)
def test_a_frame_hears_what_its_block_promises(name: str, frames: range) -> None:
    block = block_named(name)
    if name == "tdnn":
        assert block.context == 3
        for layer in block.layers:
            torch.nn.init.constant_(layer.bias, 5.0)  # no ReLU stops what comes from afar
    else:
        torch.nn.init.constant_(block.prepare.bias, 5.0)
    assert reached(block, 10, 20) == list(frames)


@torch.no_grad()
@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("filling", [0.0, 1e6, math.nan])
def test_a_sequence_is_the_same_alone_and_in_a_batch(name: str, filling: float) -> None:
    block = block_named(name)
    sequences, batch, lengths = padded([12, 1, 17, 2], filling)
    frames = block(batch, lengths)
    assert frames.shape == (4, 17, block.num_outputs)
    for found, sequence in zip(frames, sequences, strict=True):
        alone = block(sequence[None])[0]
        torch.testing.assert_close(found[: len(sequence)], alone, atol=1e-6, rtol=0)
        assert alone.any() and not found[len(sequence) :].any()


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients_do_not_see_padding(name: str) -> None:
    """Those of the weights, from two sequences side by side and one after the other."""
    sequences, batch, lengths = padded([9, 4], math.nan)
    block = block_named(name)
    block(batch, lengths).square().sum().backward()
    among = [weight.grad for weight in block.parameters()]
    block.zero_grad()
    for sequence in sequences:
        block(sequence[None]).square().sum().backward()
    for found, weight in zip(among, block.parameters(), strict=True):
        torch.testing.assert_close(found, weight.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", BLOCKS)
def test_dropout_is_for_training_and_leaves_half(name: str) -> None:
    block, features = block_named(name), torch.randn(4, 100, NUM_FEATURES)
    if name == "tdnn":
        torch.nn.init.constant_(block.layers[-1].bias, 9.0)  # nothing is zero by itself
    assert block(features).ne(0).all()
    dropped = block.train()(features) == 0
    assert 0.4 < dropped.float().mean() < 0.6


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("lengths", [None, torch.tensor([20, 1, 7])])
def test_mixed_precision_gives_much_the_same(name: str, lengths: Tensor | None) -> None:
    block, features = block_named(name), torch.randn(3, 20, NUM_FEATURES)
    exact = block(features, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found = block(features, lengths)
    found.float().square().sum().backward()
    torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0)
    assert all(weight.grad is not None for weight in block.parameters())
