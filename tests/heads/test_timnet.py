"""TIM-Net: parity with a naive one, one network for frames and utterances, padding unseen."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from padded import NUM_FEATURES, padded
from torch import Tensor
from torch.nn import functional as F

from sed.heads.normalization import RowNorm
from sed.heads.timnet import DilatedConvolution, Frames, TIMNet

NUM_CLASSES = 4


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def network(num_blocks: int = 3, dropout: float = 0.0) -> TIMNet:
    """Tiny network in inference, its normalisations as if it had been trained."""
    head = TIMNet(NUM_FEATURES, NUM_CLASSES, channels=5, num_blocks=num_blocks, dropout=dropout)
    for module in head.modules():
        if isinstance(module, DilatedConvolution):
            module.bias.data.normal_()
            module.norm.running_mean.normal_()
            module.norm.running_var.uniform_(0.3, 3.0)
            module.norm.weight.data.uniform_(0.5, 2.0)
            module.norm.bias.data.normal_()
    head.fusion.data.normal_()
    return head.eval()


def naive_convolution(x: Tensor, layer: DilatedConvolution) -> Tensor:
    """Causal convolution, normalisation and ReLU of (batch, channels, num_frames)."""
    past, present = layer.weight.chunk(2, dim=1)
    dilation = abs(layer.distance)
    x = F.conv1d(
        F.pad(x, (dilation, 0)), torch.stack((past, present), dim=2), layer.bias, dilation=dilation
    )
    norm = layer.norm
    x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    return torch.relu(x)


def naive_blocks(head: TIMNet, features: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What each block gives in both directions, (batch, channels, num_frames).

    As in the authors' code: the second branch is given the recording in reversed time, and its
    outputs are in reversed time too.
    """
    outputs = []
    forward = head.back.into(features).transpose(1, 2)
    backward = head.ahead.into(features.flip(1)).transpose(1, 2)
    for back, ahead in zip(head.back.blocks, head.ahead.blocks, strict=True):
        forward = forward * torch.sigmoid(
            naive_convolution(naive_convolution(forward, back.first), back.second)
        )
        backward = backward * torch.sigmoid(
            naive_convolution(naive_convolution(backward, ahead.first), ahead.second)
        )
        outputs.append((forward, backward))
    return outputs


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [1, 2, 5, 40])
def test_frame_logits_are_those_of_a_naive_network_turned_back_in_time(num_frames: int) -> None:
    head, features = network(), torch.randn(2, num_frames, NUM_FEATURES)
    fused = sum(
        weight * (forward + backward.flip(2))
        for weight, (forward, backward) in zip(
            head.fusion, naive_blocks(head, features), strict=True
        )
    )
    expected = head.classify(fused.transpose(1, 2))
    torch.testing.assert_close(head(features), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_utterance_logits_are_those_of_the_paper() -> None:
    """Global pooling of each block's sum, the second branch still reversed, then the fusion."""
    head, features = network(), torch.randn(2, 40, NUM_FEATURES)
    pooled = torch.stack(
        [(forward + backward).mean(dim=2) for forward, backward in naive_blocks(head, features)]
    )
    expected = head.classify(torch.einsum("n,nbc->bc", head.fusion, pooled))
    torch.testing.assert_close(head.utterance(features), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(head(features).mean(dim=1), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("filling", [0.0, 1e6, math.nan])
def test_a_sequence_scores_the_same_alone_and_in_a_batch(filling: float) -> None:
    head = network()
    sequences, batch, lengths = padded([30, 1, 17, 2], filling)
    logits, utterances = head(batch, lengths), head.utterance(batch, lengths)
    for index, sequence in enumerate(sequences):
        alone = head(sequence[None])[0]
        torch.testing.assert_close(logits[index, : len(sequence)], alone, atol=1e-5, rtol=0)
        assert not logits[index, len(sequence) :].any()
        torch.testing.assert_close(
            utterances[index], head.utterance(sequence[None])[0], atol=1e-5, rtol=0
        )


def test_training_does_not_see_padding() -> None:
    """Neither the loss, nor its gradient, nor the running statistics."""
    sequences, batch, lengths = padded([12, 12], 0.0)
    wider = F.pad(batch, (0, 0, 0, 9), value=1e3)
    results = []
    for features in (batch, wider):
        torch.manual_seed(1)
        head = network().train()
        logits = head(features, lengths)
        logits.square().sum().backward()
        results.append((head, logits[:, :12]))
    (alone, alone_logits), (among, among_logits) = results
    torch.testing.assert_close(among_logits, alone_logits, atol=1e-5, rtol=0)
    for (name, expected), found in zip(
        alone.state_dict().items(), among.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0, msg=name)
    for expected, found in zip(alone.parameters(), among.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-3, rtol=1e-4)


def test_batch_statistics_are_those_of_the_true_frames() -> None:
    head = network(num_blocks=1).train()
    layer = head.back.blocks[0].first
    layer.norm.running_mean.zero_()
    sequences, batch, lengths = padded([9, 4], 77.0)
    head(batch, lengths)
    past, present = layer.weight.chunk(2, dim=1)
    maps = []
    for sequence in sequences:
        x = head.back.into(sequence)
        maps.append(F.pad(x, (0, 0, 1, 0))[:-1] @ past.T + x @ present.T + layer.bias)
    expected = 0.01 * torch.cat(maps).mean(dim=0)
    torch.testing.assert_close(layer.norm.running_mean, expected, atol=1e-6, rtol=0)


def test_a_dropped_channel_is_dropped_throughout_its_sequence() -> None:
    layer = DilatedConvolution(64, 1, dropout=0.5).train()
    layer.norm.bias.data.fill_(100.0)  # nothing is zero by itself
    frames = Frames(torch.tensor([20, 30]))
    dropped = layer(torch.randn(50, 64), frames) == 0
    for start, end in ((0, 20), (20, 50)):
        assert torch.equal(dropped[start:end], dropped[start].expand(end - start, 64))
    assert 0.2 < dropped[[0, 20]].float().mean() < 0.8
    assert not torch.equal(dropped[0], dropped[20])


def test_the_context_is_exact() -> None:
    """A frame at that distance matters, none further away does, on either side."""
    head = network().double()
    for module in head.modules():
        if isinstance(module, RowNorm):
            module.bias.data.fill_(5.0)  # no ReLU stops what comes from afar
    features = torch.randn(1, 4 * head.context, NUM_FEATURES, dtype=torch.float64)
    features.requires_grad_(True)
    middle = 2 * head.context
    head(features)[0, middle].sum().backward()
    matters = features.grad[0].abs().sum(dim=1).nonzero().flatten() - middle
    assert matters.tolist() == list(range(-head.context, head.context + 1))
    with torch.no_grad():
        changed = features.clone()
        changed[0, : middle - head.context] = 1e3
        changed[0, middle + head.context + 1 :] = -1e3
        assert torch.equal(head(changed)[0, middle], head(features)[0, middle])


def test_the_context_of_the_paper_is_510_frames() -> None:
    assert TIMNet(39, 7, num_blocks=8).context == 510


def test_initial_weights_are_those_of_keras() -> None:
    """Glorot's uniform bounds, reached but not passed; fusion within a twentieth."""
    head = TIMNet(39, 7, channels=39)
    bounds = {head.fusion: 0.05}
    for linear, widths in ((head.back.into, 78), (head.ahead.into, 78), (head.classify, 46)):
        bounds[linear.weight] = math.sqrt(6 / widths)
        assert not linear.bias.any()
    for module in head.modules():
        if isinstance(module, DilatedConvolution):
            bounds[module.weight] = math.sqrt(6 / (2 * 39 + 2 * 39))
            assert not module.bias.any()
            assert (module.norm.eps, module.norm.momentum) == (1e-3, 0.01)
    for weight, bound in bounds.items():
        assert float(weight.detach().abs().max()) <= bound
        assert weight.numel() < 100 or float(weight.detach().abs().max()) > 0.95 * bound


def test_every_weight_learns() -> None:
    head = network(dropout=0.1).train()
    head(torch.randn(3, 20, NUM_FEATURES)).square().sum().backward()
    for name, parameter in head.named_parameters():
        # what stands before a normalisation is centred away
        if not name.endswith(("first.bias", "second.bias")):
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_inference_and_training_agree_where_the_statistics_are_the_same() -> None:
    """The normalisation that is folded into the taps, against the one that is applied."""
    head = network(num_blocks=2)
    features = torch.randn(4, 30, NUM_FEATURES)
    head.train()
    for module in head.modules():
        if isinstance(module, RowNorm):
            module.momentum = 1.0
    with torch.no_grad():
        for _ in range(6):  # one layer's statistics after the other's settle
            trained = head(features)
        count = 4 * 30
        for module in head.modules():
            if isinstance(module, RowNorm):
                module.running_var *= (count - 1) / count  # what training divides by
        torch.testing.assert_close(head.eval()(features), trained, atol=1e-4, rtol=0)


@pytest.mark.parametrize("lengths", [None, torch.tensor([30, 1, 17])])
def test_mixed_precision_learns_much_the_same(lengths: Tensor | None) -> None:
    """A step in bfloat16: logits, padding, and gradients for the weights in float32."""
    head, features = network(dropout=0.1).train(), torch.randn(3, 30, NUM_FEATURES)
    before = {name: buffer.clone() for name, buffer in head.named_buffers()}
    results = []
    for enabled in (False, True):
        head.load_state_dict(before, strict=False)
        head.zero_grad()
        torch.manual_seed(1)  # the same channels are dropped
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = head(features, lengths)
        logits.float().square().mean().backward()
        gradients = torch.cat([weight.grad.flatten() for weight in head.parameters()])
        statistics = torch.cat([buffer.clone() for buffer in head.buffers()])
        results.append((logits.detach(), gradients, statistics))
    (exact, *exact_others), (logits, *others) = results
    assert logits.dtype == torch.bfloat16
    assert torch.equal(logits == 0, exact == 0)
    torch.testing.assert_close(logits.float(), exact, atol=0.02 * float(exact.abs().max()), rtol=0)
    for found, expected in zip(others, exact_others, strict=True):
        assert found.dtype == torch.float32
        assert float((found - expected).norm() / expected.norm()) < 0.05


def test_a_network_in_bfloat16_learns() -> None:
    """All of it, without autocast."""
    head = network(dropout=0.1).train().bfloat16()
    _, batch, lengths = padded([20, 4], 0.0)
    head(batch.bfloat16(), lengths).square().mean().backward()
    for name, weight in head.named_parameters():
        assert weight.grad is not None and bool(weight.grad.isfinite().all()), name
