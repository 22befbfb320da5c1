"""TIM-Nets side by side: what `TIMNet` computes alone, Keras's formulas, and unequal batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_cepstra import trained
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.heads import TIMNet  # noqa: E402
from sed.heads.timnet import DilatedConvolution, Direction, Frames  # noqa: E402
from sed.interop.keras_timnet import load_timnet  # noqa: E402
from sed.training.passes import has_compiler  # noqa: E402
from sed.training.timnet_layers import convolution_gradients, convolved  # noqa: E402
from sed.training.timnets import VARIANTS, Columns, TIMNets  # noqa: E402

NUM_FEATURES, NUM_CLASSES, NUM_NETWORKS, BATCH = 6, 4, 3, 5
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def make_networks(num_blocks: int = 3, dropout: float = 0.0) -> list[TIMNet]:
    """Networks of unequal weights."""
    shape = {"channels": 7, "num_blocks": num_blocks, "dropout": dropout}
    return [trained(TIMNet(NUM_FEATURES, NUM_CLASSES, **shape)) for _ in range(NUM_NETWORKS)]


def alone(network: TIMNet, features: Tensor, variant: str = "timnet") -> Tensor:
    """Logits, (batch, num_classes), of (num_features, num_frames, batch) by one network."""
    features = features.permute(2, 1, 0)
    if variant == "timnet":
        return network.utterance(features)
    batch, num_frames, _ = features.shape
    rows, frames = features.flatten(0, 1), Frames(torch.full((batch,), num_frames))
    last = F.one_hot(torch.tensor(network.num_blocks - 1), network.num_blocks).to(features)
    if variant == "tcn":
        rows = network.back.into(rows)
        for block in network.back.blocks:
            rows = torch.relu(rows + block.second(block.first(rows, frames), frames))
    elif variant == "without-backward":
        rows = network.back(rows, frames, network.fusion)
    else:
        equal = torch.full_like(last, 1 / network.num_blocks)
        fusion = last if variant == "without-multi-scale" else equal
        rows = network.back(rows, frames, fusion) + network.ahead(rows, frames, fusion)
    return network.classify(rows).unflatten(0, (batch, num_frames)).mean(dim=1)


def branches(together: TIMNets, networks: list[TIMNet]) -> list[Direction]:
    """In the order in which the networks that are together have them."""
    pairs = [(network.back, network.ahead) for network in networks]
    return [branch for pair in pairs for branch in pair[: together.num_directions]]


def halves(branch: Direction) -> list[DilatedConvolution]:
    return [half for block in branch.blocks for half in (block.first, block.second)]


def gradients(together: TIMNets, networks: list[TIMNet]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Of every weight: those together, and those alone in the same shape."""
    chains = branches(together, networks)
    layers = [list(layer) for layer in zip(*map(halves, chains), strict=True)]
    found = {
        "into": [chain.into.weight.grad for chain in chains],
        "into_bias": [chain.into.bias.grad for chain in chains],
        "taps": [torch.stack([half.weight.grad for half in layer]) for layer in layers],
        "gain": [torch.stack([half.norm.weight.grad for half in layer]) for layer in layers],
        "offset": [torch.stack([half.norm.bias.grad for half in layer]) for layer in layers],
        "fusion": [network.fusion.grad for network in networks],
        "classify": [network.classify.weight.grad for network in networks],
        "classify_bias": [network.classify.bias.grad for network in networks],
    }
    assert found.keys() == dict(together.named_parameters()).keys()
    for name, weights in together.named_parameters():
        if weights.requires_grad:
            assert weights.grad is not None
            yield name, weights.grad, torch.stack(found[name])  # type: ignore[arg-type]


def assert_near(found: Tensor, expected: Tensor, tolerance: float, name: str = "") -> None:
    """Within a share of the largest value."""
    largest = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= tolerance * largest, name


UNEQUAL = (5, 2, 4)
"""Recordings of each network in a batch."""


