"""One linear layer behind pooled features: the classifier of the diarization paper."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class LinearHead(nn.Module):
    """Average pooling over frames and a linear layer (Wang et al. 2023, section 4.1).

    ::

        features  |--|--|--|--|--|--|--|
        pooled    [--window--]              every `stride` frames; at the end over what is there
                     [--window--]

    Parameters
    ----------
    num_features, num_classes : int
        Width of the input and of the output.
    bias : bool
        Whether the layer adds a bias; the published models have none.
    pooling_window, pooling_stride : int
        Frames that are averaged, and from one average to the next.

    Examples
    --------
    >>> import torch
    >>> head = LinearHead(8, 4, bias=False, pooling_window=3, pooling_stride=2)
    >>> head(torch.randn(1, 10, 8)).shape
    torch.Size([1, 5, 4])
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        bias: bool = True,
        pooling_window: int = 1,
        pooling_stride: int = 1,
    ) -> None:
        super().__init__()
        if pooling_stride < 1 or pooling_window < pooling_stride:
            raise ValueError(
                f"a pooling window of {pooling_window} frames every {pooling_stride} leaves gaps"
            )
        self.window, self.stride = pooling_window, pooling_stride
        self.classify = nn.Linear(num_features, num_classes, bias=bias)

    @property
    def context(self) -> int:
        """Output frames on each side whose input a frame's logits depend on."""
        return -(-(self.window - 1) // self.stride)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of every pooled frame.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence; without effect where the window is one frame, refused
            elsewhere, since padding would enter the averages.

        Returns
        -------
        (batch, num_pooled_frames, num_classes) Tensor
        """
        if self.window > 1:
            if lengths is not None:
                raise ValueError(f"padding cannot be told from frames under a {self.window} window")
            num_frames = features.shape[1]
            missing = max(0, self.window - num_frames)
            # Zeros up to one window, and their share taken out again: an exported model cannot
            # branch on the length.
            means = F.avg_pool1d(
                F.pad(features.transpose(1, 2), (0, missing)),
                self.window,
                self.stride,
                ceil_mode=True,
                count_include_pad=False,
            )
            features = means.transpose(1, 2) * ((num_frames + missing) / num_frames)
        logits: Tensor = self.classify(features)
        return logits
