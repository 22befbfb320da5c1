"""Layers of side-by-side TIM-Nets, with gradients that take few passes over memory.

Tensors are (branches, channels, frames, batch), and frames before recordings in memory, so what a
dilated convolution looks back on lies in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sed.training import passes

Run = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What turns a function of `sed.training.passes` into the one that is run."""

EPS = 1e-3  # of batch normalisation, as in Keras


def convolved(rows: Tensor, taps: Tensor, shift: int) -> Tensor:
    """Rows (branches, channels, columns), with those `shift` columns before, times the taps.

    ::

        present    x0 x1 x2 x3 x4 x5
        before      .  . x0 x1 x2 x3         nothing before the first: that part is not computed
    """
    channels = rows.shape[1]
    out = torch.bmm(taps[..., channels:], rows)
    if shift < rows.shape[2]:
        out[..., shift:].baddbmm_(taps[..., :channels], rows[..., :-shift])
    return out


class Convolution(torch.autograd.Function):
    """Dilated convolution, batch normalisation, ReLU and a mask of channels."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        taps: Tensor,
        gain: Tensor,
        offset: Tensor,
        masks: Tensor | None,
        count: Tensor,
        distance: int,
        run: Run,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the layer gives, and mean and variance of what it normalised."""
        shift, taps = distance * rows.shape[-1], taps.to(rows.dtype)
        given = convolved(rows.flatten(2), taps, shift).view_as(rows)
        mean, variance = run(passes.moments)(given, count)
        scale = gain * torch.rsqrt(variance + EPS)
        out = run(passes.rectified)(given, scale, offset - mean * scale, masks)
        ctx.save_for_backward(rows, taps, given, out, gain, mean, variance, count)
        ctx.shift, ctx.run = shift, run
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, taps, gain and offset."""
        rows, taps, given, out, gain, mean, variance, count = ctx.saved_tensors
        inverse = torch.rsqrt(variance + EPS)
        to_offset, to_gain = ctx.run(passes.gradient_sums)(gradient, out, given, mean)
        # The normalisation hands on what is left across the mean and the deviation.
        scale, to_gain = gain * inverse, to_gain * inverse
        slope = scale * inverse * to_gain / count
        shift = scale * to_offset / count - slope * mean
        back = ctx.run(passes.normalization_gradient)(gradient, out, given, scale, slope, shift)
        inward, weights = _convolution_gradients(back.flatten(2), rows.flatten(2), taps, ctx.shift)
        return inward.view_as(rows), weights.float(), to_gain, to_offset, None, None, None, None


def _convolution_gradients(
    back: Tensor, rows: Tensor, taps: Tensor, shift: int
) -> tuple[Tensor, Tensor]:
    """Gradients of the rows and of the taps of `convolved`."""
    channels = rows.shape[1]
    inward = torch.bmm(taps[..., channels:].mT, back)
    earlier = torch.zeros_like(taps[..., :channels])
    if shift < rows.shape[2]:
        inward[..., :-shift].baddbmm_(taps[..., :channels].mT, back[..., shift:])
        # Given pieces that lie apart, a product in bfloat16 would first transpose them.
        earlier = torch.bmm(back[..., shift:].contiguous(), rows[..., :-shift].contiguous().mT)
    return inward, torch.cat((earlier, torch.bmm(back, rows.mT)), dim=2)


class Gate(torch.autograd.Function):
    """``rows * sigmoid(map)``, and its mean over time.

    Autograd alone would hand on a mean's gradient with strides of zero, which slow down all that
    follows.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, attention: Tensor, run: Run) -> tuple[Tensor, Tensor]:
        """The gated rows, and their mean."""
        out, mean, gate = run(passes.gated)(rows, attention)
        ctx.save_for_backward(gate, out)
        ctx.run = run
        ctx.set_materialize_grads(False)
        return out, mean

    @staticmethod
    def backward(ctx: Any, straight: Tensor | None, pooled: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of the rows and of the map."""
        gate, out = ctx.saved_tensors
        pooled = pooled.contiguous()  # else read number by number, once for every frame
        return *ctx.run(passes.gate_gradients)(straight, pooled, gate, out), None