@pytest.mark.parametrize("counts", [(5, 5, 5), UNEQUAL], ids=["full", "unequal"])
@pytest.mark.parametrize("num_frames", [20, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_is_that_of_each_network_alone(
    variant: str, num_frames: int, counts: tuple[int, ...]
) -> None:
    """Logits, running statistics and gradients; with blocks that look back 1, 2, 4 and 8 frames.

    Where a network has fewer recordings than the others, what stands in their places is without
    effect.
    """
    networks = make_networks(num_blocks=4)
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, num_frames, BATCH)
    valid = torch.arange(BATCH) < torch.tensor(counts)[:, None]
    given = torch.where(valid[:, None, None], features, 1e6)
    together = TIMNets(networks, variant=variant)
    columns = together.draw_masks(valid, [torch.Generator() for _ in networks])
    weights = torch.randn(NUM_NETWORKS, BATCH, NUM_CLASSES)
    logits = together(given, columns)
    (logits * weights * valid[..., None]).sum().backward()
    for place, (network, count) in enumerate(zip(networks, counts, strict=True)):
        expected = alone(network.double(), features[place, ..., :count].double(), variant)
        assert_near(logits[place, :count].detach(), expected.detach(), 1e-5)
        (expected * weights[place, :count]).sum().backward()
    for name, found, wanted in gradients(together, networks):
        assert_near(found, wanted, 1e-5, name)
    for place, branch in enumerate(branches(together, networks)):
        for layer, half in enumerate(halves(branch)):
            mean = half.norm.running_mean - half.bias.detach()  # of rows without their bias
            assert_near(together.mean[layer, place], mean, 1e-5)
            assert_near(together.variance[layer, place], half.norm.running_var, 1e-5)
            assert half.bias.grad is not None  # that of the bias is nothing but rounding
            assert half.bias.grad.abs().max() < 1e-4 * half.weight.grad.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("num_frames", [20, 4, 1])
def test_inference_is_that_of_each_network_alone(num_frames: int, variant: str) -> None:
    networks = [network.eval() for network in make_networks(num_blocks=4)]
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, num_frames, BATCH)
    logits = TIMNets(networks, variant=variant).eval()(features)
    for found, network, given in zip(logits, networks, features, strict=True):
        assert_near(found, alone(network, given, variant), 1e-5)


