"""Self-attention of the encoders: head by head on a processor, fused kernels elsewhere."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention of HuBERT and wav2vec 2.0.

    On a processor the scores of one head, a few MB, are made, normalised and used while they are
    in its cache; the scores of all heads together would go through memory four times. With
    gradients, padding, or on an accelerator torch's fused kernels do it.

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
            Very negative on padding, zero elsewhere.
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
        by_head = hidden.device.type == "cpu" and mask is None and not torch.is_grad_enabled()
        if by_head and not torch.jit.is_tracing() and not torch.compiler.is_exporting():
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
            dropout = self.dropout if self.training else 0.0
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
