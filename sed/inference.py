"""Windows to posteriors: the network hears speech with its pauses cut out, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from pyannote.core import SlidingWindowFeature, Timeline
from torch import Tensor

from sed.audio import Recording
from sed.specifications import Specifications
from sed.vad import Hook
from sed.windows import Window, plan

BLOCK = 30.0
"""Seconds that are read at once."""

NUM_BLOCKS_AHEAD = 2
"""Blocks that wait for the network; while it works on a batch, the next one is read."""

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


@dataclass(frozen=True)
class Inference:
    """Posteriors of every frame of a recording.

    ::

        recording  ....#####..####.......######...     # speech
        packed         #####|####|######               what the network hears, pauses cut out,
                                                       as in the recordings it was trained on
        windows        [--------···]                   each with speech around it, see
                          [·····-------]               `sed.windows.plan`
        posteriors nnnneeeeennneeennnnnnneeeeeennn     put back in their place, silence neutral

    The posteriors of a network with a finite context are those of the whole recording in one
    piece; those of other networks are faded from window to window at the seams. Windows are never
    padded: those that follow each other and are equally long share a batch, which changes nothing
    but the time it takes.

    Parameters
    ----------
    model : Model
    device : str or torch.device
        Where the model is.
    batch_size : int, optional
        Windows that go through the network at once. By default one on a CPU, where more gain
        nothing, and on a GPU as many as its free memory holds after a look at the first one. In
        both cases fewer if that turns out to be too many.

    Raises
    ------
    ValueError
        If the batch size is below one.
    """

    model: Model
    device: str | torch.device = "cpu"
    batch_size: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse batches without windows."""
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"a batch of {self.batch_size} windows; give a batch_size from 1 on")

    def __call__(
        self, recording: Recording, speech: Timeline, windows: Timeline, *, hook: Hook | None = None
    ) -> SlidingWindowFeature:
        """Posteriors of a recording.

        Parameters
        ----------
        recording : Recording
        speech : Timeline
        windows : Timeline
            From `sed.segmentation.Segmentation`.
        hook : callable, optional
            Told how many seconds are done.

        Returns
        -------
        (num_frames, num_classes) SlidingWindowFeature
            Its labels are the classes. Sums to one in every frame.

        Raises
        ------
        OSError, ValueError
            If the recording cannot be read, or not even one window fits into the device's memory.
        """
        specifications = self.model.specifications
        grid = specifications.grid
        num_frames = grid.num_frames(recording.num_samples(grid.sample_rate))
        heard = grid.mask(speech, num_frames, duration=recording.duration)
        frames = np.flatnonzero(heard)
        onsets = [grid.frame(window.start) for window in windows]
        bounds = [*np.searchsorted(frames, onsets).tolist(), len(frames)]
        offsets = {  # in seconds, of each core that holds a frame
            core: window.end
            for core, window in zip(pairwise(bounds), windows, strict=True)
            if core[0] < core[1]
        }
        posteriors = np.zeros((num_frames, len(specifications.classes)), dtype=np.float32)
        posteriors[:, specifications.neutral] = 1.0
        posteriors[frames[bounds[0] :]] = 0.0
        planned = plan(list(offsets), len(frames), specifications)
        with closing(_read_ahead(self._packed(recording, heard))) as stream:
            for window, scores in self._scores(self._inputs(planned, stream)):
                first, end = window.counted.start, window.counted.stop
                counted = scores[first - window.start : end - window.start]
                posteriors[frames[first:end]] += window.weights[:, None] * counted
                if hook is not None:
                    completed = offsets[window.first, window.end]
                    hook("emotions", None, completed=completed, total=recording.duration)
        return grid.feature(posteriors, labels=list(specifications.classes))

    def _packed(self, recording: Recording, heard: np.ndarray) -> Generator[np.ndarray]:
        """Samples of the frames with speech, joined, block by block."""
        grid = self.model.specifications.grid
        frames_per_block = grid.frame(BLOCK)
        blocks = recording.blocks(
            sample_rate=grid.sample_rate, duration=grid.seconds(frames_per_block)
        )
        for index, block in enumerate(blocks):
            first = index * frames_per_block
            runs = grid.runs(heard[first : first + frames_per_block]) * grid.hop
            if len(runs):
                yield np.concatenate([block[start:end] for start, end in runs])

    def _inputs(
        self, windows: Iterable[Window], stream: Iterator[np.ndarray]
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """Samples that the network hears for each window."""
        grid = self.model.specifications.grid
        packed = np.zeros(0, dtype=np.float32)
        origin = 0  # packed frame that the buffer begins with
        for window in windows:
            packed = packed[(window.start - origin) * grid.hop :]
            origin = window.start
            pieces, held = [packed], len(packed)
            while grid.num_frames(held) < window.stop - origin:
                pieces.append(next(stream))
                held += len(pieces[-1])
            if len(pieces) > 1:
                packed = np.concatenate(pieces)
            yield window, packed[: (window.stop - origin) * grid.hop]

    def _scores(
        self, inputs: Iterable[tuple[Window, np.ndarray]]
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """Posteriors of all frames of each window."""
        network = _Network(self.model, torch.device(self.device), self.batch_size)
        launched = (
            ([window for window, _ in batch], network([waveform for _, waveform in batch]))
            for batch in _batches(inputs, lambda: network.batch_size)
        )
        for windows, fetch in _behind(launched, network.num_in_flight):
            yield from zip(windows, fetch(), strict=True)


class _Network:
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


def _batches(
    inputs: Iterable[tuple[Window, np.ndarray]], batch_size: Callable[[], int]
) -> Iterator[list[tuple[Window, np.ndarray]]]:
    """Windows that follow each other and are equally long, as many as a batch has by then."""
    for _, equally_long in groupby(inputs, key=lambda item: len(item[1])):
        while batch := list(islice(equally_long, batch_size())):
            yield batch


def _behind(items: Iterable[T], count: int) -> Iterator[T]:
    """Items, each of which is given when `count` more have been made."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def _read_ahead(blocks: Generator[np.ndarray]) -> Generator[np.ndarray]:
    """Blocks, of which a thread makes the next ones in the meantime.

    The thread is at its end when the generator is: exhausted, failed or closed.
    """
    with closing(blocks), ThreadPoolExecutor(1, thread_name_prefix="sed-read-ahead") as reader:
        waiting = deque(reader.submit(next, blocks, None) for _ in range(NUM_BLOCKS_AHEAD))
        try:
            while (block := waiting.popleft().result()) is not None:
                waiting.append(reader.submit(next, blocks, None))
                yield block
        finally:
            for future in waiting:
                future.cancel()
