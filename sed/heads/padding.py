"""Sequences side by side, the short ones padded: which frames are true, and the others silenced."""

from __future__ import annotations

import torch
from torch import Tensor


def true_frames(num_frames: int, lengths: Tensor) -> Tensor:
    """Which frames of a padded batch are true.

    Parameters
    ----------
    num_frames : int
        Frames of the longest sequence, with its padding.
    lengths : (batch,) Tensor of int
        True frames of each sequence.

    Returns
    -------
    (batch, num_frames) Tensor of bool

    Examples
    --------
    >>> true_frames(3, torch.tensor([3, 1])).int().tolist()
    [[1, 1, 1], [1, 0, 0]]
    """
    return torch.arange(num_frames, device=lengths.device) < lengths[:, None]


def without_padding(frames: Tensor, lengths: Tensor | None) -> Tensor:
    """Frames, zero where there is padding, whatever stood there.

    Parameters
    ----------
    frames : (batch, num_frames, num_features) Tensor
    lengths : (batch,) Tensor of int or None
        None where there is no padding.

    Returns
    -------
    (batch, num_frames, num_features) Tensor

    Examples
    --------
    >>> frames = torch.tensor([[[1.0], [float("nan")]], [[3.0], [4.0]]])
    >>> without_padding(frames, torch.tensor([1, 2])).flatten().tolist()
    [1.0, 0.0, 3.0, 4.0]
    """
    if lengths is None:
        return frames
    return frames.masked_fill(~true_frames(frames.shape[1], lengths)[:, :, None], 0.0)
