"""Networks of a temporal block and local attention, for utterances and frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from sed.heads.padding import without_padding
from sed.heads.pooling import LocalAttention
from sed.heads.temporal import BLSTM, LSTM, TDNN
from sed.labels import canonical

BLOCKS: dict[str, type[LSTM | TDNN]] = {"lstm": LSTM, "blstm": BLSTM, "tdnn": TDNN}
"""Temporal blocks by their names in a config."""

POOLINGS = ("mean", "mean-variance")
"""What local attention gives."""


class AttentiveHead(nn.Module):
    """Temporal block, local attention and classification (da Silva et al., figure 5).

    ::

        features ─ block ─┬─ x[t] ─────────────────┬─ linear ─ logits of every frame
                          └─ attention: alpha[t] ──┤
                                                   └─ mean, variance ─ linear ─ of the utterance

    The paper classifies utterances. What follows the block is linear in the statistics of single
    frames, so the same weights also score each frame, of which the utterance's logits are the
    mean with the attention's weights::

        mean            frame: W x[t] + b
        mean-variance   frame: W1 x[t] + W2 (x[t] - mean)^2 + b
        utterance       sum_t alpha[t] frame[t]

    A network that was trained on utterances therefore diarizes. But frames that the attention
    passes over have learned nothing: their logits are whatever they are. With `reach` a frame's
    logits are those of the utterance that is around it, as far as that, which is what the network
    has learned to judge. One that is trained on frames leaves the attention as it was with
    ``mean`` and no `reach`, since no frame's logits depend on it.

    **Several corpora.** With `tasks` there is a linear layer for each corpus behind one block and
    one attention, as in the paper's multi-task setup: each gives the classes that its corpus is
    labelled with. `forward` and `utterance` take the name of one of them; by default, and so in
    diarization, it is `task`, whose classes are those of the model.

    Parameters
    ----------
    num_features, num_classes : int
        Width of the input and of the output.
    block : {"lstm", "blstm", "tdnn"}
        See `sed.heads.temporal`.
    pooling : {"mean", "mean-variance"}
        See `sed.heads.pooling.LocalAttention`.
    reach : int
        Frames on each side that a frame's logits are found from, none by default.
    tasks : dict of str to list of str, optional
        Classes of each corpus, by its name; a single task by default.
    task : str, optional
        The one of `tasks` that diarizes.
    **options
        Arguments of the block.

    Attributes
    ----------
    classes : tuple of str or None
        Of `task`; None without `tasks`.

    Raises
    ------
    ValueError
        If there is no such block, pooling, task or emotion, or `task` has not `num_classes`.

    Examples
    --------
    >>> import torch
    >>> head = AttentiveHead(257, 4, block="blstm", pooling="mean-variance")
    >>> features = torch.randn(2, 63, 257)
    >>> head(features).shape, head.utterance(features).shape, head.attention(features).shape
    (torch.Size([2, 63, 4]), torch.Size([2, 4]), torch.Size([2, 63]))
    >>> two = {"emodb": ["neutral", "angry"], "ravdess": ["neutral", "happy", "sad"]}
    >>> head = AttentiveHead(257, 2, tasks=two, task="emodb")
    >>> head(features).shape, head(features, task="ravdess").shape
    (torch.Size([2, 63, 2]), torch.Size([2, 63, 3]))
    """

    stride = 1
    """Frames of the input for a frame of the output."""

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        block: str = "tdnn",
        pooling: str = "mean-variance",
        reach: int = 0,
        tasks: Mapping[str, Sequence[str]] | None = None,
        task: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise ValueError(f"unknown block {block!r}; known are {', '.join(BLOCKS)}")
        if pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {pooling!r}; known are {', '.join(POOLINGS)}")
        if not isinstance(reach, int) or reach < 0:
            raise ValueError(f"reach is {reach!r}, no number of frames from 0 on")
        self.reach = reach
        self.block = BLOCKS[block](num_features, **options)
        self.pooling = LocalAttention(self.block.num_outputs, variance=pooling == "mean-variance")
        self.task, self.classes = task, _classes_of(tasks or {}, task, num_classes)
        width = self.pooling.num_outputs
        self.classify: nn.Module
        if tasks:
            self.classify = nn.ModuleDict(
                {name: nn.Linear(width, len(classes)) for name, classes in tasks.items()}
            )
        else:
            self.classify = nn.Linear(width, num_classes)

    @property
    def context(self) -> int | None:
        """Frames on each side that a frame's logits depend on, None where it is all of them.

        Without a `reach` a variance is taken around the mean of all frames, and an LSTM hears
        everything. Such a network hears windows in inference, as an encoder does.
        """
        if self.block.context is None or (self.pooling.variance and not self.reach):
            return None
        return self.block.context + self.reach

    def forward(
        self, features: Tensor, lengths: Tensor | None = None, *, task: str | None = None
    ) -> Tensor:
        """Logits of every frame.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor
        lengths : (batch,) Tensor of int, optional
            True frames of each sequence, at least one; all by default.
        task : str, optional
            One of the tasks, in place of the head's own.

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            Zero beyond a sequence's length.
        """
        frames = self.block(features, lengths)
        if self.reach:
            frames = self.pooling.around(frames, self.reach, lengths)
        elif self.pooling.variance:
            frames = self.pooling.statistics(frames, self.pooling.weights(frames, lengths))
        return without_padding(self._layer(task)(frames), lengths)

    def utterance(
        self, features: Tensor, lengths: Tensor | None = None, *, task: str | None = None
    ) -> Tensor:
        """Logits of whole utterances, as in the paper.

        Parameters
        ----------
        features, lengths, task
            As in `forward`.

        Returns
        -------
        (batch, num_classes) Tensor
        """
        logits: Tensor = self._layer(task)(self.pooling(self.block(features, lengths), lengths))
        return logits

    def attention(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """How much each frame counts for its utterance: where the emotion is heard.

        Parameters
        ----------
        features, lengths
            As in `forward`.

        Returns
        -------
        (batch, num_frames) Tensor
            Sums to one; zero beyond a sequence's length.
        """
        return self.pooling.weights(self.block(features, lengths), lengths)

    def _layer(self, task: str | None) -> nn.Module:
        """Linear layer of a task, by default of the head's own.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        name = self.task if task is None else task
        if name is None:
            return self.classify
        layers = dict(self.classify.named_children())
        if name not in layers:
            raise ValueError(f"unknown task {name!r}; known are {', '.join(layers) or 'none'}")
        return layers[name]


def _classes_of(
    tasks: Mapping[str, Sequence[str]], task: str | None, num_classes: int
) -> tuple[str, ...] | None:
    """Classes of the task that diarizes.

    Raises
    ------
    ValueError
        If there are tasks and it is none of them, or has another number of classes.
    """
    if not tasks and task is None:
        return None
    if task is None or task not in tasks:
        known = ", ".join(tasks) or "none"
        raise ValueError(f"the task that diarizes is {task!r}; the tasks are {known}")
    classes = tuple(canonical(name) for name in tasks[task])
    if len(classes) != num_classes:
        raise ValueError(f"the task {task!r} has {len(classes)} classes, the model {num_classes}")
    return classes
