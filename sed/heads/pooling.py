"""Local attention: a sequence of frames to one vector, and which frames it is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sed.heads.padding import true_frames, without_padding


class LocalAttention(nn.Module):
    """Weighted mean of frames, or mean and variance (da Silva et al., equations 1 to 3).

    ::

        alpha[t] = exp(u x[t]) / sum_s exp(u x[s])       over the true frames      (1)
        mean     = sum_t alpha[t] x[t]                                             (2)
        variance = sum_t alpha[t] (x[t] - mean)^2                                  (3)

    Equation 3 is printed as a difference, ``sum_t alpha[t] x[t]^2 - mean^2``, which is the same
    number, but may come out negative in float32.

    Everything is a weighted mean of `statistics`, something that each frame has by itself once the
    mean is known. So what a linear layer says of the sequence is the weighted mean of what it says
    of its frames.

    Parameters
    ----------
    num_features : int
        Width of a frame.
    variance : bool
        Whether the variance follows the mean.

    Attributes
    ----------
    num_outputs : int
        Width of the vector.

    Examples
    --------
    >>> pooling = LocalAttention(1, variance=True)
    >>> torch.nn.init.constant_(pooling.scores.weight, 0.0)  # all frames count alike
    Parameter containing: ...
    >>> pooling(torch.tensor([[[1.0], [2.0], [3.0]]])).detach().round(decimals=3)
    tensor([[2.0000, 0.6670]])
    """

    def __init__(self, num_features: int, *, variance: bool) -> None:
        super().__init__()
        self.scores = nn.Linear(num_features, 1, bias=False)
        self.variance = variance
        self.num_outputs = 2 * num_features if variance else num_features

    def weights(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """How much each frame counts (equation 1).

        Parameters
        ----------
        frames : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence, at least one; all by default.

        Returns
        -------
        (batch, num_frames) Tensor
            Sums to one; zero beyond a sequence's length.
        """
        scores: Tensor = self.scores(frames).squeeze(-1)
        if lengths is not None:
            scores = scores.masked_fill(~true_frames(frames.shape[1], lengths), -torch.inf)
        return scores.softmax(dim=1)

    def statistics(self, frames: Tensor, weights: Tensor) -> Tensor:
        """Each frame, and its squared distance from the mean where there is a variance.

        Parameters
        ----------
        frames : (batch, num_frames, num_features) Tensor
            Finite beyond a sequence's length too.
        weights : (batch, num_frames) Tensor
            From `weights`.

        Returns
        -------
        (batch, num_frames, num_outputs) Tensor
        """
        if not self.variance:
            return frames
        distances = frames - weighted_mean(frames, weights)[:, None]
        return torch.cat((frames, distances.square()), dim=-1)

    def around(self, frames: Tensor, reach: int, lengths: Tensor | None = None) -> Tensor:
        """Mean of what is around each frame, and its variance: equations 1 to 3 over a window.

        Parameters
        ----------
        frames, lengths
            As in `weights`.
        reach : int
            Frames of the window on each side.

        Returns
        -------
        (batch, num_frames, num_outputs) Tensor
        """
        frames = without_padding(frames, lengths)
        scores: Tensor = self.scores(frames)
        if lengths is not None:
            scores = scores.masked_fill(~true_frames(frames.shape[1], lengths)[:, :, None], -1e30)
        scores = (scores - scores.amax(dim=1, keepdim=True).detach()).clamp(
            min=-60.0
        )  # never all zero
        importance = without_padding(scores.exp(), lengths)
        total = windowed_mean(importance, reach).clamp(min=1e-30)
        mean = windowed_mean(importance * frames, reach) / total
        if not self.variance:
            return mean
        square = windowed_mean(importance * frames.square(), reach) / total
        return torch.cat((mean, (square - mean.square()).clamp(min=0.0)), dim=-1)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Mean of each sequence, and its variance (equations 2 and 3).

        Parameters
        ----------
        frames, lengths
            As in `weights`.

        Returns
        -------
        (batch, num_outputs) Tensor
        """
        weights = self.weights(frames, lengths)
        statistics = self.statistics(without_padding(frames, lengths), weights)
        return weighted_mean(statistics, weights)


def weighted_mean(frames: Tensor, weights: Tensor) -> Tensor:
    """Mean over time.

    Parameters
    ----------
    frames : (batch, num_frames, num_features) Tensor
    weights : (batch, num_frames) Tensor
        Sums to one.

    Returns
    -------
    (batch, num_features) Tensor

    Examples
    --------
    >>> weighted_mean(torch.tensor([[[1.0], [5.0]]]), torch.tensor([[0.75, 0.25]]))
    tensor([[2.]])
    """
    return (weights[:, :, None] * frames).sum(dim=1)


def windowed_mean(frames: Tensor, reach: int) -> Tensor:
    """Mean of each frame and those up to `reach` away, with zeros past the ends.

    Parameters
    ----------
    frames : (batch, num_frames, num_features) Tensor
    reach : int

    Returns
    -------
    (batch, num_frames, num_features) Tensor

    Examples
    --------
    >>> windowed_mean(torch.tensor([[[3.0], [0.0], [0.0], [6.0]]]), 1).flatten().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    windows = F.pad(frames, (0, 0, reach, reach)).unfold(1, 2 * reach + 1, 1)
    return windows.mean(dim=-1)
