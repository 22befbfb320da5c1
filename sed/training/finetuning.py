"""Training from the waveform on, as in the diarization paper (Wang et al. 2023, section 5)."""

from __future__ import annotations

from typing import Any

import speechbrain as sb
import torch
from pyannote.core import Segment, Timeline
from speechbrain.core import Stage
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor

from sed.decoding import Decoding
from sed.model import EmotionModel
from sed.scoring import EmotionErrors, eder
from sed.training.data import EpochSampler
from sed.training.losses import frame_errors, masked_cross_entropy
from sed.training.waveforms import Waveforms


class FineTuningBrain(sb.Brain):
    """SpeechBrain's loop for a `sed.model.EmotionModel` with an encoder.

    Encoder and head have an optimiser each, and each learning rate falls when the frame errors of
    the validation recordings no longer do (NewBob). Mixed precision, accumulation of gradients,
    distribution over processes and the rest are SpeechBrain's run options. Random numbers are
    seeded anew in each epoch, so a resumed run goes on as if it had never stopped.

    Its hparams give ``encoder_opt_class``, ``head_opt_class``, ``encoder_schedule``,
    ``head_schedule``, ``loss`` (arguments of `sed.training.losses.masked_cross_entropy`),
    ``decoding`` (of `sed.decoding.Decoding`), ``seed``, ``sampler``, ``keep_best_by`` (``eder`` or
    ``frame_error``) and ``train_logger``.
    """

    def init_optimizers(self) -> None:
        """Make an optimiser for what learns of the encoder, and one for the head."""
        model: EmotionModel = self.modules.model
        parts = {"encoder": model.frontend, "head": model.head}
        self.optimizers_dict = {}
        for name, part in parts.items():
            learning = [weight for weight in part.parameters() if weight.requires_grad]
            if learning:
                make = getattr(self.hparams, f"{name}_opt_class")
                self.optimizers_dict[name] = make(learning)
                if self.checkpointer is not None:
                    self.checkpointer.add_recoverable(
                        f"{name}_optimizer", self.optimizers_dict[name]
                    )

    def compute_forward(self, batch: Waveforms, stage: Stage) -> Tensor:
        """Frame logits of a batch."""
        batch = batch.to(self.device)
        model: EmotionModel = self.modules.model
        features = model.frontend(batch.waveforms, batch.lengths)
        return model.head(features, self._num_frames(batch.lengths).to(self.device))

    def compute_objectives(self, predictions: Tensor, batch: Waveforms, stage: Stage) -> Tensor:
        """Loss of a batch, and its errors where it is only judged."""
        targets = self._frame_targets(batch).to(self.device)
        if stage != Stage.TRAIN:
            self.errors.append(frame_errors(predictions, targets).cpu())
            for item, logits in enumerate(predictions):
                self._score(logits, batch, item)
        return masked_cross_entropy(predictions, targets, **self.hparams.loss)

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Seed the epoch and choose its examples."""
        self.errors: list[Tensor] = []
        self.emotion_errors: list[EmotionErrors] = []
        if stage == Stage.TRAIN:
            assert epoch is not None
            torch.manual_seed(self.hparams.seed + epoch)
            sampler: EpochSampler = self.hparams.sampler
            sampler.epoch = epoch

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log the epoch, let the learning rates fall if need be, and keep the best weights."""
        if stage == Stage.TRAIN:
            self.train_loss = stage_loss
            return
        statistics: dict[str, Any] = {
            "loss": stage_loss,
            "frame_error": float(torch.cat(self.errors).mean()),
            "eder": sum(errors.eder for errors in self.emotion_errors) / len(self.emotion_errors),
        }
        rates = {}
        if stage == Stage.VALID:
            for name, optimizer in self.optimizers_dict.items():
                schedule = getattr(self.hparams, f"{name}_schedule")
                rates[f"{name}_lr"], rate = schedule(statistics["frame_error"])
                update_learning_rate(optimizer, rate)
        self.hparams.train_logger.log_stats(
            stats_meta={"epoch": epoch, **rates},
            train_stats={"loss": self.train_loss},
            valid_stats=statistics,
        )
        if stage == Stage.VALID:
            measure = self.hparams.keep_best_by
            self.checkpointer.save_and_keep_only(
                meta={measure: statistics[measure], "epoch": epoch}, min_keys=[measure]
            )

    def _num_frames(self, lengths: Tensor) -> Tensor:
        """Frames that the encoder gives for each recording."""
        count = self.modules.model.frontend.num_frames
        return torch.tensor([count(length) for length in lengths.tolist()])

    def _frame_targets(self, batch: Waveforms) -> Tensor:
        """Targets of the frames that there are: an encoder gives none for the last cells."""
        counts = self._num_frames(batch.lengths)
        targets = batch.targets[:, : int(counts.max())].clone()
        targets[torch.arange(targets.shape[1]) >= counts[:, None]] = -1
        return targets

    def _score(self, logits: Tensor, batch: Waveforms, item: int) -> None:
        """Decode a recording as the pipeline does, and count its errors."""
        specifications = self.modules.model.specifications
        grid = specifications.grid
        length = int(batch.lengths[item])
        duration = length / grid.sample_rate
        count = int(self._num_frames(batch.lengths[item : item + 1]))
        cells = torch.arange(grid.num_frames(length)).clamp(max=count - 1)
        posteriors = logits.float().softmax(dim=-1).cpu()[cells].numpy()
        feature = grid.feature(posteriors, labels=list(specifications.classes))
        everything = Timeline([Segment(0.0, duration)])
        hypothesis = Decoding(**self.hparams.decoding)(feature, everything, duration)
        self.emotion_errors.append(eder(batch.references[item], hypothesis, duration=duration))
