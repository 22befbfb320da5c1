"""Training a network on whole utterances of one corpus or several."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from sed.corpora.stored import StoredClip
from sed.model import EmotionModel
from sed.training.alternation import AlternatingBatches
from sed.training.ranges import check_rate, check_share, check_whole


@dataclass(frozen=True)
class UtteranceFitting:
    """How a network is trained; as in da Silva et al., section 4.4, by default.

    Parameters
    ----------
    batch_size : int
    steps_per_epoch : int
    patience : int
        Epochs without an improvement, after which the training ends.
    improvement : float
        Share by which the loss has to fall to count as better.
    max_epochs : int
    learning_rate, weight_decay, max_grad_norm : float
        Of Adam, and of the gradients' clipping.
    """

    batch_size: int = 16
    steps_per_epoch: int = 100
    patience: int = 20
    improvement: float = 0.002
    max_epochs: int = 1000
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    max_grad_norm: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("batch_size", "steps_per_epoch", "patience", "max_epochs"):
            check_whole(name, getattr(self, name))
        check_share("improvement", self.improvement)
        for name in ("learning_rate", "weight_decay"):
            check_rate(name, getattr(self, name), zero=True)
        check_rate("max_grad_norm", self.max_grad_norm)


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: losses, and the accuracy of the validation."""

    train_loss: float
    valid_loss: float
    valid_accuracy: float


Heard = dict[str, list[tuple[str, str]]]
"""Emotion that was said and emotion that was heard in each utterance, by corpus."""


class Network:
    """A model, and which of its outputs stands for which emotion of which corpus.

    Parameters
    ----------
    model : EmotionModel
        With a head that has `utterance`.
    classes : mapping of str to sequence of str
        Of each corpus.
    multi_task : bool
        Whether each corpus has a linear layer of its own.
    device : str
    precision : {"fp32", "bf16"}
    """

    def __init__(
        self,
        model: EmotionModel,
        classes: Mapping[str, Sequence[str]],
        *,
        multi_task: bool,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        self.model = model.to(device)
        self.classes = {name: list(there) for name, there in classes.items()}
        self.multi_task, self.device, self.precision = multi_task, device, precision

    def logits(self, waveforms: Tensor, lengths: Tensor, corpus: str) -> Tensor:
        """(batch, num_classes) logits of utterances of one corpus."""
        frontend: Any = self.model.frontend
        head: Any = self.model.head
        with torch.no_grad():
            features = frontend(waveforms.to(self.device), lengths)
            counts = torch.tensor([frontend.num_frames(int(length)) for length in lengths])
        task = {"task": corpus} if self.multi_task else {}
        low = self.precision == "bf16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=low):
            found: Tensor = head.utterance(features, counts.to(self.device), **task)
        return found.float()


class _Clips(Dataset[tuple[Tensor, StoredClip]]):
    def __init__(self, clips: Sequence[StoredClip]) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, StoredClip]:
        clip = self.clips[index]
        return torch.from_numpy(clip.samples), clip


def _together(items: list[tuple[Tensor, StoredClip]]) -> tuple[Tensor, Tensor, list[StoredClip]]:
    """Waveforms side by side, their lengths, and what they are of."""
    waveforms = [samples for samples, _ in items]
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    return padded, torch.tensor([len(row) for row in waveforms]), [clip for _, clip in items]


def class_weights(clips: Sequence[StoredClip], classes: Sequence[str]) -> Tensor:
    """Weight of each class in the loss: the rarer, the more, with a mean of one over utterances.

    Raises
    ------
    ValueError
        If a class has no utterance.
    """
    counts = Counter(clip.utterance.emotion for clip in clips)
    if lacking := set(classes) - set(counts):
        raise ValueError(f"nobody is {min(lacking)} in what is learned from; change classes")
    total = sum(counts[name] for name in classes)
    return torch.tensor([total / (len(classes) * counts[name]) for name in classes])


