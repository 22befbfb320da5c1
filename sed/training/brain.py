"""The training loop: what one step computes, when weights are averaged, checkpointed and judged."""

from __future__ import annotations

import math
from typing import Any

import speechbrain as sb
import torch
from speechbrain.core import Stage
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sed.model import EmotionModel
from sed.training.data import EpochSampler, Example
from sed.training.losses import frame_errors, masked_cross_entropy


class EmotionBrain(sb.Brain):
    """SpeechBrain's loop for a `sed.model.EmotionModel`.

    The learning rate warms up and then falls along a half cosine, as a function of the step alone;
    an exponential moving average of the weights is what is validated and kept. Random numbers are
    seeded anew in each epoch, so a resumed run goes on as if it had never stopped.
    """

    def make_average(self) -> AveragedModel:
        """Set up the moving average of the head; call once, before fitting."""
        model: EmotionModel = self.modules.model
        self.average = AveragedModel(
            model.head, multi_avg_fn=get_ema_multi_avg_fn(self.hparams.ema_decay), use_buffers=True
        )
        return self.average

    def compute_forward(self, batch: Example, stage: Stage) -> Tensor:
        """Frame logits of a batch."""
        batch = batch.to(self.device)
        head = self.modules.model.head if stage == Stage.TRAIN else self.average
        return head(batch.features, batch.lengths)

    def compute_objectives(self, predictions: Tensor, batch: Example, stage: Stage) -> Tensor:
        """Loss of a batch, and its errors where it is only judged."""
        targets = batch.targets.to(self.device)
        if stage != Stage.TRAIN:
            self.errors.append(frame_errors(predictions, targets))
        smoothing = self.hparams.label_smoothing if stage == Stage.TRAIN else 0.0
        return masked_cross_entropy(predictions, targets, label_smoothing=smoothing)

    def on_fit_batch_start(self, batch: Example, should_step: bool) -> None:
        """Set the learning rate of this step."""
        total = self.hparams.num_epochs * self.hparams.steps_per_epoch
        progress = self.optimizer_step / total
        warm = min(1.0, (self.optimizer_step + 1) / self.hparams.warmup_steps)
        rate = self.hparams.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def on_fit_batch_end(
        self, batch: Example, outputs: Tensor, loss: Tensor, should_step: bool
    ) -> None:
        """Let the average follow the weights."""
        self.average.update_parameters(self.modules.model.head)

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Seed the epoch and choose its examples."""
        self.errors: list[Tensor] = []
        if stage == Stage.TRAIN:
            assert epoch is not None
            torch.manual_seed(self.hparams.seed + epoch)
            sampler: EpochSampler = self.hparams.sampler
            sampler.epoch = epoch
        else:
            self.average.eval()

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log the epoch and keep the best weights."""
        if stage == Stage.TRAIN:
            self.train_loss = stage_loss
            return
        statistics: dict[str, Any] = {
            "loss": stage_loss,
            "frame_error": float(torch.cat(self.errors).mean()),
        }
        self.hparams.train_logger.log_stats(
            stats_meta={"epoch": epoch},
            train_stats={"loss": self.train_loss},
            valid_stats=statistics,
        )
        if stage == Stage.VALID:
            self.checkpointer.save_and_keep_only(
                meta={"frame_error": statistics["frame_error"], "epoch": epoch},
                min_keys=["frame_error"],
            )