@torch.no_grad()
def test_posteriors_are_those_of_keras_itself() -> None:
    """See ``make_keras_timnet.py`` beside the golden values."""
    golden = json.loads((GOLDEN / "keras_timnet.json").read_text())
    features = torch.tensor(golden["features"]).permute(2, 1, 0)
    together = TIMNets([load_timnet(GOLDEN / "keras_timnet.hdf5")] * 2).eval()
    for found in together(torch.stack((features, features))).softmax(dim=-1):
        torch.testing.assert_close(found, torch.tensor(golden["softmax"]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_block_is_that_of_kerass_formulas_in_training(rng: np.random.Generator) -> None:
    """Epsilon 1e-3, which counts where the variance is small, and momentum 0.99."""
    network = TIMNet(NUM_FEATURES, NUM_CLASSES, channels=3, num_blocks=1, dropout=0.0)
    together = TIMNets([network], variant="without-backward")
    features = 0.05 * rng.standard_normal((NUM_FEATURES, 9, BATCH))
    found = together.embed(torch.tensor(features[None], dtype=torch.float32))[0]

    rows = network.back.into.weight.numpy() @ features.reshape(NUM_FEATURES, -1)
    rows = rows.reshape(3, 9, BATCH)
    inner = rows
    for layer, half in enumerate(halves(network.back)):
        past, present = np.split(half.weight.numpy(), 2, axis=1)
        before = np.concatenate((np.zeros((3, 1, BATCH)), inner[:, :-1]), axis=1)
        inner = np.einsum("dc,ctb->dtb", past, before) + np.einsum("dc,ctb->dtb", present, inner)
        mean, variance = inner.mean(axis=(1, 2)), inner.var(axis=(1, 2))
        assert layer or variance.max() < 0.01  # a tenth of it is epsilon at least
        np.testing.assert_allclose(together.mean[layer, 0], 0.01 * mean, rtol=1e-4, atol=1e-7)
        unbiased = variance * 45 / 44
        np.testing.assert_allclose(together.variance[layer, 0], 0.99 + 0.01 * unbiased, rtol=1e-6)
        spread = np.sqrt(variance + 1e-3)[:, None, None]
        inner = np.maximum((inner - mean[:, None, None]) / spread, 0)
    expected = (rows / (1 + np.exp(-inner))).mean(axis=1) * network.fusion.numpy()
    np.testing.assert_allclose(found, expected.T, rtol=1e-4, atol=1e-7)


def test_a_fusion_that_is_not_learned_is_of_the_last_block_or_plain() -> None:
    networks = make_networks(num_blocks=4)
    fixed = {
        "tcn": [0, 0, 0, 1],
        "without-multi-scale": [0, 0, 0, 1],
        "without-dynamic-fusion": [0.25] * 4,
    }
    for variant in VARIANTS:
        fusion = TIMNets(networks, variant=variant).fusion
        assert fusion.requires_grad == (variant not in fixed)
        for found, network in zip(fusion.tolist(), networks, strict=True):
            assert found == fixed.get(variant, network.fusion.tolist())


def test_initial_fusions_are_small_as_in_keras() -> None:
    fusion = TIMNets([TIMNet(2, 2, channels=2, num_blocks=8) for _ in range(30)]).fusion
    assert fusion.shape == (30, 8) and fusion.abs().max() <= 0.05
    assert fusion.min() < -0.045 and fusion.max() > 0.045 and fusion.mean().abs() < 0.005


def test_dropout_takes_channels_of_a_recording_in_all_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And makes up for them: alone with the same channels left, a network computes the same."""
    networks, dropout = make_networks(dropout=0.4), 0.4
    together = TIMNets(networks)
    valid = torch.arange(BATCH) < torch.tensor(UNEQUAL)[:, None]
    columns = together.draw_masks(valid, [torch.Generator().manual_seed(n) for n in range(3)])
    assert columns.masks is not None and columns.masks.shape == (6, 6, 7, BATCH)
    assert columns.masks.unique().tolist() == [0, 1]
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, 10, BATCH)
    logits = together(features, columns)
    left = {
        half: masks[:, :count]
        for branch, of_branch, count in zip(
            branches(together, networks),
            columns.masks.unbind(dim=1),
            np.repeat(UNEQUAL, 2),
            strict=True,
        )
        for half, masks in zip(halves(branch), of_branch, strict=True)
    }
    monkeypatch.setattr(
        DilatedConvolution,
        "_dropped_channels",
        lambda half, rows, frames: left[half].T[frames.sequence] / (1 - dropout),
    )
    for place, (network, count) in enumerate(zip(networks, UNEQUAL, strict=True)):
        expected = alone(network, features[place, ..., :count])
        assert_near(logits[place, :count].detach(), expected.detach(), 1e-5)


def test_channels_are_dropped_as_often_as_asked_and_by_each_networks_own_chance() -> None:
    networks = [TIMNet(2, 2, channels=32, num_blocks=4, dropout=0.1) for _ in range(3)]
    together = TIMNets(networks)
    valid = torch.ones(3, 40, dtype=torch.bool)
    valid[1, 25:] = False
    columns = together.draw_masks(valid, [torch.Generator().manual_seed(n) for n in (1, 2, 1)])
    assert columns.valid is not None and columns.masks is not None
    assert torch.equal(columns.valid, valid.float())
    first, second, third = columns.masks.split(2, dim=1)
    assert abs(float(first.mean()) - 0.9) < 0.01  # of 20,480: five deviations
    assert not second[..., 25:].any() and abs(float(second[..., :25].mean()) - 0.9) < 0.015
    assert torch.equal(first, third) and not torch.equal(first[..., :25], second[..., :25])
    drawn = TIMNets(networks[:1]).draw_masks(valid[1:2, :25], [torch.Generator().manual_seed(2)])
    assert drawn.valid is None and drawn.masks is not None  # alone, nobody is missing
    assert torch.equal(drawn.masks, second[..., :25])


@pytest.mark.parametrize("shift", [1, 5, 10, 11, 39, 40, 60])
def test_products_in_bf16_are_those_in_fp32(shift: int) -> None:
    """Of small whole numbers, which neither rounds; of 40 columns, of which so many look back."""
    rows, back = (torch.randint(-2, 3, (2, 6, 40)).float() for _ in range(2))
    taps = torch.randint(-2, 3, (2, 6, 12)).float()
    seen = F.pad(rows, (shift, 0))[..., :40]
    expected = torch.bmm(taps, torch.cat((seen, rows), dim=1))
    low = [each.bfloat16() for each in (rows, taps, back)]
    for dtype, given in ((torch.float32, (rows, taps, back)), (torch.bfloat16, low)):
        found = convolved(*given[:2], shift)
        assert found.dtype == dtype and torch.equal(found.float(), expected)
    wanted, found = (convolution_gradients(b, r, t, shift) for r, t, b in ((rows, taps, back), low))
    for theirs, ours in zip(wanted, found, strict=True):
        assert torch.equal(ours.float(), theirs)


def test_bf16_is_near_fp32() -> None:
    """Within 1 % of the largest logit, and gradients within 10 % of their norm.

    Rounding turns units on and off that are near the edge of their ReLU: with other random weights
    that makes 3 to 11 % in the dilated convolutions, and at most 0.3 % in the logits.
    """
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, 30, BATCH)
    weights = torch.randn(NUM_NETWORKS, BATCH, NUM_CLASSES)
    networks = make_networks(num_blocks=4)
    exact, low = (TIMNets(networks, precision=name) for name in ("fp32", "bf16"))
    logits = [each(features) for each in (exact, low)]
    assert_near(logits[1].detach(), logits[0].detach(), 0.01)
    assert not torch.equal(*logits)
    for given in logits:
        (given * weights).sum().backward()
    for (name, expected), found in zip(exact.named_parameters(), low.parameters(), strict=True):
        assert expected.grad is not None and found.grad is not None
        assert found.grad.dtype == torch.float32
        difference = (found.grad - expected.grad).norm() / expected.grad.norm()
        assert difference < 0.1, name


@pytest.mark.skipif(
    not has_compiler(), reason="no C++ compiler for torch.compile, or a space in the path"
)
@pytest.mark.filterwarnings("ignore")  # those of the compiler about itself
def test_compiled_passes_compute_the_same() -> None:
    networks = make_networks(num_blocks=2, dropout=0.1)
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, 9, BATCH)
    valid = torch.arange(BATCH) < torch.tensor(UNEQUAL)[:, None]
    plain, quick = (TIMNets(networks, compiled=compiled) for compiled in (False, True))
    columns = plain.draw_masks(valid, [torch.Generator().manual_seed(n) for n in range(3)])
    for each in (plain, quick):
        each.train()(features, columns)[valid].square().sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), quick.parameters(), strict=True):
        assert expected.grad is not None and found.grad is not None
        assert_near(found.grad, expected.grad, 1e-5, name)
    for (name, expected), found in zip(plain.named_buffers(), quick.buffers(), strict=True):
        assert_near(found, expected, 1e-5, name)
    with torch.no_grad():
        assert_near(quick.eval()(features), plain.eval()(features), 1e-5)


@pytest.mark.parametrize("variant", ["timnet", "without-multi-scale", "without-dynamic-fusion"])
def test_a_network_can_be_taken_out(variant: str) -> None:
    together = TIMNets(make_networks(dropout=0.3), variant=variant)
    features = torch.randn(NUM_NETWORKS, NUM_FEATURES, 10, BATCH)
    optimizer = torch.optim.SGD([w for w in together.parameters() if w.requires_grad], lr=0.1)
    together(features).square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        logits = together.eval()(features)
        for place in range(NUM_NETWORKS):
            network = together.network(place).eval()
            assert network.back.blocks[0].first.dropout == 0.3
            assert_near(alone(network, features[place]), logits[place], 1e-5)


@pytest.mark.parametrize("variant", ["tcn", "without-backward"])
def test_what_looks_back_only_is_not_taken_out(variant: str) -> None:
    with pytest.raises(ValueError, match=f"a {variant} is no TIM-Net, which looks both ways"):
        TIMNets(make_networks(), variant=variant).network(0)


def test_what_there_is_not_is_refused() -> None:
    networks = make_networks()
    with pytest.raises(ValueError, match="unknown variant 'lstm'; known are timnet, tcn, without"):
        TIMNets(networks, variant="lstm")
    with pytest.raises(ValueError, match="trained in fp32 or bf16, not 'fp16'"):
        TIMNets(networks, precision="fp16")
    with pytest.raises(ValueError, match="places without a recording take masks"):
        TIMNets(networks)(
            torch.zeros(NUM_NETWORKS, NUM_FEATURES, 3, 2),
            Columns(torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])),
        )
