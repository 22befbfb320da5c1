"""The convolutions: torch's own, whatever the taps, and no trace of the blocks they run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tiny_encoders import BASE, LARGE, stir
from torch import nn
from transformers import HubertConfig, HubertModel

from sed.convolutions import BLOCK, Convolutions, convolve


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(10, 5), (3, 2), (2, 2), (1, 1), (7, 3), (5, 5), (4, 3)]
)
def test_a_convolution_is_that_of_torch(
    kernel: int, stride: int, batch: int, gradients: bool
) -> None:
    conv = nn.Conv1d(6, 5, kernel, stride)
    for num_steps in (kernel, kernel + 1, 64, 65, 66):
        rows = torch.randn(batch, num_steps, 6)
        with torch.set_grad_enabled(gradients):
            expected = conv(rows.transpose(1, 2)).transpose(1, 2)
            torch.testing.assert_close(convolve(rows, conv), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_torch() -> None:
    conv = nn.Conv1d(6, 5, 3, 2)
    rows = torch.randn(2, 21, 6)
    convolve(rows, conv).square().sum().backward()
    found = conv.weight.grad.clone()
    conv.zero_grad()
    conv(rows.transpose(1, 2)).square().sum().backward()
    torch.testing.assert_close(found, conv.weight.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [LARGE, BASE], ids=["layer norm", "group norm"])
@pytest.mark.parametrize("num_samples", [400, 719, 720, 320 * BLOCK + 79, 320 * BLOCK + 80, 50_001])
def test_blocks_are_invisible(config: dict, num_samples: int) -> None:
    """Around the length of a block, frames are those of transformers in one piece."""
    extractor = stir(HubertModel(HubertConfig(**config)).feature_extractor)
    ours = Convolutions(extractor.conv_layers)
    waveform = torch.randn(2, num_samples)
    with torch.inference_mode():
        expected = extractor(waveform).transpose(1, 2)
        found = ours(waveform)
    assert found.shape[1] == ours.num_frames(num_samples)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_hop_and_receptive_field_follow_from_the_layers() -> None:
    ours = Convolutions(HubertModel(HubertConfig(**BASE)).feature_extractor.conv_layers)
    assert (ours.hop, ours.receptive_field) == (320, 400)
    assert [ours.num_frames(n) for n in (0, 399, 400, 719, 720, 16_000)] == [0, 0, 1, 1, 2, 49]


@pytest.mark.parametrize("config", [LARGE, BASE], ids=["layer norm", "group norm"])
def test_frozen_ones_keep_nothing_for_gradients(config: dict) -> None:
    """In training too they run block by block, unless their input learns."""
    extractor = stir(HubertModel(HubertConfig(**config)).feature_extractor)
    ours = Convolutions(extractor.conv_layers).requires_grad_(False)
    waveform = torch.randn(2, 320 * BLOCK * 2)
    found = ours(waveform)
    assert not found.requires_grad
    torch.testing.assert_close(found, extractor(waveform).transpose(1, 2), atol=2e-5, rtol=1e-4)
    assert ours(waveform.requires_grad_()).requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ours(waveform.detach()).float(), found, atol=0.1, rtol=0.1)
