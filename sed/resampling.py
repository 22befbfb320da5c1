"""Another sample rate, block by block: no seam, no growth with the recording, no odd rate too dear.

The filter is torchaudio's default, a sinc under a Hann window that spans six zero crossings and
rolls off at 0.99 of the lower Nyquist frequency, so features equal those that published models
were trained on. torchaudio holds it as a dense matrix of both rates divided by their greatest
common divisor, nearly all zeros: 2.8 GB for 44 101 to 16 000 Hz. Here neighbouring output samples
share the few input samples that they need, which is as exact and several times faster.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
_GROUP = 32  # output samples that share their input: wide enough for BLAS, narrow enough for zeros
# multiplications per product: OpenBLAS starts its threads above this, and where processes share
# the cores their waiting for each other made an hour take 14 s instead of 1.4
_PRODUCT = 1 << 18


class Resampler:
    """Streams of one sample rate as streams of another.

    ::

        input    |----period----|----period----|----        `period` samples
                 ╲  group ╱╲  group ╱                        each reads its samples, `margin` around
        output   |-----|-----|-----|                         32 samples a group

    Input chunks are cut at fixed places whatever the blocks, so a result is the same to the last
    bit for every block size.

    Parameters
    ----------
    orig_rate, new_rate : int
        Samples per second before and after.

    Examples
    --------
    >>> to_half = Resampler(32_000, 16_000)
    >>> [len(block) for block in to_half([np.ones(1000, np.float32), np.ones(1, np.float32)])]
    [501]
    >>> np.concatenate(list(Resampler(8_000, 16_000)([np.ones(100, np.float32)])))[100:103].round(2)
    array([1., 1., 1.], dtype=float32)
    """

    def __init__(self, orig_rate: int, new_rate: int) -> None:
        if orig_rate <= 0 or new_rate <= 0:
            raise ValueError(
                f"cannot resample from {orig_rate} to {new_rate} Hz; give rates above 0"
            )
        divisor = math.gcd(orig_rate, new_rate)
        self.orig, self.new = orig_rate // divisor, new_rate // divisor
        self._period, self._groups = _filters(self.orig, self.new)
        self._margin = -self._groups[0][0]

    def __call__(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Resampled stream.

        Parameters
        ----------
        blocks : iterable of (num_samples,) np.ndarray
            Of any lengths.

        Yields
        ------
        (num_samples,) np.ndarray of float32
            ``ceil(num_samples * new_rate / orig_rate)`` samples in all, in blocks of any lengths.
        """
        if self.orig == self.new:
            yield from blocks
            return
        chunk = max(1, _PRODUCT // max(taps.size for _, taps in self._groups)) * self._period
        # margin | chunk | one period of look-ahead; the last two start the next window
        window = np.zeros(self._margin + chunk + self._period, dtype=np.float32)
        filled, num_read, num_given = self._margin, 0, 0
        for block in blocks:
            num_read += len(block)
            while len(block):
                part = block[: len(window) - filled]
                window[filled : filled + len(part)] = part
                filled, block = filled + len(part), block[len(part) :]
                if filled == len(window):
                    resampled = self._filtered(window)
                    num_given += len(resampled)
                    yield resampled
                    filled = len(window) - chunk
                    window[:filled] = window[chunk:].copy()
        num_left = -(-num_read * self.new // self.orig) - num_given
        if num_left > 0:
            num_periods = -(-num_left * self.orig // (self._period * self.new))
            rest = np.zeros(self._margin + (num_periods + 1) * self._period, dtype=np.float32)
            rest[:filled] = window[: min(filled, len(rest))]
            yield self._filtered(rest)[:num_left]

    def _filtered(self, window: np.ndarray) -> np.ndarray:
        """Output of all periods but the last of a window that starts `margin` samples early."""
        num_periods = (len(window) - self._margin) // self._period - 1
        resampled = np.empty((num_periods, self._period * self.new // self.orig), dtype=np.float32)
        end = 0
        for first, taps in self._groups:
            begin, end = end, end + taps.shape[1]
            start = self._margin + first
            rows = window[start : start + num_periods * self._period].reshape(num_periods, -1)
            np.matmul(rows[:, : len(taps)], taps, out=resampled[:, begin:end])
        return resampled.reshape(-1)


@functools.lru_cache(maxsize=4)
def _filters(orig: int, new: int) -> tuple[int, tuple[tuple[int, np.ndarray], ...]]:
    """Filters of one period, for rates without a common divisor.

    Returns
    -------
    period : int
        Input samples after which the filters repeat.
    groups : tuple of (int, (num_taps, num_outputs) np.ndarray)
        First input sample of each group, counted from the period's start, and its filters.
    """
    cutoff = min(orig, new) * ROLLOFF
    reach = ZERO_CROSSINGS * orig / cutoff  # input samples on each side of an output sample
    num_taps = math.ceil(_GROUP * orig / new + 2 * reach) + 2
    # a period at least as long as a filter keeps the rows of the product apart, as BLAS wants them
    repeats = -(-max(num_taps, 4 * _GROUP * orig // new) // orig)
    period, num_outputs = orig * repeats, new * repeats
    groups = []
    for begin in range(0, num_outputs, _GROUP):
        outputs = np.arange(begin, min(begin + _GROUP, num_outputs))
        first = math.floor(begin * orig / new - reach)
        last = math.ceil(outputs[-1] * orig / new + reach)
        inputs = np.arange(first, last + 1)
        # distances in zero crossings, from integers so that they stay exact in long periods
        times = (inputs[:, None] * new - outputs * orig) * (cutoff / (orig * new))
        times = times.clip(-ZERO_CROSSINGS, ZERO_CROSSINGS)
        taps = np.sinc(times) * np.cos(times * (np.pi / 2 / ZERO_CROSSINGS)) ** 2 * (cutoff / orig)
        groups.append((first, taps.astype(np.float32)))
    return period, tuple(groups)
