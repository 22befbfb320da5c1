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


def moments(convolved: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel.

    Places without a recording are zero: they add nothing to the first sum, and the square of the
    mean to the second, which is taken off again.

    Parameters
    ----------
    convolved : (branches, channels, frames, batch) Tensor
    count : (branches, 1) Tensor
        Frames that are there.
    """
    convolved = convolved.float()
    mean = convolved.sum(dim=(2, 3)) / count
    squares = (convolved - _wide(mean)).square().sum(dim=(2, 3))
    absent = convolved.shape[2] * convolved.shape[3] - count
    return mean, (squares - absent * mean.square()).clamp(min=0.0) / count


def rectified(convolved: Tensor, scale: Tensor, shift: Tensor, masks: Tensor | None) -> Tensor:
    """``relu(scale * convolved + shift)``, times a mask of 1 and 0."""
    out = torch.relu(convolved.float() * _wide(scale) + _wide(shift))
    return (out if masks is None else out * masks).to(convolved.dtype)


def through(gradient: Tensor, out: Tensor) -> Tensor:
    """The part of a gradient that passes a ReLU and a mask."""
    return torch.ops.aten.threshold_backward(gradient, out, 0.0).float()


def gradient_sums(
    gradient: Tensor, out: Tensor, convolved: Tensor, mean: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of the gradient, and of the gradient times the centred input, of each channel."""
    passed = through(gradient, out)
    centred = convolved.float() - _wide(mean)
    return passed.sum(dim=(2, 3)), (passed * centred).sum(dim=(2, 3))


def normalization_gradient(
    gradient: Tensor, out: Tensor, convolved: Tensor, scale: Tensor, slope: Tensor, shift: Tensor
) -> Tensor:
    """``scale * gradient - slope * convolved - shift``, of what passes."""
    passed = through(gradient, out)
    back = passed * _wide(scale) - convolved.float() * _wide(slope) - _wide(shift)
    return back.to(convolved.dtype)


def gated(rows: Tensor, attention: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``rows * sigmoid(attention)``, its mean over time, and the gate.

    The exponential is quicker than the logistic function on some processors, and cannot overflow:
    what comes out of a ReLU is not negative.
    """
    gate = torch.reciprocal(1.0 + torch.exp(-attention.float()))
    out = rows.float() * gate
    return out.to(rows.dtype), out.mean(dim=2), gate.to(rows.dtype)


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
