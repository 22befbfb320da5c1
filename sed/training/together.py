"""Networks of several folds, trained at the same time: settings, epochs, checkpoints, outcome."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sed.heads import TIMNet
from sed.training.folds import Fold
from sed.training.ranges import check_rate, check_share, check_whole
from sed.training.timnets import TIMNets, check
from sed.training.utterances import Cepstra

MEASURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
"""What the curves show, epoch by epoch."""


@dataclass(frozen=True)
class Fitting:
    """How networks are trained; as in Ye et al. (2023) and their code by default.

    Parameters
    ----------
    num_epochs, batch_size : int
    learning_rate, beta1, beta2, epsilon : float
        Of Adam.
    label_smoothing, dropout : float
    channels, num_blocks : int
    variant, precision : str
        See `sed.training.timnets.TIMNets`.
    judge_every : int
        Epochs from one test to the next; the last one is always tested.

    Raises
    ------
    ValueError
        If one of them makes no sense.
    """

    num_epochs: int = 500
    batch_size: int = 64
    learning_rate: float = 0.001
    beta1: float = 0.93
    beta2: float = 0.98
    epsilon: float = 1e-8
    label_smoothing: float = 0.1
    dropout: float = 0.1
    channels: int = 39
    num_blocks: int = 8
    variant: str = "timnet"
    precision: str = "fp32"
    judge_every: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check(self.variant, self.precision)
        for name in ("num_epochs", "batch_size", "channels", "num_blocks", "judge_every"):
            check_whole(name, getattr(self, name))
        for name in ("beta1", "beta2", "label_smoothing", "dropout"):
            check_share(name, getattr(self, name))
        for name in ("learning_rate", "epsilon"):
            check_rate(name, getattr(self, name))


@dataclass(frozen=True, eq=False)
class Fitted:
    """What became of a network.

    Parameters
    ----------
    curves : (num_epochs, 4) np.ndarray
        `MEASURES`; nan where nothing was tested.
    last, best : (num_test,) np.ndarray of int
        Classes of its test recordings, after the last epoch and after the one in which most of
        them were right, which is a choice that the test recordings made.
    embeddings : (num_test, channels) np.ndarray
        What the classifier sees of them after the last epoch.
    seconds : float
        Its share of the wall time of those that trained together, from the first epoch on; a
        process that was killed counts up to its last checkpoint.
    """

    curves: np.ndarray
    last: np.ndarray
    best: np.ndarray
    embeddings: np.ndarray
    seconds: float


class Together:
    """Networks that are trained at the same time.

    Parameters
    ----------
    data : Cepstra
    folds : sequence of Fold
        With as many batches in an epoch.
    fitting : Fitting
    device : str
    compiled : bool
        See `sed.training.timnets.TIMNets`.
    """

    def __init__(
        self,
        data: Cepstra,
        folds: Sequence[Fold],
        fitting: Fitting,
        *,
        device: str = "cpu",
        compiled: bool = False,
    ) -> None:
        self.folds, self.fitting = folds, fitting
        self.features, self.targets = data.features.to(device), data.targets.to(device)
        self.networks = TIMNets(
            [self._network(fold, data) for fold in folds],
            variant=fitting.variant,
            precision=fitting.precision,
            compiled=compiled,
        ).to(device)
        self.generators = [torch.Generator().manual_seed(fold.seed) for fold in folds]
        # Keras adds epsilon to another form of the denominator; at 1e-8 it is the same to 7 digits.
        self.optimizer = torch.optim.Adam(
            [weight for weight in self.networks.parameters() if weight.requires_grad],
            lr=fitting.learning_rate,
            betas=(fitting.beta1, fitting.beta2),
            eps=fitting.epsilon,
            fused=True,
        )
        self.epoch, self.seconds = 0, 0.0
        self.curves = torch.full((fitting.num_epochs, len(MEASURES), len(folds)), torch.nan)
        self.best = [torch.zeros(len(fold.test), dtype=torch.long) for fold in folds]
        self.most_right = [-1] * len(folds)

    def _network(self, fold: Fold, data: Cepstra) -> TIMNet:
        """Initial weights by the fold's seed."""
        fitting = self.fitting
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fold.seed)
            return TIMNet(
                len(data.features),
                len(data.classes),
                channels=fitting.channels,
                num_blocks=fitting.num_blocks,
                dropout=fitting.dropout,
            )

    def epochs(self, path: Path | None = None, *, every: int = 10) -> Iterator[int]:
        """Train to the end, and give the number of each epoch.

        Parameters
        ----------
        path : Path, optional
            Checkpoint, written after every few epochs and after the last.
        every : int
        """
        fitting = self.fitting
        while self.epoch < fitting.num_epochs:
            started = time.perf_counter()
            row = self.curves[self.epoch]
            row[:2] = self.train_epoch()
            self.epoch += 1
            if self.epoch % fitting.judge_every == 0 or self.epoch == fitting.num_epochs:
                row[2:] = self._judge()
            self.seconds += time.perf_counter() - started
            if path is not None and (self.epoch % every == 0 or self.epoch == fitting.num_epochs):
                self._save(path)
            yield self.epoch

    def train_epoch(self) -> Tensor:
        """Train for an epoch.

        Returns
        -------
        (2, num_networks) Tensor
            Mean loss and accuracy of the training recordings while it learned from them.
        """
        self.networks.train()
        sums = torch.zeros(2, len(self.folds), device=self.targets.device)
        for places, valid in self._batches():
            columns = self.networks.draw_masks(valid, self.generators)
            there, places = valid.to(sums), places.to(sums.device)
            logits, targets = self.networks(self._features(places), columns), self.targets[places]
            losses = F.cross_entropy(
                logits.mT, targets, label_smoothing=self.fitting.label_smoothing, reduction="none"
            )
            losses = losses * there
            self.optimizer.zero_grad(set_to_none=True)
            (losses.sum(dim=1) / there.sum(dim=1)).sum().backward()
            self.optimizer.step()
            right = (logits.detach().argmax(dim=-1) == targets) * there
            sums += torch.stack((losses.detach().sum(dim=1), right.sum(dim=1)))
        sizes = [len(fold.train) for fold in self.folds]
        return sums.cpu() / torch.tensor(sizes)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Recordings of each network's next batch, (num_networks, batch), and which are there."""
        size = self.fitting.batch_size
        orders = [
            torch.from_numpy(fold.train)[torch.randperm(len(fold.train), generator=generator)]
            for fold, generator in zip(self.folds, self.generators, strict=True)
        ]
        order = torch.nn.utils.rnn.pad_sequence(orders, batch_first=True, padding_value=-1)
        for places in order.split(size, dim=1):
            valid = places >= 0
            yield places.clamp(min=0), valid

    def _features(self, places: Tensor) -> Tensor:
        """Features of recordings, (num_networks, num_features, num_frames, batch)."""
        return torch.stack([self.features.index_select(2, row) for row in places])

    def _judge(self) -> Tensor:
        """Test the networks; loss and accuracy, (2, num_networks)."""
        found = torch.zeros(2, len(self.folds))
        for place, (fold, logits) in enumerate(zip(self.folds, self._logits(), strict=True)):
            targets = self.targets[torch.from_numpy(fold.test)].cpu()
            classes = logits.argmax(dim=-1)
            right = int((classes == targets).sum())
            found[0, place] = F.cross_entropy(
                logits, targets, label_smoothing=self.fitting.label_smoothing
            )
            found[1, place] = right / len(targets)
            if right > self.most_right[place]:
                self.most_right[place], self.best[place] = right, classes
        return found

    @torch.no_grad()
    def _embeddings(self) -> list[Tensor]:
        """What the classifiers see of the test recordings, (num_test, channels) for each fold."""
        self.networks.eval()
        tests = [torch.from_numpy(fold.test) for fold in self.folds]
        order = torch.nn.utils.rnn.pad_sequence(tests, batch_first=True).to(self.targets.device)
        pieces = [
            self.networks.embed(self._features(places))
            for places in order.split(self.fitting.batch_size, dim=1)
        ]
        rows = torch.cat(pieces, dim=1)
        return [row[: len(test)] for row, test in zip(rows, tests, strict=True)]

    @torch.no_grad()
    def _logits(self) -> list[Tensor]:
        """Logits of the test recordings."""
        weights = zip(self.networks.classify, self.networks.classify_bias, strict=True)
        return [
            torch.addmm(bias, row, weight.T).cpu()
            for row, (weight, bias) in zip(self._embeddings(), weights, strict=True)
        ]

    def fitted(self) -> list[Fitted]:
        """What became of the networks."""
        return [
            Fitted(
                curves=self.curves[:, :, place].numpy(),
                last=logits.argmax(dim=-1).numpy(),
                best=self.best[place].numpy(),
                embeddings=embedded.cpu().numpy(),
                seconds=self.seconds / len(self.folds),
            )
            for place, (logits, embedded) in enumerate(
                zip(self._logits(), self._embeddings(), strict=True)
            )
        ]

    def _save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state: dict[str, Any] = {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": [generator.get_state() for generator in self.generators],
            "epoch": self.epoch,
            "seconds": self.seconds,
            "curves": self.curves,
            "best": self.best,
            "most_right": self.most_right,
        }
        temporary = path.with_name(f".{path.name}")
        try:
            with open(temporary, "wb") as stream:
                torch.save(state, stream)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one.

        Raises
        ------
        ValueError
            If it is damaged, of other networks, or of a later epoch than the last one.
        """
        if not path.is_file():
            return
        stream = BytesIO(path.read_bytes())
        try:
            state = torch.load(stream, map_location=self.targets.device, weights_only=True)
            if state["epoch"] > self.fitting.num_epochs:
                raise ValueError(f"of epoch {state['epoch']}, and num_epochs is lower")
            self.networks.load_state_dict(state["networks"])
            self.optimizer.load_state_dict(state["optimizer"])
            for generator, found in zip(self.generators, state["generators"], strict=True):
                generator.set_state(found.cpu())
            epochs = min(len(state["curves"]), len(self.curves))
            self.curves[:epochs] = state["curves"][:epochs].cpu()
            self.epoch, self.seconds = state["epoch"], state["seconds"]
            self.most_right = state["most_right"]
            self.best = [found.cpu() for found in state["best"]]
        except Exception as error:  # torch raises errors of all kinds if a file is none of its own
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} cannot be gone on from ({reason}); remove it") from error
