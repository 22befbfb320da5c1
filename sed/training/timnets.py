"""TIM-Nets side by side: the networks of a cross-validation as one batched computation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sed.heads import TIMNet
from sed.heads.timnet import DilatedConvolution, Direction, TemporalAwareBlock
from sed.training import passes
from sed.training.timnet_layers import Convolution, Gate, convolved

VARIANTS = ("timnet", "tcn", "without-backward", "without-multi-scale", "without-dynamic-fusion")
"""The network, and what is left of it in the paper's ablations (Ye et al. 2023, table 3)."""

_MOMENTUM = 0.01
_MULTIPLE = 8  # of channels: products of matrices take up to twice as long with 39 as with 40


@dataclass(frozen=True)
class Columns:
    """Which recordings of a batch are there: the networks' batches may be of unequal size.

    Parameters
    ----------
    valid : (num_networks, batch) Tensor, optional
        1 for a recording and 0 for a place without one; all are there by default.
    masks : (num_layers, num_branches, channels, batch) Tensor, optional
        Channels that spatial dropout leaves, 1 or 0, zero also where there is no recording.
    """

    valid: Tensor | None = None
    masks: Tensor | None = None


class TIMNets(nn.Module):
    """Several TIM-Nets of one shape, each with its own weights, input and random numbers.

    ::

        network 1   features ───────── chain of blocks ─┐
                        └── reversed ─ chain of blocks ─┴─ mean over time, fusion ─ logits
        network 2   features ───────── chain of blocks ─┐
                        └── reversed ─ chain of blocks ─┴─ mean over time, fusion ─ logits
          …                            all chains are one batch of matrix products

    A recording's logits are `TIMNet.utterance`'s, and the gradients are those of the networks one
    after the other. Time comes before the recordings in memory, so what a dilated convolution
    looks back on lies in one piece, and nothing is copied to be shifted.

    The convolutions' biases are left out: batch normalisation takes them away again, and their
    gradients are zero. Channels are filled up to a multiple of 8 with silent ones.

    Parameters
    ----------
    networks : sequence of TIMNet
        Initial weights, and the shape, which they share.
    variant : str
        One of `VARIANTS`. A ``tcn`` adds what its blocks compute to their input, where TIM-Net
        gates it, looks back only, and uses the last block (Bai et al. 2018).
    precision : {"fp32", "bf16"}
        Of what stands between one layer and the next. What is computed in a layer, sums and
        weights are in float32; products of bfloat16 are added up in it.
    compiled : bool
        Whether `sed.training.passes` is compiled, which takes a minute once, and a C++ compiler.

    Examples
    --------
    >>> networks = [TIMNet(39, 7, num_blocks=3, dropout=0.0) for fold in range(10)]
    >>> features = torch.randn(10, 39, 50, 4)  # 4 recordings of 50 frames for each network
    >>> logits = TIMNets(networks).eval()(features)
    >>> alone = networks[9].eval().utterance(features[9].permute(2, 1, 0))
    >>> torch.allclose(logits[9], alone, atol=1e-5)
    True
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self,
        networks: Sequence[TIMNet],
        *,
        variant: str = "timnet",
        precision: str = "fp32",
        compiled: bool = False,
    ) -> None:
        super().__init__()
        check(variant, precision)
        self.variant, self.compiled = variant, compiled
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        one_way = variant in ("tcn", "without-backward")
        self.num_directions = 1 if one_way else 2
        self.num_networks, self.num_blocks = len(networks), networks[0].num_blocks
        self.dropout = _halves(networks[0].back)[0].dropout
        pairs = [(network.back, network.ahead) for network in networks]
        branches = [branch for pair in pairs for branch in pair[: self.num_directions]]
        layers = [_halves(branch) for branch in branches]
        norms = [[half.norm for half in halves] for halves in layers]

        def stacked(tensors: list[list[Tensor]]) -> Tensor:  # (num_layers, num_branches, …)
            rows = [torch.stack(of_branch) for of_branch in tensors]
            return torch.stack(rows, dim=1).detach().clone()

        self.into = nn.Parameter(torch.stack([b.into.weight for b in branches]).detach().clone())
        self.into_bias = nn.Parameter(torch.stack([b.into.bias for b in branches]).detach().clone())
        self.taps = nn.Parameter(stacked([[half.weight for half in row] for row in layers]))
        self.gain = nn.Parameter(stacked([[norm.weight for norm in row] for row in norms]))
        self.offset = nn.Parameter(stacked([[norm.bias for norm in row] for row in norms]))
        biases = stacked([[half.bias for half in row] for row in layers])
        means = stacked([[norm.running_mean for norm in row] for row in norms])
        self.register_buffer("mean", means - biases)
        self.register_buffer("variance", stacked([[n.running_var for n in row] for row in norms]))
        fusion = torch.stack([n.fusion for n in networks]).detach().clone()
        if variant in ("tcn", "without-multi-scale"):
            fusion = F.one_hot(torch.full((len(fusion),), self.num_blocks - 1)).to(fusion)
        elif variant == "without-dynamic-fusion":
            fusion = torch.full_like(fusion, 1 / self.num_blocks)
        learned = variant in ("timnet", "without-backward")
        self.fusion = nn.Parameter(fusion, requires_grad=learned)
        classify = [n.classify for n in networks]
        self.classify = nn.Parameter(torch.stack([c.weight for c in classify]).detach().clone())
        self.classify_bias = nn.Parameter(torch.stack([c.bias for c in classify]).detach().clone())

    def forward(self, features: Tensor, columns: Columns | None = None) -> Tensor:
        """Logits of recordings.

        Parameters
        ----------
        features : (num_networks, num_features, num_frames, batch) Tensor
        columns : Columns, optional
            In training, see `draw_masks`.

        Returns
        -------
        (num_networks, batch, num_classes) Tensor
        """
        embeddings = self.embed(features, columns)
        return torch.baddbmm(self.classify_bias[:, None], embeddings, self.classify.mT)

    def embed(self, features: Tensor, columns: Columns | None = None) -> Tensor:
        """What the classifier sees, of shape (num_networks, batch, channels)."""
        columns = columns or Columns()
        ways = (features, features.flip(2))[: self.num_directions]
        chains = torch.stack(ways, dim=1).flatten(0, 1)  # (branches, features, frames, batch)
        _, _, num_frames, batch = chains.shape
        channels = self.into.shape[1]
        silent = -channels % _MULTIPLE
        into, into_bias = F.pad(self.into, (0, 0, 0, silent)), F.pad(self.into_bias, (0, silent))
        rows = torch.baddbmm(into_bias[:, :, None], into, chains.flatten(2))
        rows = rows.unflatten(2, (num_frames, batch))
        count = torch.full((len(rows), 1), num_frames * batch, device=rows.device)
        if columns.valid is not None:
            if self.training and columns.masks is None:
                raise ValueError("places without a recording take masks, see draw_masks")
            there = columns.valid.repeat_interleave(self.num_directions, dim=0)
            rows = rows * there[:, None, None]
            count = there.sum(dim=1, keepdim=True) * num_frames
        rows, pooled, moments = rows.to(self.dtype), [], []
        layers = iter(self._layers(silent, columns.masks))
        for first, second in zip(layers, layers, strict=True):
            inner, *found = self._convolve(first, rows, count)
            moments.append(found)
            inner, *found = self._convolve(second, inner, count)
            moments.append(found)
            if self.variant == "tcn":
                rows = torch.relu(rows + inner)
                mean = rows.mean(dim=2, dtype=torch.float32)
            else:
                rows, mean = Gate.apply(rows, inner, self._run)
            pooled.append(mean)
        if self.training:
            self._remember(moments, count)
        scales = torch.stack(pooled, dim=-1)  # (branches, channels, batch, blocks)
        scales = scales.unflatten(0, (self.num_networks, self.num_directions)).sum(dim=1)
        return torch.einsum("ncbk,nk->nbc", scales[:, :channels], self.fusion)

    def _layers(self, silent: int, masks: Tensor | None) -> Iterator[_Layer]:
        """All layers, with so many silent channels more, whose weights are zero."""
        channels = self.taps.shape[2]
        taps = F.pad(self.taps.unflatten(3, (2, channels)), (0, silent, 0, 0, 0, silent))
        rows = (self.gain, self.offset, self.mean, self.variance)
        gain, offset, mean, variance = (F.pad(row, (0, silent)) for row in rows)
        if masks is not None:
            masks = F.pad(masks, (0, 0, 0, silent))[:, :, :, None]
        for number, weights in enumerate(taps.flatten(3)):
            yield _Layer(
                weights,
                gain[number],
                offset[number],
                mean[number],
                variance[number],
                None if masks is None else masks[number],
                distance=2 ** (number // 2),
            )

    def _convolve(self, layer: _Layer, rows: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        """One dilated convolution, normalised, rectified and with channels dropped; its moments."""
        taps, gain, offset = layer.taps, layer.gain, layer.offset
        if not self.training:
            scale = gain * torch.rsqrt(layer.variance + passes.EPS)
            shift = offset - layer.mean * scale
            given = convolved(rows.flatten(2), taps.to(rows.dtype), layer.distance * rows.shape[3])
            return (self._run(passes.rectified)(given.view_as(rows), scale, shift, None),)
        keep = 1.0 if layer.mask is None else 1.0 - self.dropout
        found: tuple[Tensor, ...] = Convolution.apply(
            rows, taps, gain / keep, offset / keep, layer.mask, count, layer.distance, self._run
        )
        return found

    @torch.no_grad()
    def _remember(self, moments: Sequence[Sequence[Tensor]], count: Tensor) -> None:
        """What batch normalisation needs when nothing is learned any more."""
        channels = self.mean.shape[2]
        mean, variance = (torch.stack(rows)[..., :channels] for rows in zip(*moments, strict=True))
        self.mean.lerp_(mean, _MOMENTUM)
        self.variance.lerp_(variance * (count / (count - 1).clamp(min=1)), _MOMENTUM)

    def _run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of `sed.training.passes`, compiled if so wanted."""
        return passes.compiled(function) if self.compiled else function

    def draw_masks(self, valid: Tensor, generators: Sequence[torch.Generator]) -> Columns:
        """Channels that spatial dropout leaves in a step, by each network's own random numbers.

        Parameters
        ----------
        valid : (num_networks, batch) Tensor of bool
            Recordings that are there, before places without one.
        generators : sequence of torch.Generator
            One of each network; on the processor, so that every device draws the same.

        Returns
        -------
        Columns
        """
        shape = (2 * self.num_blocks, self.num_directions, self.taps.shape[2])
        counts = valid.sum(dim=1).tolist()
        drawn = [
            F.pad(torch.rand(*shape, count, generator=generator), (0, valid.shape[1] - count))
            for count, generator in zip(counts, generators, strict=True)
        ]
        masks = (torch.cat(drawn, dim=1) >= self.dropout).to(self.taps)
        if min(counts) == valid.shape[1]:
            return Columns(None, masks)
        there = valid.to(masks)
        return Columns(there, masks * there.repeat_interleave(self.num_directions, dim=0)[:, None])

    @torch.no_grad()
    def network(self, index: int) -> TIMNet:
        """One of the networks, for use on its own.

        Raises
        ------
        ValueError
            If it is a variant that `TIMNet` cannot compute.
        """
        if self.num_directions == 1:
            raise ValueError(f"a {self.variant} is no TIM-Net, which looks both ways")
        into, taps = self.into, self.taps
        network = TIMNet(
            into.shape[2],
            self.classify.shape[1],
            channels=into.shape[1],
            num_blocks=self.num_blocks,
            dropout=self.dropout,
        ).to(into.device)
        network.fusion.copy_(self.fusion[index])
        network.classify.weight.copy_(self.classify[index])
        network.classify.bias.copy_(self.classify_bias[index])
        for direction, branch in enumerate((network.back, network.ahead)):
            place = 2 * index + direction
            branch.into.weight.copy_(into[place])
            branch.into.bias.copy_(self.into_bias[place])
            for layer, half in enumerate(_halves(branch)):
                half.weight.copy_(taps[layer, place])
                half.norm.weight.copy_(self.gain[layer, place])
                half.norm.bias.copy_(self.offset[layer, place])
                half.norm.running_mean.copy_(self.mean[layer, place])
                half.norm.running_var.copy_(self.variance[layer, place])
        return network


@dataclass(frozen=True)
class _Layer:
    """A dilated convolution of all branches, and its batch normalisation."""

    taps: Tensor
    gain: Tensor
    offset: Tensor
    mean: Tensor
    variance: Tensor
    mask: Tensor | None
    distance: int


def check(variant: str, precision: str) -> None:
    """Refuse a variant or a precision that `TIMNets` does not have.

    Raises
    ------
    ValueError
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known are {', '.join(VARIANTS)}")
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"networks are trained in fp32 or bf16, not {precision!r}")


def _halves(branch: Direction) -> list[DilatedConvolution]:
    """Convolutions of a branch, two of each block."""
    blocks = cast(Iterable[TemporalAwareBlock], branch.blocks)
    return [half for block in blocks for half in (block.first, block.second)]
