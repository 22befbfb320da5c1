"""Windows to posteriors: the network hears speech with its pauses cut out, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pyannote.core import SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.model import EmotionModel
from sed.vad import Hook

BLOCK = 30.0
"""Seconds that are read at once."""


@dataclass(frozen=True)
class Inference:
    """Posteriors of every frame of a recording.

    ::

        recording  ....#####..####.......######...     # speech
        packed         #####|####|######               what the network hears, pauses cut out,
                                                       as in the recordings it was trained on
        windows        [--------]                      each with the frames around it that its
                       [--------·······]               own depend on: its context
        posteriors nnnneeeeennneeennnnnnneeeeeennn     put back in their place, silence neutral

    With the context, a window's posteriors are those of the whole recording in one piece. Windows
    differ in length and are never padded.

    Parameters
    ----------
    model : EmotionModel
    device : str or torch.device
        Where the model is.
    """

    model: EmotionModel
    device: str | torch.device = "cpu"

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
        """
        specifications = self.model.specifications
        grid, context = specifications.grid, specifications.context
        num_samples = recording.num_samples(grid.sample_rate)
        num_frames = grid.num_frames(num_samples)
        heard = grid.mask(speech, num_frames, duration=recording.duration)
        frames = np.flatnonzero(heard)
        posteriors = np.zeros((num_frames, len(specifications.classes)), dtype=np.float32)
        posteriors[:, specifications.neutral] = 1.0
        stream = self._packed(recording, heard)
        packed = np.zeros(0, dtype=np.float32)
        origin = 0  # packed frame that the buffer begins with
        onsets = [grid.frame(window.start) for window in windows]
        bounds = [*np.searchsorted(frames, onsets).tolist(), len(frames)]
        for window, first, end in zip(windows, bounds[:-1], bounds[1:], strict=True):
            if window.end >= recording.duration:  # with the last frame, however short
                end = len(frames)
            start = max(0, first - context)
            stop = min(len(frames), end + context)
            packed = packed[(start - origin) * grid.hop :]
            origin = start
            pieces, held = [packed], len(packed)
            while grid.num_frames(held) < stop - start:
                pieces.append(next(stream))
                held += len(pieces[-1])
            packed = np.concatenate(pieces)
            if end > first:
                scores = self._scores(packed[: (stop - start) * grid.hop])
                posteriors[frames[first:end]] = scores[first - start : end - start]
            if hook is not None:
                hook("emotions", None, completed=window.end, total=recording.duration)
        return grid.feature(posteriors, labels=list(specifications.classes))

    def _packed(self, recording: Recording, heard: np.ndarray) -> Iterator[np.ndarray]:
        """Samples of the frames with speech, joined, block by block."""
        grid = self.model.specifications.grid
        frames_per_block = grid.frame(BLOCK)
        blocks = recording.blocks(
            sample_rate=grid.sample_rate, duration=grid.seconds(frames_per_block)
        )
        for index, block in enumerate(blocks):
            first = index * frames_per_block
            runs = grid.runs(heard[first : first + frames_per_block]) * grid.hop
            for start, end in runs:
                yield block[start:end]

    @torch.inference_mode()
    def _scores(self, samples: np.ndarray) -> np.ndarray:
        """Posteriors of (num_samples,) samples as (num_frames, num_classes)."""
        waveform = torch.from_numpy(samples).to(self.device)
        scores: np.ndarray = self.model(waveform[None])[0].float().cpu().numpy()
        return scores
