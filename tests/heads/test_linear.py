"""The linear head: one layer, behind averages that cover every frame."""

from __future__ import annotations

import pytest
import torch

from sed.heads import LinearHead, head_named


@pytest.mark.parametrize("bias", [True, False])
def test_without_pooling_it_is_a_linear_layer(bias: bool) -> None:
    head = LinearHead(5, 3, bias=bias)
    features = torch.randn(2, 7, 5)
    expected = features @ head.classify.weight.t()
    if bias:
        expected = expected + head.classify.bias
    torch.testing.assert_close(head(features), expected)
    assert (head.classify.bias is not None) == bias and head.context == 0


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (4, 2), (5, 5), (3, 2)])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 6, 11])
def test_a_pooled_frame_is_the_mean_of_its_window(
    window: int, stride: int, num_frames: int
) -> None:
    head = LinearHead(5, 3, pooling_window=window, pooling_stride=stride)
    features = torch.randn(1, num_frames, 5)
    logits = head(features)
    for index, found in enumerate(logits[0]):
        part = features[0, index * stride : index * stride + window]
        torch.testing.assert_close(found, head.classify(part.mean(dim=0)), atol=1e-5, rtol=1e-5)
    assert (logits.shape[1] - 1) * stride + window >= num_frames  # no frame is left out


def test_gaps_and_padding_under_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="window of 2 frames every 3 leaves gaps"):
        LinearHead(5, 3, pooling_window=2, pooling_stride=3)
    with pytest.raises(ValueError, match="padding"):
        LinearHead(5, 3, pooling_window=2)(torch.randn(1, 4, 5), torch.tensor([3]))


def test_a_head_is_chosen_by_name() -> None:
    assert head_named("timnet", 8, 4, channels=4, num_blocks=2).context == 6
    with pytest.raises(ValueError, match="unknown head 'lstm'; known are linear, timnet"):
        head_named("lstm", 8, 4)
