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
        stream = self.stream()
        for block in blocks:
            yield from stream.push(block)
        yield from stream.close()

    def stream(self, *, at_once: int | None = None) -> Resampling:
        """Stream that samples are handed to as they come.

        Parameters
        ----------
        at_once : int, optional
            Input samples that are filtered together, at least one period of the filters; what comes
            later waits for them. By default as many as are the quickest.
        """
        periods = max(1, _PRODUCT // max(taps.size for _, taps in self._groups))
        if at_once is not None:
            periods = min(periods, max(1, at_once // self._period))
        return Resampling(self, periods * self._period)

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


class Resampling:
    """One stream on its way to another sample rate.

    Parameters
    ----------
    resampler : Resampler
    chunk : int
        Input samples that are filtered together.

    Examples
    --------
    >>> stream = Resampler(8_000, 16_000).stream(at_once=160)
    >>> given = [*stream.push(np.ones(1000, np.float32)), *stream.close()]
    >>> sum(len(block) for block in given)
    2000
    """

    def __init__(self, resampler: Resampler, chunk: int) -> None:
        self._resampler, self._chunk = resampler, chunk
        self._filled, self._num_read, self._num_given = resampler._margin, 0, 0
        # margin | chunk | one period of look-ahead; the last two start the next window
        length = resampler._margin + chunk + resampler._period
        self._window = np.zeros(length, dtype=np.float32)

    def push(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """What can be given now that a block (num_samples,) has come."""
        if self._resampler.orig == self._resampler.new:
            yield block
            return
        window = self._window
        self._num_read += len(block)
        while len(block):
            part = block[: len(window) - self._filled]
            window[self._filled : self._filled + len(part)] = part
            self._filled, block = self._filled + len(part), block[len(part) :]
            if self._filled == len(window):
                resampled = self._resampler._filtered(window)
                self._num_given += len(resampled)
                self._filled = len(window) - self._chunk
                window[: self._filled] = window[self._chunk :].copy()
                yield resampled

    def close(self) -> Iterator[np.ndarray]:
        """The rest: with what was given, ``ceil(num_samples * new_rate / orig_rate)`` samples."""
        resampler = self._resampler
        num_left = -(-self._num_read * resampler.new // resampler.orig) - self._num_given
        if num_left > 0:
            num_periods = -(-num_left * resampler.orig // (resampler._period * resampler.new))
            length = resampler._margin + (num_periods + 1) * resampler._period
            rest = np.zeros(length, dtype=np.float32)
            rest[: self._filled] = self._window[: min(self._filled, len(rest))]
            yield resampler._filtered(rest)[:num_left]


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
