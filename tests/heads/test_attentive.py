"""The attentive head: one network for frames, utterances and corpora, padding unseen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from padded import NUM_FEATURES, padded

from sed.heads import AttentiveHead, head_named
from sed.heads.attentive import BLOCKS, POOLINGS

NUM_CLASSES = 4
TASKS = {"emodb": ["neutral", "anger"], "ravdess": ["sad", "happy", "neutral"]}

VARIATIONS = pytest.mark.parametrize(
    ("block", "pooling"), [(block, pooling) for block in BLOCKS for pooling in POOLINGS]
)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def head_of(
    block: str, pooling: str, num_classes: int = NUM_CLASSES, **tasks: Any
) -> AttentiveHead:
    """Tiny head in inference, that attends to some frames more than to others."""
    sizes = {"num_layers": 2} if block == "tdnn" else {"num_cells": 4}
    head = AttentiveHead(
        NUM_FEATURES, num_classes, block=block, pooling=pooling, num_units=5, **sizes, **tasks
    )
    torch.nn.init.normal_(head.pooling.scores.weight, std=20.0)
    return head.eval()


@torch.no_grad()
@VARIATIONS
def test_utterance_logits_are_the_mean_of_frame_logits_that_attention_weighs(
    block: str, pooling: str
) -> None:
    head, features = head_of(block, pooling).double(), torch.randn(3, 20, NUM_FEATURES).double()
    lengths = torch.tensor([20, 1, 13])
    for given in (None, lengths):
        weights = head.attention(features, given)
        expected = (weights[:, :, None] * head(features, given)).sum(dim=1)
        torch.testing.assert_close(head.utterance(features, given), expected, atol=1e-12, rtol=0)
    assert float(weights[0].max()) > 2 * float(weights[0].min())  # not a mean of equals


@torch.no_grad()
@VARIATIONS
def test_logits_are_those_of_the_equations(block: str, pooling: str) -> None:
    """From the block's frames: pooled for the utterance, and each on its own."""
    head, features = head_of(block, pooling).double(), torch.randn(1, 20, NUM_FEATURES).double()
    x = head.block(features)[0]
    alpha = (x @ head.pooling.scores.weight[0]).softmax(dim=0)[:, None]
    mean = (alpha * x).sum(dim=0)
    weight, bias = head.classify.weight, head.classify.bias
    width = x.shape[1]
    utterance = weight[:, :width] @ mean + bias
    frames = x @ weight[:, :width].T + bias
    if pooling == "mean-variance":
        utterance = utterance + weight[:, width:] @ ((alpha * x**2).sum(dim=0) - mean**2)
        frames = frames + (x - mean) ** 2 @ weight[:, width:].T
    torch.testing.assert_close(head.utterance(features)[0], utterance, atol=1e-12, rtol=0)
    torch.testing.assert_close(head(features)[0], frames, atol=1e-12, rtol=0)


