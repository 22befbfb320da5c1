"""Self-attention of the encoders: head by head on a processor, fused kernels elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

AT_ONCE = 2**22
"""Scores made at once in training, 16 MB. Heads one by one would be the quickest on an idle
processor, but each small operation waits for all threads, and so for whatever else runs there."""


class Attention(nn.Module):
    """Multi-head self-attention of HuBERT and wav2vec 2.0.

    On a processor the scores of one head, a few MB, are made, normalised and used while they are
    in its cache; the scores of all heads together would go through memory four times. With
    gradients some heads go together, see `Mixing`. With padding, or on an accelerator, torch's
    fused kernels do it.

    Parameters
    ----------
    attention : nn.Module
        Attention of transformers, whose parameters move here under their names.
    """

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    out_proj: nn.Module

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads: int = attention.num_heads
        self.dropout: float = attention.dropout
        self.joined: nn.Linear | None = None
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, getattr(attention, name))

    def join(self) -> None:
        """Make one layer of the three for queries, keys and values: one product, not three."""
        parts = [self.q_proj, self.k_proj, self.v_proj]
        joined = nn.utils.skip_init(
            nn.Linear, parts[0].in_features, sum(part.out_features for part in parts)
        )
        joined.weight = nn.Parameter(torch.cat([part.weight for part in parts]))
        joined.bias = nn.Parameter(torch.cat([part.bias for part in parts]))
        self.joined = joined
        del self.q_proj, self.k_proj, self.v_proj

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object
    ) -> tuple[Tensor, None]:
        """Attend; called by the layers of transformers.

        Parameters
        ----------
        hidden_states : (batch, num_frames, width) Tensor
        attention_mask : (batch, 1, 1, num_frames) Tensor, optional
            Very negative on padding, which is behind the true frames, and zero on these. What
            comes out on padding means nothing.
        """
        return self._attend(hidden_states, attention_mask, None, None), None

    def _attend(
        self, hidden: Tensor, mask: Tensor | None, gate: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        """Attention whose scores gain ``gate * bias``, see `RelativeAttention`."""
        if self.joined is not None:
            parts = self.joined(hidden).chunk(3, dim=-1)
        else:
            parts = [part(hidden) for part in (self.q_proj, self.k_proj, self.v_proj)]
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts
        )
        exporting = torch.jit.is_tracing() or torch.compiler.is_exporting()
        on_processor = hidden.device.type == "cpu" and not exporting
        dropout = self.dropout if self.training else 0.0
        if on_processor and torch.is_grad_enabled() and query.requires_grad:
            counts = [hidden.shape[1]] * len(hidden)
            if mask is not None:
                counts = (mask[:, 0, 0] == 0).sum(dim=-1).tolist()
            mixed = Mixing.apply(query, key, value, gate, bias, counts, dropout)
        elif on_processor and mask is None and not torch.is_grad_enabled():
            mixed = torch.empty_like(hidden).unflatten(-1, (self.num_heads, -1))
            for item in range(len(hidden)):
                for head in range(self.num_heads):
                    scores = _scores(
                        query[item, head],
                        key[item, head],
                        None if gate is None else gate[item, head],
                        None if bias is None else bias[0, head],
                    )
                    mixed[item, :, head] = torch.softmax(scores, dim=-1) @ value[item, head]
        else:
            if gate is not None and bias is not None:
                mask = gate * bias if mask is None else gate * bias + mask
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=dropout
            ).transpose(1, 2)
        output: Tensor = self.out_proj(mixed.flatten(2))
        return output


def _scores(query: Tensor, key: Tensor, gate: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scores of one head as (num_frames, num_frames), of (num_frames, width) queries and keys."""
    scale = query.shape[-1] ** -0.5
    if gate is None or bias is None:
        return torch.mm(query * scale, key.t())
    return torch.addmm(bias * gate, query, key.t(), alpha=scale)


class Mixing(torch.autograd.Function):
    """Values mixed as queries and keys say, of a recording after the other, with gradients.

    ::

        shares = softmax(q k' / sqrt(d) + gate bias)      (num_frames, num_frames) of each head
        mixed  = dropout(shares) v

    What is kept for the gradients are the shares alone, negative where dropout leaves them out:
    less than half of what torch's operators keep. Frames of padding are not looked at.

    Examples
    --------
    >>> key = torch.tensor([[[[1.0], [1.0], [1.0]]]])  # all alike, so the mean of the true ones
    >>> value = torch.tensor([[[[1.0], [2.0], [9.0]]]])
    >>> Mixing.apply(key, key, value, None, None, [2], 0.0).flatten()
    tensor([1.5000, 1.5000, 0.0000])
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        gate: Tensor | None,
        bias: Tensor | None,
        counts: list[int],
        dropout: float,
    ) -> Tensor:
        """Mix.

        Parameters
        ----------
        query, key, value : (batch, num_heads, num_frames, width) Tensor
        gate : (batch, num_heads, num_frames, 1) Tensor, optional
        bias : (1, num_heads, num_frames, num_frames) Tensor, optional
        counts : list of int
            True frames of each recording.
        dropout : float

        Returns
        -------
        (batch, num_frames, num_heads, width) Tensor
            Zero on padding.
        """
        scale, shares = query.shape[-1] ** -0.5, []
        mixed = torch.zeros_like(value)
        for at, square in _portions(counts, query.shape[1]):
            if gate is None or bias is None:
                scores = torch.bmm(query[at] * scale, key[at].mT)
            else:
                offset = (bias[square] * gate[at]).to(query.dtype)
                scores = torch.baddbmm(offset, query[at], key[at].mT, alpha=scale)
            share = torch.softmax(scores, dim=-1)
            if dropout:
                share = _marked(share, dropout)
            shares.append(share)
            mixed[at] = (share.clamp(min=0.0) if dropout else share) @ value[at]
        if dropout:
            mixed.mul_(1.0 / (1.0 - dropout))
        ctx.save_for_backward(query, key, value, gate, bias, mixed, *shares)
        ctx.counts, ctx.dropout = counts, dropout
        return mixed.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_mixed: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the five tensors."""
        query, key, value, gate, bias, mixed, *shares = ctx.saved_tensors
        scale, more = query.shape[-1] ** -0.5, 1.0 / (1.0 - ctx.dropout)
        by_mixed = by_mixed.transpose(1, 2)
        by_query, by_key, by_value = (torch.zeros_like(part) for part in (query, key, value))
        by_gate = by_bias = None
        if bias is not None:
            by_gate, by_bias = torch.zeros_like(gate), torch.zeros_like(bias)
        portions = _portions(ctx.counts, query.shape[1])
        for share, (at, square) in zip(shares, portions, strict=True):
            above = by_mixed[at]
            used = share.clamp(min=0.0) if ctx.dropout else share
            share = share.abs() if ctx.dropout else share
            by_value[at] = (used.mT @ above).mul_(more)
            by_scores = (above @ value[at].mT).mul_(used).mul_(more)
            # A row's sum of shares and their gradients is that of its output and its gradients.
            sums = (above * mixed[at]).sum(dim=-1, keepdim=True)
            by_scores.addcmul_(share, sums, value=-1.0)
            by_query[at] = (by_scores @ key[at]).mul_(scale)
            by_key[at] = (by_scores.mT @ query[at]).mul_(scale)
            if by_gate is not None and by_bias is not None:
                by_gate[at] = (by_scores * bias[square]).sum(dim=-1, keepdim=True)
                by_bias[square] += by_scores * gate[at]
        return by_query, by_key, by_value, by_gate, by_bias, None, None


def _portions(counts: list[int], num_heads: int) -> Iterator[tuple[Any, Any]]:
    """Where the true frames of some heads of a recording are, and their pairs in the bias."""
    for item, count in enumerate(counts):
        step = min(num_heads, max(1, AT_ONCE // count**2))
        for first in range(0, num_heads, step):
            heads = slice(first, first + step)
            yield (item, heads, slice(count)), (0, heads, slice(count), slice(count))


def _marked(shares: Tensor, dropout: float) -> Tensor:
    """Shares, those negative that dropout leaves out."""
    # Four at a time from 64 random bits: a third of the time of `bernoulli_`, which takes as long
    # as the two products together.
    bits = torch.empty(-(-shares.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = bits.view(torch.int16)[: shares.numel()].view_as(shares)
    return torch.where(bits < round(dropout * 2**16) - 2**15, -shares, shares)


class RelativeAttention(Attention):
    """WavLM's self-attention (Chen et al. 2022, section III-B): scores gain a gated position bias.

    ::

        scores[i, j] = q[i] k[j] / sqrt(d) + gate[i] bias[bucket(j - i)]

    The bias depends on the distance alone and is shared by all layers; the first one holds its
    table. Parameters are as in `Attention`, of ``WavLMAttention``.
    """

    rel_attn_embed: nn.Embedding

    def __init__(self, attention: Any) -> None:
        super().__init__(attention)
        self.num_buckets: int = attention.num_buckets
        self.max_distance: int = attention.max_distance
        self.gru_rel_pos_linear: nn.Module = attention.gru_rel_pos_linear
        self.gru_rel_pos_const: nn.Parameter = attention.gru_rel_pos_const
        if hasattr(attention, "rel_attn_embed"):
            self.rel_attn_embed = attention.rel_attn_embed

    def forward(  # type: ignore[override]  # WavLM's layers hand the bias on
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor, None, Tensor]:
        """Attend; called by the layers of transformers.

        Parameters
        ----------
        hidden_states, attention_mask
            As in `Attention`.
        position_bias : (1, num_heads, num_frames, num_frames) Tensor, optional
            From the layer before; the first layer makes it.
        """
        if position_bias is None:
            position_bias = self.position_bias(hidden_states.shape[1])
        gate = self._gate(hidden_states)
        return self._attend(hidden_states, attention_mask, gate, position_bias), None, position_bias

    def _gate(self, hidden: Tensor) -> Tensor:
        """How much each frame and head heeds positions: (batch, num_heads, num_frames, 1)."""
        heads = hidden.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        sums = self.gru_rel_pos_linear(heads).unflatten(-1, (2, 4)).sum(-1)
        update, reset = torch.sigmoid(sums).chunk(2, dim=-1)
        gate: Tensor = update * (reset * self.gru_rel_pos_const - 1.0) + 2.0
        return gate

    def position_bias(self, num_frames: int) -> Tensor:
        """Bias of every pair of frames, ungated: (1, num_heads, num_frames, num_frames)."""
        table = self.rel_attn_embed.weight
        distances = torch.arange(1 - num_frames, num_frames, device=table.device)
        values = table[self._bucket(distances)].t()  # (num_heads, 2 num_frames - 1)
        if torch.compiler.is_exporting():  # to ONNX, which has no stretches of unknown length
            frames = torch.arange(num_frames, device=table.device)
            columns = (frames - frames[:, None] + num_frames - 1).flatten()
            return values.index_select(1, columns).unflatten(1, (num_frames, num_frames))[None]
        # Row i begins at distance -i: all rows are stretches of the one vector.
        return values.unfold(-1, num_frames, 1).flip(-2)[None].contiguous()

    def _bucket(self, distances: Tensor) -> Tensor:
        """Row of the table for distances: exact when near, logarithmic when far."""
        half = self.num_buckets // 2
        exact = half // 2
        far = distances.abs().clamp(min=1)
        logarithm = torch.log(far.float() / exact) / math.log(self.max_distance / exact)
        large = (exact + logarithm * (half - exact)).long().clamp(max=half - 1)
        bucket = torch.where(distances.abs() < exact, distances.abs(), large)
        return bucket + half * (distances > 0)
