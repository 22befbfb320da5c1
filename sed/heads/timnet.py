"""TIM-Net, frame by frame: frame features to frame logits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sed.heads.normalization import RowNorm


class Frames:
    """Rows of a batch of sequences, laid end to end without padding.

    ::

        sequences    a a a a | b b | c c c          rows of one (num_rows, channels) matrix
        ages         0 1 2 3   0 1   0 1 2          frames since the sequence began

    One matrix product per layer serves the whole batch, a short sequence scores the same alone
    and beside a long one, and batch statistics see real frames only.

    Parameters
    ----------
    lengths : (batch,) Tensor of int
        Frames of each sequence.
    num_rows : int, optional
        Their sum, where it is known without a look at a tensor.
    """

    def __init__(self, lengths: Tensor, num_rows: int | None = None) -> None:
        num_rows = int(lengths.sum()) if num_rows is None else num_rows
        rows = torch.arange(num_rows, device=lengths.device)
        ends = torch.cumsum(lengths, dim=0)
        self.sequence = (rows[:, None] >= ends).sum(dim=1)
        self.age = rows - (ends - lengths)[self.sequence]
        self.remaining = ends[self.sequence] - 1 - rows
        self.num_sequences = lengths.shape[0]
        self._inside: dict[int, Tensor | None] = {}

    def shift(self, rows: Tensor, distance: int) -> Tensor:
        """Row `distance` frames earlier (later if negative) of the same sequence, zero outside."""
        gap = rows.new_zeros(abs(distance), rows.shape[1])
        if distance > 0:
            shifted = torch.cat((gap, rows))[: rows.shape[0]]
        else:
            shifted = torch.cat((rows, gap))[-distance:]
        if distance not in self._inside:
            inside = self.age >= distance if distance > 0 else self.remaining >= -distance
            # In a single sequence the gap is all that lies outside.
            alone = self.num_sequences == 1
            self._inside[distance] = None if alone else inside[:, None].to(rows.dtype)
        inside_mask = self._inside[distance]
        return shifted if inside_mask is None else shifted * inside_mask


class DilatedConvolution(nn.Module):
    """Two taps, batch normalisation, ReLU and spatial dropout: half a temporal-aware block.

    Parameters
    ----------
    channels : int
        Width of input and output.
    distance : int
        Dilation; positive looks back in time, negative ahead.
    dropout : float
        Probability that a channel is dropped throughout a sequence.
    """

    def __init__(self, channels: int, distance: int, dropout: float) -> None:
        super().__init__()
        self.distance, self.dropout = distance, dropout
        # Keras counts both taps in fan-in and fan-out: Glorot's bound is sqrt(6 / 4 channels).
        bound = math.sqrt(6 / (4 * channels))
        self.weight = nn.Parameter(torch.empty(channels, 2 * channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = RowNorm(channels, eps=1e-3, momentum=0.01)

    def forward(self, rows: Tensor, frames: Frames) -> Tensor:
        """Convolve rows of shape (num_rows, channels)."""
        taps = torch.cat((frames.shift(rows, self.distance), rows), dim=1)
        if self.training:
            rows = torch.relu(self.norm(torch.addmm(self.bias, taps, self.weight.T)))
            return rows * self._dropped_channels(rows, frames)
        weight, bias = self._folded()
        return torch.relu_(torch.addmm(bias, taps, weight.T))

    def _folded(self) -> tuple[Tensor, Tensor]:
        """Taps with the normalisation, a fixed scale and offset in inference, folded in."""
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        bias = (self.bias - self.norm.running_mean) * scale + self.norm.bias
        return self.weight * scale[:, None], bias

    def _dropped_channels(self, rows: Tensor, frames: Frames) -> Tensor:
        """Factor of every row and channel, the same within a sequence."""
        keep = torch.full((frames.num_sequences, rows.shape[1]), 1 - self.dropout).to(rows.device)
        factors = torch.bernoulli(keep) / (1 - self.dropout)
        return factors.to(rows.dtype)[frames.sequence]


class TemporalAwareBlock(nn.Module):
    """Temporal-aware block of TIM-Net in one direction (Ye et al. 2023, section 2.2).

    Two dilated convolutions make a map that gates the block's input: ``x * sigmoid(map)``.
    Initial weights, epsilon and momentum are those of the authors' Keras code.
    """

    def __init__(self, channels: int, distance: int, dropout: float) -> None:
        super().__init__()
        self.first = DilatedConvolution(channels, distance, dropout)
        self.second = DilatedConvolution(channels, distance, dropout)

    def forward(self, rows: Tensor, frames: Frames) -> Tensor:
        """Gate rows of shape (num_rows, channels)."""
        attention = self.second(self.first(rows, frames), frames)
        if torch.is_grad_enabled():
            gated: Tensor = _Gate.apply(rows, attention)
            return gated
        return rows * _logistic(attention)


def _logistic(attention: Tensor) -> Tensor:
    """``sigmoid(attention)`` of what is not negative.

    Quicker on some processors than torch's own, whose exponential is not the vectorised one.
    """
    return torch.neg(attention).exp_().add_(1.0).reciprocal_()


class _Gate(torch.autograd.Function):
    """``rows * sigmoid(attention)``, with the gate and the product kept for the gradients."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, attention: Tensor) -> Tensor:
        gate = _logistic(attention)
        out = rows * gate
        ctx.save_for_backward(gate, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, out = ctx.saved_tensors
        slope = gradient * out
        return gradient * gate, slope.sub_(slope * gate)


class Direction(nn.Module):
    """Blocks that look back (`sign` 1) or ahead (`sign` -1), behind their 1x1 convolution."""

    def __init__(
        self, num_features: int, channels: int, num_blocks: int, dropout: float, *, sign: int
    ) -> None:
        super().__init__()
        self.into = nn.Linear(num_features, channels)
        self.blocks = nn.ModuleList(
            TemporalAwareBlock(channels, sign * 2**level, dropout) for level in range(num_blocks)
        )

    def forward(self, rows: Tensor, frames: Frames, fusion: Tensor) -> Tensor:
        """Weighted sum of what the blocks give, of shape (num_rows, channels)."""
        rows = self.into(rows)
        fused = torch.zeros_like(rows)
        for weight, block in zip(fusion.unbind(), self.blocks, strict=True):
            rows = block(rows, frames)
            fused = torch.addcmul(fused, rows, weight)
        return fused


class TIMNet(nn.Module):
    """Temporal-aware bi-direction multi-scale network, frame by frame (Ye et al. 2023).

    ::

        features ─ 1x1 ─ block 1 ─ block 2 ─ … ─ block n      looking back
             └──── 1x1 ─ block 1 ─ block 2 ─ … ─ block n      looking ahead
                            +         +            +          sum of both, block by block
                            w1        w2           wn         weighted sum: dynamic fusion
                            └─────────┴── linear ──┘          logits of every frame

    Everything behind the blocks is linear, so the paper's utterance logits (mean over time, then
    fusion, then the fully connected layer) are the mean of these frame logits. The branch that
    looks ahead is a convolution towards the future; the authors' code reverses time instead, which
    gives the same values in reversed order.

    Parameters
    ----------
    num_features, num_classes : int
        Width of the input and of the output.
    channels : int
        Width of the blocks; 39 in the paper.
    num_blocks : int
        Blocks in each direction, dilated by 1, 2, 4 …; 8 in the paper, 10 for IEMOCAP.
    dropout : float
        Spatial dropout within the blocks.

    Examples
    --------
    >>> network = TIMNet(num_features=39, num_classes=7, num_blocks=8)
    >>> sum(p.numel() for p in network.parameters())  # 106 992 with the running statistics
    104496
    >>> network(torch.randn(2, 188, 39)).shape
    torch.Size([2, 188, 7])
    """

    stride = 1
    """Frames of the input for a frame of the output."""

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        channels: int = 39,
        num_blocks: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.num_blocks = num_blocks
        self.back = Direction(num_features, channels, num_blocks, dropout, sign=1)
        self.ahead = Direction(num_features, channels, num_blocks, dropout, sign=-1)
        self.fusion = nn.Parameter(torch.empty(num_blocks).uniform_(-0.05, 0.05))
        self.classify = nn.Linear(channels, num_classes)
        for linear in (self.back.into, self.ahead.into, self.classify):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    @property
    def context(self) -> int:
        """Frames on each side that a frame's logits depend on."""
        return 2 * (2**self.num_blocks - 1)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of every frame.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence, all by default; frames beyond are ignored.

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            Zero beyond a sequence's length.
        """
        batch, num_frames, _ = features.shape
        if lengths is None:
            counts = torch.full((batch,), num_frames, device=features.device)
            return self._of_rows(features.flatten(0, 1), counts).unflatten(0, (batch, num_frames))
        valid = torch.arange(num_frames, device=features.device) < lengths[:, None]
        rows = self._of_rows(features[valid], lengths)  # of another dtype under autocast
        logits = rows.new_zeros(batch, num_frames, rows.shape[1])
        logits[valid] = rows
        return logits

    def _of_rows(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Logits of the rows of sequences of these lengths."""
        frames = Frames(lengths, rows.shape[0])
        fused = self.back(rows, frames, self.fusion) + self.ahead(rows, frames, self.fusion)
        logits: Tensor = self.classify(fused)
        return logits

    def utterance(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of whole utterances, as in the paper: the mean over their frames.

        Returns
        -------
        (batch, num_classes) Tensor
        """
        logits = self(features, lengths)
        if lengths is None:
            return logits.mean(dim=1)
        return logits.sum(dim=1) / lengths[:, None]