def fit_utterances(
    network: Network,
    train: Sequence[StoredClip],
    valid: Sequence[StoredClip],
    fitting: UtteranceFitting,
    *,
    seed: int,
    num_workers: int = 0,
    tell: Callable[[int, Epoch], None] | None = None,
) -> list[Epoch]:
    """Train until the loss of the validation no longer falls; the best weights stay.

    Parameters
    ----------
    network : Network
    train, valid : sequence of StoredClip
        Of one corpus or several, whose batches alternate.
    fitting : UtteranceFitting
    seed : int
    num_workers : int
        Processes that read.
    tell : callable, optional
        Told of each epoch and its number.

    Returns
    -------
    list of Epoch
    """
    torch.manual_seed(seed)
    weights = {
        corpus: class_weights(_of(train, corpus), classes).to(network.device)
        for corpus, classes in network.classes.items()
    }
    batches = AlternatingBatches(
        [clip.utterance.corpus for clip in train],
        batch_size=fitting.batch_size,
        num_steps=fitting.steps_per_epoch,
        seed=seed,
    )
    loader = DataLoader(
        _Clips(train), batch_sampler=batches, collate_fn=_together, num_workers=num_workers
    )
    optimizer = torch.optim.Adam(
        network.model.parameters(), lr=fitting.learning_rate, weight_decay=fitting.weight_decay
    )
    epochs: list[Epoch] = []
    least, waited = float("inf"), 0
    best = copy.deepcopy(network.model.state_dict())
    while waited < fitting.patience and len(epochs) < fitting.max_epochs:
        network.model.train()
        losses = []
        for waveforms, lengths, clips in loader:
            corpus = clips[0].utterance.corpus
            logits = network.logits(waveforms, lengths, corpus)
            loss = _loss(logits, clips, network.classes[corpus], weights[corpus])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.model.parameters(), fitting.max_grad_norm)
            optimizer.step()
            losses.append(loss.item())
        valid_loss, accuracy = _validate(network, valid, fitting.batch_size, weights)
        epochs.append(Epoch(sum(losses) / len(losses), valid_loss, accuracy))
        if tell is not None:
            tell(len(epochs), epochs[-1])
        waited += 1
        if valid_loss < least * (1.0 - fitting.improvement):
            least, waited = valid_loss, 0
            best = copy.deepcopy(network.model.state_dict())
    network.model.load_state_dict(best)
    network.model.eval()
    return epochs


def _of(clips: Sequence[StoredClip], corpus: str) -> list[StoredClip]:
    return [clip for clip in clips if clip.utterance.corpus == corpus]


def _loss(
    logits: Tensor, clips: Sequence[StoredClip], classes: Sequence[str], weights: Tensor
) -> Tensor:
    """Cross-entropy, each class weighted, of utterances of one corpus."""
    targets = [classes.index(clip.utterance.emotion) for clip in clips]
    return F.cross_entropy(logits, torch.tensor(targets, device=logits.device), weight=weights)


@torch.no_grad()
def _validate(
    network: Network, clips: Sequence[StoredClip], batch_size: int, weights: Mapping[str, Tensor]
) -> tuple[float, float]:
    """Loss and accuracy, each corpus counting alike."""
    losses, accuracies = [], []
    for corpus, classes in network.classes.items():
        there = _of(clips, corpus)
        if not there:
            continue
        pieces = [
            network.logits(*_batch(there[start : start + batch_size]), corpus)
            for start in _starts(network, there, batch_size)
        ]
        logits = torch.cat(pieces)
        losses.append(float(_loss(logits, there, classes, weights[corpus])))
        said = [classes.index(clip.utterance.emotion) for clip in there]
        accuracies.append(float((logits.argmax(dim=1).cpu() == torch.tensor(said)).float().mean()))
    return sum(losses) / len(losses), sum(accuracies) / len(accuracies)


def _starts(network: Network, clips: Sequence[StoredClip], batch_size: int) -> range:
    network.model.eval()
    return range(0, len(clips), batch_size)


def _batch(clips: Sequence[StoredClip]) -> tuple[Tensor, Tensor]:
    waveforms, lengths, _ = _together([(torch.from_numpy(clip.samples), clip) for clip in clips])
    return waveforms, lengths


@torch.no_grad()
def hear(network: Network, clips: Sequence[StoredClip], batch_size: int) -> Heard:
    """What the network hears in utterances."""
    found: Heard = {}
    for corpus, classes in network.classes.items():
        there = _of(clips, corpus)
        for start in _starts(network, there, batch_size):
            chosen = there[start : start + batch_size]
            logits = network.logits(*_batch(chosen), corpus)
            for clip, index in zip(chosen, logits.argmax(dim=1).tolist(), strict=True):
                found.setdefault(corpus, []).append((clip.utterance.emotion, classes[index]))
    return found
