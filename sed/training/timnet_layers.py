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


def convolved(rows: Tensor, taps: Tensor, shift: int) -> Tensor:
    """Rows (branches, channels, columns), with those `shift` columns before, times the taps.

    ::

        present    x0 x1 x2 x3 x4 x5
        before      .  . x0 x1 x2 x3         nothing before the first: that part is not computed
    """
    before, present = taps.split(rows.shape[1], dim=2)
    earlier, later = _parts(rows.shape[2], shift)
    return _two_products(present, before, rows, of=earlier, to=later)


def _parts(length: int, shift: int) -> tuple[slice, slice]:
    """Columns that another one looks back on, and those that look back."""
    return slice(0, max(length - shift, 0)), slice(shift, length)


def _two_products(all_by: Tensor, part_by: Tensor, rows: Tensor, of: slice, to: slice) -> Tensor:
    """``all_by @ rows``, and in the columns `to` also ``part_by @ rows[..., of]``.

    A product in bfloat16 first rearranges its rows: where the part is most of them, it takes less
    time to multiply all by both at once than to add up in a second product.
    """
    length, channels = rows.shape[2], all_by.shape[1]
    if rows.dtype != torch.bfloat16 or 4 * (of.stop - of.start) < 3 * length:
        out = torch.bmm(all_by, rows)
        if of.stop > of.start:
            out[..., to].baddbmm_(part_by, rows[..., of])
        return out
    both = torch.bmm(torch.cat((all_by, part_by), dim=1), rows)
    by_all, by_part = both.split(channels, dim=1)
    out = torch.empty_like(rows)
    torch.add(by_all[..., to], by_part[..., of], out=out[..., to])
    rest = slice(0, to.start) if to.start else slice(to.stop, length)
    out[..., rest] = by_all[..., rest]
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
        out, mean, variance = run(passes.normalized)(given, gain, offset, masks, count)
        ctx.save_for_backward(rows, taps, given, out, gain, mean, variance, count)
        ctx.shift, ctx.run = shift, run
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, taps, gain and offset."""
        rows, taps, given, out, gain, mean, variance, count = ctx.saved_tensors
        back, to_gain, to_offset = ctx.run(passes.normalization_gradients)(
            gradient, out, given, gain, mean, variance, count
        )
        inward, weights = convolution_gradients(back.flatten(2), rows.flatten(2), taps, ctx.shift)
        return inward.view_as(rows), weights.float(), to_gain, to_offset, None, None, None, None


def convolution_gradients(
    back: Tensor, rows: Tensor, taps: Tensor, shift: int
) -> tuple[Tensor, Tensor]:
    """Gradients of the rows and of the taps of `convolved`."""
    before, present = taps.split(rows.shape[1], dim=2)
    earlier, later = _parts(rows.shape[2], shift)
    inward = _two_products(present.mT, before.mT, back, of=later, to=earlier)
    # Given pieces that lie apart, a product in bfloat16 would first transpose them.
    to_before = torch.bmm(back[..., later].contiguous(), rows[..., earlier].contiguous().mT)
    return inward, torch.cat((to_before, torch.bmm(back, rows.mT)), dim=2)


class Gate(torch.autograd.Function):
    """``rows * sigmoid(map)``, and its mean over time.

    Autograd alone would hand on a mean's gradient with strides of zero, which slow down all that
    follows.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, attention: Tensor, run: Run) -> tuple[Tensor, Tensor]:
        """The gated rows, and their mean."""
        out, gate = run(passes.gated)(rows, attention)
        ctx.save_for_backward(gate, out)
        ctx.run = run
        ctx.set_materialize_grads(False)
        return out, run(passes.mean_over_time)(out)

    @staticmethod
    def backward(ctx: Any, straight: Tensor | None, pooled: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of the rows and of the map."""
        gate, out = ctx.saved_tensors
        pooled = pooled.contiguous()  # else read number by number, once for every frame
        return *ctx.run(passes.gate_gradients)(straight, pooled, gate, out), None
