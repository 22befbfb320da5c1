"""What the network hears of a stream: the last of its speech, pauses cut out."""

from __future__ import annotations

import numpy as np
import torch

from sed.inference import Inference


class LiveEmotions:
    """Posteriors of the last frames of speech, anew whenever more of it has come.

    ::

        packed speech    ··········[ before ········|== certain ==|-- for now --]
        heard                      ^                                            ^
        posteriors                                  |=============|-------------]
                                                    settled       end

    What has settled stays; what follows it may be heard differently when more is known, or turn out
    to be no speech. A network with a finite context hears that much before; others as much as
    their window holds.

    Parameters
    ----------
    inference : Inference

    Attributes
    ----------
    num_settled : int
        Frames of speech whose posteriors nothing changes any more.
    """

    def __init__(self, inference: Inference) -> None:
        self._model, self._device = inference.model, inference.device
        self._grid = inference.model.specifications.grid
        self._context = inference.model.specifications.context
        self._most = self._grid.frame(inference.model.specifications.window)
        self._samples = np.empty(0, dtype=np.float32)
        self._first = 0  # packed frame that they begin with
        self.num_settled = 0

    def keep(self, samples: np.ndarray) -> None:
        """Speech that is certain to be speech: whole frames, but for the last of the stream."""
        self._samples = np.concatenate((self._samples, samples))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Posteriors of all frames that have not settled.

        Parameters
        ----------
        samples : (num_samples,) np.ndarray
            Speech for now, after what is kept.

        Returns
        -------
        (num_frames, num_classes) np.ndarray of float32
        """
        heard = np.concatenate((self._samples, samples))
        num_heard = self._grid.num_frames(len(heard))
        waiting = self._first + num_heard - self.num_settled
        if waiting == 0:
            num_classes = len(self._model.specifications.classes)
            return np.empty((0, num_classes), dtype=np.float32)
        if self._context is None:  # no more than a window, to which the network is used
            heard = heard[max(0, num_heard - max(self._most, waiting)) * self._grid.hop :]
        with torch.inference_mode():
            waveform = torch.from_numpy(heard)[None].to(self._device)
            posteriors = self._model(waveform)[0].float().cpu().numpy()
        return posteriors[-waiting:]

    def settle(self, num_frames: int) -> None:
        """So many more frames are what they are; what is too far before the next is forgotten."""
        self.num_settled += num_frames
        before = self._most if self._context is None else self._context
        first = max(self._first, self.num_settled - before)
        self._samples = self._samples[(first - self._first) * self._grid.hop :]
        self._first = first
