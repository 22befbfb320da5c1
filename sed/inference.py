"""Windows to posteriors: the network hears speech with its pauses cut out, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from pyannote.core import SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.batching import Model, Network, batches, behind
from sed.vad import Hook
from sed.windows import Layout, Window, plan

__all__ = ["Inference", "Model"]

BLOCK = 30.0
"""Seconds that are read at once."""

NUM_BLOCKS_AHEAD = 2
"""Blocks that wait for the network; while it works on a batch, the next one is read."""


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
        layout = self.layout(recording, speech, windows)

        def tell(num_done: int) -> None:
            if hook is not None:
                completed = layout.offsets[num_done - 1]
                hook("emotions", None, completed=completed, total=recording.duration)

        with closing(_read_ahead(self.packed(recording, layout))) as stream:
            sums = self.sums(layout.windows, stream, tell=tell)
        return self.posteriors(layout, sums)

    def layout(self, recording: Recording, speech: Timeline, windows: Timeline) -> Layout:
        """What the network is to hear of a recording; parameters are those of a call.

        ``posteriors(layout, sums(layout.windows, packed(recording, layout)))`` is what a call does.
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
        planned = plan(list(offsets), len(frames), specifications)
        return Layout(heard, tuple(planned), tuple(offsets.values()))

    def packed(self, recording: Recording, layout: Layout) -> Generator[np.ndarray]:
        """Samples of the frames that are heard, joined, block by block."""
        grid = self.model.specifications.grid
        frames_per_block = grid.frame(BLOCK)
        blocks = recording.blocks(
            sample_rate=grid.sample_rate, duration=grid.seconds(frames_per_block)
        )
        for index, block in enumerate(blocks):
            first = index * frames_per_block
            runs = grid.runs(layout.heard[first : first + frames_per_block]) * grid.hop
            if len(runs):
                yield np.concatenate([block[start:end] for start, end in runs])

    def sums(
        self,
        windows: Sequence[Window],
        stream: Iterator[np.ndarray],
        *,
        origin: int = 0,
        tell: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Weighted posteriors of windows that follow each other, added up.

        Those of all windows of a layout are its posteriors. Those of a part lack, around its ends,
        what its neighbours add: no frame is in more than two windows, so it does not matter in
        which order parts are added.

        Parameters
        ----------
        windows : sequence of Window
        stream : iterator of (num_samples,) np.ndarray
            From `packed`, in blocks of any lengths.
        origin : int
            Packed frame that the stream begins with, no later than the first window.
        tell : callable, optional
            Told how many windows are done.

        Returns
        -------
        (num_frames, num_classes) np.ndarray of float32
            From the first frame that counts in the first window to the last that does in the last.
        """
        num_classes = len(self.model.specifications.classes)
        if not windows:
            return np.zeros((0, num_classes), dtype=np.float32)
        begin = windows[0].counted.start
        sums = np.zeros((windows[-1].counted.stop - begin, num_classes), dtype=np.float32)
        scored = self._scores(self._inputs(windows, stream, origin))
        for num_done, (window, scores) in enumerate(scored, 1):
            first, end = window.counted.start, window.counted.stop
            counted = scores[first - window.start : end - window.start]
            sums[first - begin : end - begin] += window.weights[:, None] * counted
            if tell is not None:
                tell(num_done)
        return sums

    def posteriors(self, layout: Layout, sums: np.ndarray) -> SlidingWindowFeature:
        """Posteriors of a recording from those of all windows; what is not heard is neutral."""
        specifications = self.model.specifications
        frames = np.flatnonzero(layout.heard)
        num_classes = len(specifications.classes)
        posteriors = np.zeros((len(layout.heard), num_classes), dtype=np.float32)
        posteriors[:, specifications.neutral] = 1.0
        posteriors[frames[len(frames) - len(sums) :]] = sums
        return specifications.grid.feature(posteriors, labels=list(specifications.classes))

    def _inputs(
        self, windows: Iterable[Window], stream: Iterator[np.ndarray], origin: int
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """Samples that the network hears for each window; `origin` is where the stream begins."""
        grid = self.model.specifications.grid
        packed = np.zeros(0, dtype=np.float32)
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
        network = Network(self.model, torch.device(self.device), self.batch_size)
        launched = (
            ([window for window, _ in batch], network([waveform for _, waveform in batch]))
            for batch in batches(inputs, lambda: network.batch_size)
        )
        for windows, fetch in behind(launched, network.num_in_flight):
            yield from zip(windows, fetch(), strict=True)


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
