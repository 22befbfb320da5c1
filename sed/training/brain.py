"""The training loop: what one step computes, and what happens when an epoch ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import speechbrain as sb
import torch
from pyannote.core import Segment, Timeline
from speechbrain.core import Stage
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sed.decoding import Decoding
from sed.model import EmotionModel
from sed.scoring import EmotionErrors, eder
from sed.training.batches import EpochBatches
from sed.training.logs import EpochLog
from sed.training.losses import frame_errors, summed_losses
from sed.training.processes import gathered, num_processes, rank, summed
from sed.training.schedules import WarmupCosine
from sed.training.targets import stretch
from sed.training.waveforms import Waveforms

Predictions = tuple[Tensor, Tensor]
"""Frame logits, and the targets of these frames."""


class EmotionBrain(sb.Brain):
    """SpeechBrain's loop for a `sed.model.EmotionModel`.

    Front-end and head have an optimiser each, where they have something to learn. Mixed precision,
    accumulation of gradients, distribution over processes and the rest are SpeechBrain's run
    options. Random numbers are seeded anew in each epoch, so a resumed run goes on as if it had
    never stopped; losses are means over the frames of all processes, so two processes learn what
    one would with batches twice as large.

    Parameters
    ----------
    model : EmotionModel
    batches : EpochBatches
        Of the training data.
    log : EpochLog
    hparams : dict
        ``encoder_opt_class`` and ``head_opt_class`` (from parameters to an optimiser);
        ``encoder_schedule`` and ``head_schedule`` (a `sed.training.schedules.WarmupCosine`, or a
        scheduler of SpeechBrain that is told the share of wrong frames in the validation);
        ``loss`` (arguments of `sed.training.losses.masked_cross_entropy`); ``decoding`` (of
        `sed.decoding.Decoding`); ``tempo`` (largest factor by which features are played slower or
        faster); ``average_decay`` (of the moving average of the weights that is judged and kept;
        None judges the weights themselves); ``keep_best_by`` (``eder``, ``frame_error`` or
        ``loss``, of the validation); ``seed``.
    run_opts : dict
        Those of SpeechBrain.
    checkpointer : speechbrain.utils.checkpoints.Checkpointer
    """

    average: AveragedModel | None = None
    interrupted = False
    """Whether to end before the next batch."""

    def __init__(
        self,
        model: EmotionModel,
        *,
        batches: EpochBatches,
        log: EpochLog,
        hparams: dict[str, Any],
        run_opts: Mapping[str, Any],
        checkpointer: Any,
    ) -> None:
        # Layers that are skipped or not used give no gradients, which the processes must know.
        super().__init__(
            modules={"frontend": model.frontend, "head": model.head},
            hparams={**hparams, "find_unused_parameters": True},
            run_opts=run_opts,
            checkpointer=checkpointer,
        )
        self.model, self.batches, self.log = model, batches, log
        if self.hparams.average_decay is not None:
            self.average = AveragedModel(
                model,
                multi_avg_fn=get_ema_multi_avg_fn(self.hparams.average_decay),
                use_buffers=True,
            )
            checkpointer.add_recoverable("average", self.average)

    def init_optimizers(self) -> None:
        """Make an optimiser for what learns of the front-end, and one for the head."""
        self.optimizers_dict = {}
        for name, part in (("encoder", self.model.frontend), ("head", self.model.head)):
            learning = [weight for weight in part.parameters() if weight.requires_grad]
            if learning:
                optimizer = getattr(self.hparams, f"{name}_opt_class")(learning)
                self.optimizers_dict[name] = optimizer
                self.checkpointer.add_recoverable(f"{name}_optimizer", optimizer)

    def compute_forward(self, batch: Waveforms, stage: Stage) -> Predictions:
        """Frame logits and targets of a batch.

        Raises
        ------
        KeyboardInterrupt
            If the training is to end.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        batch = batch.to(self.device)
        counts, targets = self._targets(batch)
        frontend, head = self.modules.frontend, self.modules.head
        if stage != Stage.TRAIN:  # as it is: processes have unequal numbers of batches to judge
            model = self.model if self.average is None else self.average.module
            frontend, head = model.frontend, model.head
        features = frontend(batch.waveforms, batch.lengths)
        if stage == Stage.TRAIN and self.hparams.tempo != 1.0:
            features, targets, counts = stretch(features, targets, counts, self.hparams.tempo)
        return head(features, counts), targets

    def compute_objectives(
        self, predictions: Predictions, batch: Waveforms, stage: Stage
    ) -> Tensor:
        """Loss of a batch, and its errors where it is only judged."""
        logits, targets = predictions
        losses, weight = summed_losses(logits, targets, **self.hparams.loss)
        if stage != Stage.TRAIN:
            self.errors += frame_errors(logits, targets).tolist()
            self.emotion_errors += [
                self._emotion_errors(row, batch, item) for item, row in enumerate(logits)
            ]
            self.losses.append((float(losses), float(weight)))
            return losses / weight
        return losses / (summed(weight) / num_processes())

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Seed the epoch and choose its examples."""
        self.errors: list[float] = []
        self.emotion_errors: list[EmotionErrors] = []
        self.losses: list[tuple[float, float]] = []
        if stage == Stage.TRAIN:
            assert epoch is not None
            torch.manual_seed(self.hparams.seed + epoch + 10_000 * rank())
            self.batches.epoch = epoch
            self.seconds_heard, self.seconds_waited = 0.0, 0.0
            self.started = self.idle_since = time.perf_counter()
        elif self.average is not None:
            self.average.eval()

    def on_fit_batch_start(self, batch: Waveforms, should_step: bool) -> None:
        """Set the learning rates that follow the step; count the time that the data took."""
        self.seconds_waited += time.perf_counter() - self.idle_since
        for name, optimizer in self.optimizers_dict.items():
            schedule = getattr(self.hparams, f"{name}_schedule")
            if isinstance(schedule, WarmupCosine):
                for group in optimizer.param_groups:
                    group["lr"] = schedule.at(self.optimizer_step)

    def on_fit_batch_end(
        self, batch: Waveforms, outputs: Predictions, loss: Tensor, should_step: bool
    ) -> None:
        """Let the average follow the weights."""
        if should_step and self.average is not None:
            self.average.update_parameters(self.model)
        self.seconds_heard += float(batch.lengths.sum()) / self.model.specifications.sample_rate
        self.idle_since = time.perf_counter()

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log the epoch, let the learning rates fall if need be, and keep the best weights."""
        if stage == Stage.TRAIN:
            seconds = time.perf_counter() - self.started
            self.train_statistics = {
                "loss": self._of_all(stage_loss) / num_processes(),
                "audio_per_second": self._of_all(self.seconds_heard) / seconds,
                "waited_for_data": self.seconds_waited / seconds,
            }
            return
        statistics = self._statistics()
        rates = {}
        for name, optimizer in self.optimizers_dict.items():
            rates[f"{name}_lr"] = optimizer.param_groups[0]["lr"]
            schedule = getattr(self.hparams, f"{name}_schedule")
            if not isinstance(schedule, WarmupCosine):
                _, rate = schedule(statistics["frame_error"])
                update_learning_rate(optimizer, rate)
        assert epoch is not None
        self.log.write(epoch, rates, train=self.train_statistics, valid=statistics)
        self.checkpointer.save_and_keep_only(
            meta={**statistics, "epoch": epoch}, min_keys=[self.hparams.keep_best_by]
        )

    def _statistics(self) -> dict[str, float]:
        """Means over the validation recordings of all processes."""
        errors, emotion_errors = gathered(self.errors), gathered(self.emotion_errors)
        losses, weights = zip(*gathered(self.losses), strict=True)
        return {
            "loss": sum(losses) / sum(weights),
            "frame_error": sum(errors) / len(errors),
            "eder": sum(found.eder for found in emotion_errors) / len(emotion_errors),
        }

    def _of_all(self, value: float) -> float:
        """Sum over all processes."""
        return summed(torch.tensor(value, device=self.device)).item()

    def _targets(self, batch: Waveforms) -> Predictions:
        """Frames of each recording, and their targets: an encoder gives none for the last cells."""
        count = self.model.frontend.num_frames
        there = [count(length) for length in batch.lengths.tolist()]
        counts = torch.tensor(there, device=batch.targets.device)
        targets = batch.targets[:, : max(there)]
        beyond = torch.arange(max(there), device=counts.device) >= counts[:, None]
        return counts, targets.masked_fill(beyond, -1)

    def _emotion_errors(self, logits: Tensor, batch: Waveforms, item: int) -> EmotionErrors:
        """Decode a recording as the pipeline does, and count its errors."""
        specifications = self.model.specifications
        grid, length = specifications.grid, int(batch.lengths[item])
        duration = length / grid.sample_rate
        count = self.model.frontend.num_frames(length)
        cells = torch.arange(grid.num_frames(length)).clamp(max=count - 1)
        posteriors = logits.float().softmax(dim=-1).cpu()[cells].numpy()
        feature = grid.feature(posteriors, labels=list(specifications.classes))
        everything = Timeline([Segment(0.0, duration)])
        hypothesis = Decoding(**self.hparams.decoding)(feature, everything, duration)
        return eder(batch.references[item], hypothesis, duration=duration)
