"""Losses and errors of frames; padding counts for nothing, a frame the same in any batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Mean cross-entropy over true frames, or a weighted one.

    ``sum_t w[c_t] (1 - p_t)^gamma * -log p_t  /  sum_t w[c_t]``, where ``c_t`` is the true class of
    frame ``t`` and ``p_t`` its posterior; the cross-entropy with ``gamma`` zero and equal weights,
    the focal loss (Lin et al. 2017, equation 5) with a larger ``gamma``.

    Parameters
    ----------
    logits : (batch, num_frames, num_classes) Tensor
    targets : (batch, num_frames) Tensor of int
        -1 where there is padding.
    label_smoothing : float
        Share of the target that goes to all classes alike; only without `focal_gamma`.
    class_weights : sequence of float, optional
        How much a frame of each class counts.
    focal_gamma : float
        How much frames that are right already are spared.

    Raises
    ------
    ValueError
        If both `label_smoothing` and `focal_gamma` are asked for.

    Examples
    --------
    >>> logits, targets = torch.zeros(1, 3, 4), torch.tensor([[0, 2, -1]])
    >>> round(float(masked_cross_entropy(logits, targets)), 4)  # log 4
    1.3863
    >>> round(float(masked_cross_entropy(logits, targets, focal_gamma=1.0)), 4)  # 3/4 of it
    1.0397
    """
    losses, weight = summed_losses(
        logits,
        targets,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
        focal_gamma=focal_gamma,
    )
    return losses / weight


def summed_losses(
    logits: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    focal_gamma: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Numerator and denominator of `masked_cross_entropy`, which add up over batches."""
    if label_smoothing > 0.0 and focal_gamma > 0.0:
        raise ValueError(f"focal_gamma {focal_gamma} takes no label_smoothing {label_smoothing}")
    logits, targets = logits.flatten(0, 1), targets.flatten()
    weights = logits.new_ones(logits.shape[1], dtype=torch.float32)
    if class_weights is not None:
        weights = weights.new_tensor(class_weights)
    counts = (targets >= 0) * weights[targets.clamp(min=0)]
    losses = F.cross_entropy(
        logits.float(),
        targets,
        weight=weights if focal_gamma == 0.0 else None,
        ignore_index=-1,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    if focal_gamma > 0.0:
        losses = counts * (1.0 - torch.exp(-losses)) ** focal_gamma * losses
    return losses.sum(), counts.sum()


def frame_errors(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of wrong frames of each recording: its EDER before any decoding.

    Parameters
    ----------
    logits : (batch, num_frames, num_classes) Tensor
    targets : (batch, num_frames) Tensor of int
        -1 where there is padding.

    Returns
    -------
    (batch,) Tensor
    """
    true = targets >= 0
    wrong = (logits.argmax(dim=-1) != targets) & true
    return wrong.sum(dim=1) / true.sum(dim=1)
