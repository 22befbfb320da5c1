"""Loss and errors: padding counts for nothing, a frame the same in any batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from sed.training.losses import frame_errors, masked_cross_entropy, summed_losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mean_over_true_frames(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [7, 2, 4]
    logits = torch.randn(3, 7, 4, generator=generator)
    targets = torch.randint(0, 4, (3, 7), generator=generator)
    losses = []
    for index, length in enumerate(lengths):
        targets[index, length:] = -1
        for frame in range(length):
            scores = logits[index, frame].log_softmax(dim=0)
            true = -scores[targets[index, frame]]
            losses.append((1 - smoothing) * true - smoothing * scores.mean())
    expected = torch.stack(losses).mean()
    found = masked_cross_entropy(logits, targets, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    # whatever stands in the padding, and however much of it there is
    logits[targets == -1] = 1e4
    wider = masked_cross_entropy(
        F.pad(logits, (0, 0, 0, 5)), F.pad(targets, (0, 5), value=-1), label_smoothing=smoothing
    )
    torch.testing.assert_close(wider, expected)


def test_padding_has_no_gradient() -> None:
    logits = torch.randn(1, 3, 2, requires_grad=True)
    masked_cross_entropy(logits, torch.tensor([[0, 1, -1]])).backward()
    assert logits.grad is not None
    assert logits.grad[0, :2].all() and not logits.grad[0, 2].any()


def test_errors_are_shares_of_each_recording() -> None:
    logits = F.one_hot(torch.tensor([[0, 1, 2, 2], [1, 1, 0, 0]])).float()
    targets = torch.tensor([[0, 1, 1, 1], [0, 1, -1, -1]])
    assert frame_errors(logits, targets).tolist() == [0.5, 0.5]
    assert frame_errors(logits[:1], targets[:1]).tolist() == [0.5]


def test_a_random_guess_costs_the_logarithm_of_the_classes() -> None:
    loss = masked_cross_entropy(torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.long))
    assert float(loss) == pytest.approx(math.log(4))


def test_class_weights_say_how_much_a_frame_counts() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 6, 3, generator=generator)
    targets = torch.tensor([[0, 1, 2, 0, 0, 1], [2, 2, 0, -1, -1, -1]])
    weights = [0.5, 2.0, 3.0]
    true = targets >= 0
    losses = -logits.log_softmax(-1)[true].gather(1, targets[true][:, None])[:, 0]
    counts = torch.tensor(weights)[targets[true]]
    for gamma in (0.0, 1.5):
        expected = (counts * (1 - torch.exp(-losses)) ** gamma * losses).sum() / counts.sum()
        found = masked_cross_entropy(logits, targets, class_weights=weights, focal_gamma=gamma)
        torch.testing.assert_close(found, expected)


def test_a_focal_loss_spares_what_is_right_already() -> None:
    sure = torch.tensor([[[8.0, 0.0], [0.0, 0.1]]])
    targets = torch.tensor([[0, 0]])
    plain, focal = (
        masked_cross_entropy(sure[:, :1], targets[:, :1], focal_gamma=g) for g in (0, 2)
    )
    assert focal < 1e-4 * plain
    with pytest.raises(ValueError, match="takes no label_smoothing"):
        masked_cross_entropy(sure, targets, focal_gamma=2.0, label_smoothing=0.1)


def test_sums_of_batches_add_up_to_the_loss_of_all() -> None:
    """As processes and validation batches add them, whatever counts how much."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(4, 6, 3, generator=generator)
    targets = torch.randint(0, 3, (4, 6), generator=generator)
    targets[2, 1:] = -1
    options = {"class_weights": [0.5, 2.0, 3.0], "focal_gamma": 1.0}
    parts = [summed_losses(logits[at], targets[at], **options) for at in (slice(3), slice(3, 4))]
    losses, weights = map(sum, zip(*parts, strict=True))
    torch.testing.assert_close(losses / weights, masked_cross_entropy(logits, targets, **options))