@torch.no_grad()
@VARIATIONS
def test_with_a_reach_a_frame_is_the_utterance_around_it(block: str, pooling: str) -> None:
    """And the utterance as a whole is what it was."""
    head, features = head_of(block, pooling).double(), torch.randn(1, 20, NUM_FEATURES).double()
    torch.nn.init.normal_(head.pooling.scores.weight, std=4.0)
    utterance = head.utterance(features)
    head.reach = 3
    frames = head.block(features)
    for time, logits in enumerate(head(features)[0]):
        around = frames[:, max(0, time - 3) : time + 4]
        expected = head.classify(head.pooling(around))[0]
        torch.testing.assert_close(logits, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(head.utterance(features), utterance, atol=0, rtol=0)


@torch.no_grad()
@VARIATIONS
@pytest.mark.parametrize("filling", [1e6, math.nan])
@pytest.mark.parametrize("reach", [0, 2])
def test_a_sequence_scores_the_same_alone_and_in_a_batch(
    block: str, pooling: str, filling: float, reach: int
) -> None:
    head = head_of(block, pooling, reach=reach)
    sequences, batch, lengths = padded([12, 1, 17, 2], filling)
    logits, utterances = head(batch, lengths), head.utterance(batch, lengths)
    attention = head.attention(batch, lengths)
    for index, sequence in enumerate(sequences):
        count, alone = len(sequence), sequence[None]
        torch.testing.assert_close(logits[index, :count], head(alone)[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(utterances[index], head.utterance(alone)[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(
            attention[index, :count], head.attention(alone)[0], atol=1e-5, rtol=0
        )
        assert not logits[index, count:].any() and not attention[index, count:].any()


def test_the_context_is_finite_where_nothing_hears_everything() -> None:
    contexts = {
        (block, pooling): head_of(block, pooling).context
        for block in BLOCKS
        for pooling in POOLINGS
    }
    assert {key: value for key, value in contexts.items() if value is not None} == {
        ("tdnn", "mean"): 2
    }
    with_reach = [head_of("tdnn", pooling, reach=3) for pooling in POOLINGS]
    assert [head.context for head in with_reach] == [5, 5]
    torch.nn.init.normal_(with_reach[1].pooling.scores.weight, std=0.1)
    features = torch.randn(1, 30, NUM_FEATURES, requires_grad=True)
    with_reach[1](features)[0, 15].sum().backward()
    assert features.grad is not None
    heard = features.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert heard == list(range(10, 21))


@VARIATIONS
def test_every_weight_learns_from_utterances(block: str, pooling: str) -> None:
    head = head_of(block, pooling).train()
    _, batch, lengths = padded([20, 4, 9], 0.0)
    head.utterance(batch, lengths).square().sum().backward()
    for name, weight in head.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@torch.no_grad()
@pytest.mark.parametrize("pooling", POOLINGS)
def test_corpora_share_everything_but_their_layer(pooling: str) -> None:
    head = head_of("blstm", pooling, 2, tasks=TASKS, task="emodb")
    alone = head_of("blstm", pooling, 3)
    alone.block, alone.pooling = head.block, head.pooling
    alone.classify = head.classify["ravdess"]
    features, lengths = torch.randn(2, 9, NUM_FEATURES), torch.tensor([9, 3])
    for call, expected in ((head, alone), (head.utterance, alone.utterance)):
        assert torch.equal(call(features, lengths, task="ravdess"), expected(features, lengths))
        own = call(features, lengths)
        assert own.shape[-1] == 2 and torch.equal(own, call(features, lengths, task="emodb"))
    assert head.classes == ("neutral", "angry") and alone.classes is None


def test_a_task_leaves_the_layers_of_others_alone() -> None:
    head = head_of("tdnn", "mean", 2, tasks=TASKS, task="emodb")
    head.utterance(torch.randn(2, 9, NUM_FEATURES), task="ravdess").sum().backward()
    learnt = {name for name, weight in head.named_parameters() if weight.grad is not None}
    assert {"classify.ravdess.weight", "block.layers.0.weight", "pooling.scores.weight"} <= learnt
    assert "classify.emodb.weight" not in learnt


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"block": "gru"}, "unknown block 'gru'; known are lstm, blstm, tdnn"),
        ({"reach": -1}, "reach is -1, no number of frames from 0 on"),
        ({"pooling": "max"}, "unknown pooling 'max'; known are mean, mean-variance"),
        ({"tasks": TASKS}, "diarizes is None; the tasks are emodb, ravdess"),
        ({"tasks": TASKS, "task": "iemocap"}, "is 'iemocap'; the tasks are emodb, ravdess"),
        ({"task": "emodb"}, "is 'emodb'; the tasks are none"),
        ({"tasks": TASKS, "task": "emodb"}, "'emodb' has 2 classes, the model 4"),
        ({"tasks": {"a": ["neutral", "angyr"]}, "task": "a"}, "unknown emotion 'angyr'"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        head_named("attentive", NUM_FEATURES, NUM_CLASSES, **settings)


@pytest.mark.parametrize("tasks", [{}, {"tasks": TASKS, "task": "emodb"}])
def test_an_unknown_task_is_refused(tasks: dict[str, Any]) -> None:
    head = head_of("tdnn", "mean", 2, **tasks)
    known = ", ".join(TASKS) if tasks else "none"
    with pytest.raises(ValueError, match=f"unknown task 'x'; known are {known}"):
        head(torch.randn(1, 3, NUM_FEATURES), task="x")
