"""Attention head by head: torch's outputs and gradients, padding and dropout included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers
from tiny_encoders import LARGE, SIZES, stir
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional as F

from sed.attention import Mixing
from sed.encoders import Encoder

COUNTS = [9, 6]
"""True frames of two recordings."""


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def inputs(*, biased: bool) -> list[Tensor | None]:
    """Queries, keys, values, gate and bias."""
    shapes = [(2, 3, 9, 4)] * 3 + [(2, 3, 9, 1), (1, 3, 9, 9)]
    made = [torch.randn(shape, dtype=torch.double).requires_grad_() for shape in shapes]
    return made if biased else [*made[:3], None, None]


def by_torch(query: Tensor, key: Tensor, value: Tensor, gate: Any, bias: Any) -> Tensor:
    """The same with the operators of torch."""
    mask = torch.zeros(2, 1, 1, 9, dtype=torch.double)
    for item, count in enumerate(COUNTS):
        mask[item, ..., count:] = -torch.inf
    mask = mask if bias is None else mask + gate * bias
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


@pytest.fixture(autouse=True, params=[1, 200], ids=["head by head", "two heads at once"])
def portions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads of three that go together in a recording of nine frames."""
    monkeypatch.setattr("sed.attention.AT_ONCE", request.param)


@pytest.mark.parametrize("biased", [True, False])
def test_outputs_and_gradients_are_those_of_torch(biased: bool) -> None:
    """Whatever the padding holds."""
    parts = inputs(biased=biased)
    found, expected = Mixing.apply(*parts, COUNTS, 0.0), by_torch(*parts)
    inside = torch.arange(9) < torch.tensor(COUNTS)[:, None]
    torch.testing.assert_close(found[inside], expected[inside])
    assert not found[~inside].any()
    learning = [part for part in parts if part is not None]
    weights = torch.randn_like(found) * inside[..., None, None]
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), learning),
        torch.autograd.grad((expected * weights).sum(), learning),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("biased", [True, False])
def test_gradients_are_right_where_dropout_leaves_something_out(biased: bool) -> None:
    parts = inputs(biased=biased)

    def same_draw(*learning: Tensor) -> Tensor:
        torch.manual_seed(1)
        return Mixing.apply(*(*learning, None, None)[:5], COUNTS, 0.3)

    assert gradcheck(same_draw, [part for part in parts if part is not None])


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_leaves_out_as_many_as_asked_and_makes_up_for_them(dropout: float) -> None:
    query, key = torch.randn(2, 1, 2, 101, 8)
    value = torch.eye(101).expand(1, 2, 101, 101)  # what comes out is the shares themselves
    whole = Mixing.apply(query, key, value, None, None, [101], 0.0)
    left = Mixing.apply(query, key, value, None, None, [101], dropout)
    there = left != 0
    torch.testing.assert_close(left[there], whole[there] / (1 - dropout))
    for first in range(4):  # four are drawn at a time
        some = there.transpose(1, 2).flatten(2)[..., first::4]
        deviation = (dropout * (1 - dropout) / some.numel()) ** 0.5
        assert abs(float((~some).float().mean()) - dropout) < 4 * deviation
    again = Mixing.apply(query, key, value, None, None, [101], dropout)
    assert not torch.equal(again, left)


@pytest.mark.parametrize(("architecture", "config"), [("wavlm", LARGE), ("hubert", SIZES)])
def test_an_encoder_has_the_gradients_of_transformers(architecture: str, config: Any) -> None:
    names = {"wavlm": "WavLM", "hubert": "Hubert"}
    settings = getattr(transformers, f"{names[architecture]}Config")(**config)
    theirs = stir(getattr(transformers, f"{names[architecture]}Model")(settings))
    ours = Encoder(architecture, config, waveform_norm="none").eval()
    ours.model.load_state_dict(theirs.state_dict())
    waveform = torch.randn(2, 6_000)
    features = ours(waveform)
    weights = torch.randn_like(features)
    (features * weights).sum().backward()
    (theirs(waveform).last_hidden_state * weights).sum().backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.model.named_parameters():
        if parameter.requires_grad:
            # That of a key's bias is zero but for rounding: it moves all scores of a row alike.
            scale = expected[name].grad.abs().max().clamp(min=1.0)
            torch.testing.assert_close(
                parameter.grad / scale, expected[name].grad / scale, atol=1e-4, rtol=0, msg=name
            )
