"""The convolutions that turn a waveform into frames, as matrix products over rows of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 50
"""Output frames that go through all layers at once on a processor: what is in between, 6 MB,
stays in its cache."""


class Convolutions(nn.Module):
    """Feature extractor of wav2vec 2.0, HuBERT and WavLM, channels last.

    ::

        samples  . . . . . . . . . .         stride 2, three taps:
        rows     [. .][. .][. .][. .]        a row of a matrix is two steps of the input, a view
                       x W[taps 0, 1]
                 .   [.]  [.]  [.]           and every second step from the third on
                       x W[tap 2]

    Neighbouring taps are columns of one matrix product on the samples as they lie in memory, so
    nothing is unfolded or transposed, and layer norms find their channels side by side. Layers
    with a norm over time (group norm, in the base models) see the whole input, the others a block.

    Parameters
    ----------
    layers : nn.ModuleList
        ``conv_layers`` of a feature extractor of transformers, which keep their names.

    Attributes
    ----------
    hop, receptive_field : int
        Samples from frame to frame, and under one frame.
    """

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.conv_layers = layers
        self.hop, self.receptive_field = 1, 1
        for layer in layers:
            self.receptive_field += (layer.conv.kernel_size[0] - 1) * self.hop
            self.hop *= layer.conv.stride[0]

    def num_frames(self, num_samples: int) -> int:
        """Frames that `num_samples` samples give."""
        return max(0, (num_samples - self.receptive_field) // self.hop + 1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Frames of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_channels) Tensor
        """
        first, *others = self.conv_layers
        learning = waveform.requires_grad or any(part.requires_grad for part in self.parameters())
        at_once = (torch.is_grad_enabled() and learning) or torch.compiler.is_exporting()
        if at_once or waveform.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return run(self.conv_layers, waveform[..., None])
        with torch.no_grad():  # frozen ones, in training
            if isinstance(getattr(first, "layer_norm", None), nn.GroupNorm):
                return self._in_blocks(others, run([first], waveform[..., None]))
            return self._in_blocks(self.conv_layers, waveform[..., None])

    def _in_blocks(self, layers: Any, rows: Tensor) -> Tensor:
        """Run layers block by block: the same frames, since a layer sees no further than its taps.

        Parameters
        ----------
        rows : (batch, num_steps, num_channels) Tensor
        """
        hop = math.prod(layer.conv.stride[0] for layer in layers)
        reach = _reach(layers)
        num_frames = (rows.shape[1] - reach) // hop + 1
        blocks = [
            run(layers, rows[:, start * hop : (min(start + BLOCK, num_frames) - 1) * hop + reach])
            for start in range(0, num_frames, BLOCK)
        ]
        return torch.cat(blocks, dim=1)


def run(layers: Any, rows: Tensor) -> Tensor:
    """Put (batch, num_steps, num_channels) rows through layers of transformers."""
    for layer in layers:
        rows = convolve(rows, layer.conv)
        norm = getattr(layer, "layer_norm", None)
        if isinstance(norm, nn.GroupNorm):
            rows = norm(rows.transpose(1, 2)).transpose(1, 2)
        elif norm is not None:
            rows = norm(rows)
        rows = layer.activation(rows)
    return rows


def convolve(rows: Tensor, conv: nn.Conv1d) -> Tensor:
    """One convolution, channels last.

    Parameters
    ----------
    rows : (batch, num_steps, in_channels) Tensor
    conv : nn.Conv1d
        Without padding, dilation or groups.

    Returns
    -------
    (batch, num_out, out_channels) Tensor

    Examples
    --------
    >>> conv = nn.Conv1d(4, 6, kernel_size=3, stride=2)
    >>> rows = torch.randn(1, 9, 4)
    >>> expected = conv(rows.transpose(1, 2)).transpose(1, 2)
    >>> bool(torch.allclose(convolve(rows, conv), expected, atol=1e-6))
    True
    """
    if torch.compiler.is_exporting():  # to ONNX: one operator, which every runtime has made fast
        return conv(rows.transpose(1, 2)).transpose(1, 2)
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    num_out = (rows.shape[1] - kernel) // stride + 1
    result, bias = None, conv.bias
    for first, taps in _taps(kernel, stride):
        columns = _columns(rows, first, taps, stride, num_out)
        weight = conv.weight[:, :, first : first + taps].transpose(1, 2).flatten(1)
        if result is None:
            result = F.linear(columns, weight, bias)
        elif torch.is_grad_enabled():
            result = result + F.linear(columns, weight)
        else:  # onto what is there
            result.flatten(0, 1).addmm_(columns.flatten(0, 1), weight.t())
    assert result is not None
    return result


def _reach(layers: Any) -> int:
    """Steps of input under one frame of the last layer."""
    reach, hop = 1, 1
    for layer in layers:
        reach += (layer.conv.kernel_size[0] - 1) * hop
        hop *= layer.conv.stride[0]
    return reach


def _taps(kernel: int, stride: int) -> Iterator[tuple[int, int]]:
    """First tap and number of taps of each product."""
    for first in range(0, kernel, stride):
        yield first, min(stride, kernel - first)


def _columns(rows: Tensor, first: int, taps: int, stride: int, num_out: int) -> Tensor:
    """Steps under some taps, as (batch, num_out, taps * in_channels), a view for one recording."""
    if taps == stride:
        return rows[:, first : first + stride * num_out].unflatten(1, (num_out, stride)).flatten(2)
    steps = [rows[:, first + tap :: stride][:, :num_out] for tap in range(taps)]
    return steps[0] if taps == 1 else torch.cat(steps, dim=2)
