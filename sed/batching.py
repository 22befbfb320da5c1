"""Windows that go through a network together: as many as memory holds, the next while one is on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from sed.specifications import Specifications
from sed.windows import Window

MAX_BATCH_SIZE = 64
"""Windows that a batch holds at most, however much memory there is."""

T = TypeVar("T")


class Model(Protocol):
    """What gives posteriors: an `sed.model.EmotionModel`, or the session of an exported one."""

    @property
    def specifications(self) -> Specifications:
        """What it expects and promises."""

    @property
    def decoding(self) -> Mapping[str, Any]:
        """Arguments of `sed.decoding.Decoding` that suit it."""

    def __call__(self, waveform: Tensor, /) -> Tensor:
        """Posteriors (batch, num_frames, num_classes) of waveforms (batch, num_samples)."""


class Network:
    """A model that is given no more windows at once than memory holds.

    Parameters
    ----------
    model : Model
    device : torch.device
    batch_size : int or None
        None to look, on a GPU, at what the first windows take and how much is free.
    """

    def __init__(self, model: Model, device: torch.device, batch_size: int | None) -> None:
        self.model, self.device = model, device
        self.batch_size = batch_size or 1
        self.on_gpu = device.type == "cuda"
        self.num_in_flight = int(self.on_gpu)  # batches fetched when the next is under way
        self._measures = self.on_gpu and batch_size is None

    @torch.inference_mode()
    def __call__(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        """What waits for the posteriors (batch, num_frames, num_classes) of equally long inputs."""
        waveforms = torch.from_numpy(np.stack(inputs))
        if self.on_gpu:
            waveforms = waveforms.pin_memory()
        posteriors = self._measured(waveforms) if self._measures else self._in_pieces(waveforms)
        arrived = torch.cuda.current_stream(self.device).record_event() if self.on_gpu else None

        def fetch() -> np.ndarray:
            if arrived is not None:
                arrived.synchronize()
            return torch.cat(posteriors).numpy()

        return fetch

    def _in_pieces(self, waveforms: Tensor) -> list[Tensor]:
        """Posteriors of one batch, in halves and their halves where memory is too small."""
        posteriors: list[Tensor] = []
        num_done = 0
        while num_done < len(waveforms):
            batch = waveforms[num_done : num_done + self.batch_size]
            try:
                scores = self.model(batch.to(self.device, non_blocking=self.on_gpu)).float()
                posteriors.append(scores.to("cpu", non_blocking=self.on_gpu))
                num_done += len(batch)
            except torch.OutOfMemoryError:
                self.batch_size = len(batch) // 2
            if self.batch_size == 0:
                seconds = waveforms.shape[1] / self.model.specifications.sample_rate
                raise ValueError(
                    f"{seconds:.1f} s of speech at once do not fit into the memory of "
                    f"{self.device}; take shorter windows or another device"
                )
        return posteriors

    def _measured(self, waveforms: Tensor) -> list[Tensor]:
        """Posteriors of the first window, which tells how many fit."""
        self._measures = False
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        posteriors = self._in_pieces(waveforms)
        taken = torch.cuda.max_memory_allocated(self.device) - before
        free, _ = torch.cuda.mem_get_info(self.device)
        free += torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        self.batch_size = fitting_batch_size(taken, free)
        return posteriors


def fitting_batch_size(taken: int, free: int) -> int:
    """Number of windows that fit into memory, of which a quarter is left alone.

    Parameters
    ----------
    taken : int
        Bytes that one window takes.
    free : int
        Bytes.

    Examples
    --------
    >>> [fitting_batch_size(taken=30, free=free) for free in (20, 400, 40_000)]
    [1, 10, 64]
    """
    return max(1, min(MAX_BATCH_SIZE, free * 3 // 4 // max(1, taken)))


def batches(
    inputs: Iterable[tuple[Window, np.ndarray]], batch_size: Callable[[], int]
) -> Iterator[list[tuple[Window, np.ndarray]]]:
    """Windows that follow each other and are equally long, as many as a batch has by then."""
    for _, equally_long in groupby(inputs, key=lambda item: len(item[1])):
        while batch := list(islice(equally_long, batch_size())):
            yield batch


def behind(items: Iterable[T], count: int) -> Iterator[T]:
    """Items, each of which is given when `count` more have been made."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting
