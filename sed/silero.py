"""The network of the Silero package, given many chunks of a recording at once.

The only file that imports `silero_vad`; `sed.vad.Silero` is what the stages use.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

CHUNK, CONTEXT = 512, 64
"""Samples of a chunk, and of the one before it that a chunk is given."""


class SileroNetwork:
    """The package's own network for 16 kHz, over many chunks at once.

    It is the TorchScript model that the package's functions run: `silero_vad_16k.safetensors`
    beside it holds other weights, whose probabilities differ in the second decimal.
    """

    def __init__(self) -> None:
        with _one_thread(), warnings.catch_warnings():
            from silero_vad import load_silero_vad  # its import sets torch to one thread for good

            # torch 2.11 calls torch.jit.load deprecated, and the package's loader calls it
            warnings.simplefilter("ignore", DeprecationWarning)
            self._network = load_silero_vad()._model
        cell = self._network.decoder.rnn
        self._lstm_weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]

    def __call__(
        self, samples: np.ndarray, state: list[torch.Tensor] | None
    ) -> tuple[np.ndarray, list[torch.Tensor]]:
        """Speech probability of each chunk, and the state after the last one.

        Parameters
        ----------
        samples : (64 + 512 * num_chunks,) np.ndarray of float32
            Begins with the 64 samples before the first chunk.
        state : list of two (1, 1, 128) torch.Tensor, optional
            What the chunk before left; None at the start of a recording.
        """
        import torch

        with torch.inference_mode(), _one_thread():
            chunks = torch.from_numpy(samples).unfold(0, CONTEXT + CHUNK, CHUNK)
            x = self._network.encoder(self._network.run_extractors(chunks))  # (num_chunks, 128, 1)
            state = state or [x.new_zeros(1, 1, 128)] * 2
            # with biases, one layer, no dropout, not training, one direction, time first
            lstm = (self._lstm_weights, True, 1, 0.0, False, False, False)
            x, *state = torch.lstm(x.transpose(1, 2), state, *lstm)  # (num_chunks, 1, 128)
            x = self._network.decoder.decoder(x.transpose(1, 2))  # (num_chunks, 1, 1)
            return x[:, 0, 0].numpy(), state


class SileroStream:
    """Speech probabilities of a stream of 16 kHz, whatever its blocks.

    Examples
    --------
    >>> stream = SileroStream()
    >>> len(stream.push(np.zeros(1000, np.float32))), len(stream.close())
    (1, 1)
    """

    def __init__(self) -> None:
        self._state: list[torch.Tensor] | None = None
        self._waiting = np.zeros(CONTEXT, dtype=np.float32)  # of the first chunk: never empty

    def push(self, block: np.ndarray) -> np.ndarray:
        """Speech probability (num_chunks,) of each chunk that a block completes."""
        self._waiting = np.concatenate((self._waiting, block))
        whole = (len(self._waiting) - CONTEXT) // CHUNK * CHUNK
        if not whole:
            return _NOTHING
        probabilities, self._state = silero_network()(self._waiting[: whole + CONTEXT], self._state)
        self._waiting = self._waiting[whole:]
        return probabilities

    def close(self) -> np.ndarray:
        """That of the chunk that the end leaves unfinished, padded with zeros; or none."""
        missing = CONTEXT + CHUNK - len(self._waiting)
        return self.push(np.zeros(missing, dtype=np.float32) if missing < CHUNK else _NOTHING)


_NOTHING = np.empty(0, dtype=np.float32)


@lru_cache(maxsize=1)
def silero_network() -> SileroNetwork:
    """The network, loaded once."""
    return SileroNetwork()


_THREADS = Lock()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread, and as before afterwards.

    The count belongs to the whole process, so two callers at once would restore each other's.
    """
    import torch

    with _THREADS:
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(num_threads)
