"""What the layers of side-by-side TIM-Nets do element by element, in as few passes as can be.

On a processor such passes wait for memory, not for arithmetic. Compiled, the steps of a function
here become one pass, or two where a sum comes first; without a compiler each is a pass of its own,
and everything else stays as it is. Tensors are (branches, channels, frames, batch).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

EPS = 1e-3
"""Of batch normalisation, as in Keras."""


def has_compiler() -> bool:
    """Whether `torch.compile` works on this processor: whether there is a C++ compiler for it.

    Nor can it link where torch lies in a folder whose name holds a space (torch 2.11).
    """
    names = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
    there = any(shutil.which(name) for name in names if name)
    return there and " " not in torch.__file__


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of this file, compiled for tensors of any size."""
    made: Callable[..., Any] = torch.compile(function, dynamic=True)
    return made


def _wide(values: Tensor) -> Tensor:
    """Values for all frames and recordings of a channel, as something to compute with."""
    return values[:, :, None, None]


def normalized(
    convolved: Tensor, gain: Tensor, offset: Tensor, masks: Tensor | None, count: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation, ReLU and a mask; and mean and variance of each channel before it.

    Places without a recording are zero: they add nothing to the first sum, and the square of the
    mean to the second, which is taken off again.

    Parameters
    ----------
    convolved : (branches, channels, frames, batch) Tensor
    gain, offset : (branches, channels) Tensor
    masks : (branches, channels, 1, batch) Tensor, optional
        1 and 0.
    count : (branches, 1) Tensor
        Frames that are there.
    """
    wide = convolved.float()
    mean = wide.sum(dim=(2, 3)) / count
    squares = (wide - _wide(mean)).square().sum(dim=(2, 3))
    absent = convolved.shape[2] * convolved.shape[3] - count
    variance = (squares - absent * mean.square()).clamp(min=0.0) / count
    scale = gain * torch.rsqrt(variance + EPS)
    return rectified(convolved, scale, offset - mean * scale, masks), mean, variance


def rectified(convolved: Tensor, scale: Tensor, shift: Tensor, masks: Tensor | None) -> Tensor:
    """``relu(scale * convolved + shift)``, times a mask of 1 and 0."""
    out = torch.relu(convolved.float() * _wide(scale) + _wide(shift))
    return (out if masks is None else out * masks).to(convolved.dtype)


def normalization_gradients(
    gradient: Tensor,
    out: Tensor,
    convolved: Tensor,
    gain: Tensor,
    mean: Tensor,
    variance: Tensor,
    count: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of what `normalized` was given: of the rows, the gain and the offset."""
    passed = torch.ops.aten.threshold_backward(gradient, out, 0.0).float()  # by ReLU and mask
    centred = convolved.float() - _wide(mean)
    inverse = torch.rsqrt(variance + EPS)
    to_offset, to_gain = passed.sum(dim=(2, 3)), (passed * centred).sum(dim=(2, 3)) * inverse
    # The normalisation hands on what is left across the mean and the deviation.
    scale = gain * inverse
    slope = scale * inverse * to_gain / count
    back = passed * _wide(scale) - centred * _wide(slope) - _wide(scale * to_offset / count)
    return back.to(convolved.dtype), to_gain, to_offset


def gated(rows: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
    """``rows * sigmoid(attention)``, and the gate.

    The exponential is quicker than the logistic function on some processors, and cannot overflow:
    what comes out of a ReLU is not negative.
    """
    gate = torch.reciprocal(1.0 + torch.exp(-attention.float()))
    return (rows.float() * gate).to(rows.dtype), gate.to(rows.dtype)


def mean_over_time(rows: Tensor) -> Tensor:
    """A pass of its own: together with `gated`, exponentials would be taken twice."""
    return rows.float().mean(dim=2)


def gate_gradients(
    straight: Tensor | None, pooled: Tensor, gate: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the rows and of the attention, from those of the output and of its mean."""
    gradient = (pooled / out.shape[2])[:, :, None]
    if straight is not None:  # behind the last block there is nothing but the mean
        gradient = gradient + straight.float()
    slope, through_gate = gradient * out.float(), gate.float()
    inward = (gradient * through_gate).to(out.dtype)
    return inward, (slope - slope * through_gate).to(out.dtype)
