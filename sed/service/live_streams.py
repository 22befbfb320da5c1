"""Live streams of a server: how many at a time, and one stream from bytes to objects."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sed.audio import MIN_SAMPLE_RATE
from sed.events import Event, Events
from sed.labels import spelling_in_rttm
from sed.pcm import ENCODINGS, RawDecoder
from sed.service.jobs import label
from sed.service.metrics import Metrics

if TYPE_CHECKING:
    from sed.pipeline import Pipeline

MAX_SAMPLE_RATE = 384_000

_BETWEEN = 1.0  # seconds between two objects that only say what has settled


@dataclass(frozen=True)
class StreamOptions:
    """What a client says of its stream.

    Parameters
    ----------
    sample_rate : int
    encoding : str
        One of `sed.pcm.ENCODINGS`; one channel.
    latency : float
        See `sed.live.Live`.
    name : str
        What results call it.
    """

    sample_rate: int = 16_000
    encoding: str = "s16le"
    latency: float = 2.0
    name: str = "stream"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> StreamOptions:
        """Options of a query.

        Raises
        ------
        ValueError
            If one has no such value.

        Examples
        --------
        >>> StreamOptions.of({"sample_rate": "8000", "encoding": "mulaw"})
        StreamOptions(sample_rate=8000, encoding='mulaw', latency=2.0, name='stream')
        """
        rate = query.get("sample_rate", "16000")
        if not (rate.isdecimal() and len(rate) < 9):
            raise ValueError(f"sample_rate takes a whole number, not {rate[:40]!r}")
        if not MIN_SAMPLE_RATE <= int(rate) <= MAX_SAMPLE_RATE:
            raise ValueError(
                f"sample_rate is {rate}, but lies between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE}"
            )
        encoding = query.get("encoding", "s16le")
        if encoding not in ENCODINGS:
            raise ValueError(f"encoding takes {', '.join(ENCODINGS)}, not {encoding[:40]!r}")
        latency = query.get("latency", "2")
        try:
            seconds = float(latency)
        except ValueError:
            seconds = math.nan
        if math.isnan(seconds):
            raise ValueError(f"latency takes seconds, not {latency[:40]!r}")
        return cls(
            int(rate), encoding, seconds, spelling_in_rttm(label(query.get("name") or "stream"))
        )


class Stream:
    """One stream, worked on in the thread that calls it.

    Parameters
    ----------
    pipeline : Pipeline
        Shared with jobs and other streams.
    options : StreamOptions

    Raises
    ------
    ValueError
        If the latency is none, or the server's pipeline cannot run live.
    """

    def __init__(self, pipeline: Pipeline, options: StreamOptions) -> None:
        from sed.live import Live

        self.num_samples = 0
        self._rate = options.sample_rate
        self._decoder = RawDecoder(options.encoding)
        self._live = Live(pipeline, self._rate, latency=options.latency, uri=options.name)
        self._events = Events(options.name)
        self._settled, self._told = 0.0, time.monotonic()

    @property
    def duration(self) -> float:
        """Seconds that were heard."""
        return self.num_samples / self._rate

    def hear(self, data: bytes) -> list[Event]:
        """Objects that more sound makes certain.

        Raises
        ------
        ValueError
            If the sound holds what is no sample.
        """
        return list(self._heard(self._decoder(data)))

    def _heard(self, samples: np.ndarray) -> Iterator[Event]:
        self.num_samples += len(samples)
        settled = self._settled
        for update in self._live.push(samples):
            yield from self._events(update)
            settled = update.settled
        if settled > self._settled and time.monotonic() - self._told >= _BETWEEN:
            self._settled, self._told = settled, time.monotonic()
            yield self._events.settled(settled)

    def end(self) -> list[Event]:
        """The rest."""
        rest = self._live.close() if self.num_samples else ()
        return [
            *(event for update in rest for event in self._events(update)),
            self._events.end(self.duration),
        ]


class Streams:
    """The places for streams, and the threads that work on them.

    They are others than the worker's: streams do not wait for jobs, and no more than `max_streams`
    of them share the processor with those.

    Parameters
    ----------
    max_streams : int
    metrics : Metrics
    """

    def __init__(self, max_streams: int, metrics: Metrics) -> None:
        self.threads = ThreadPoolExecutor(max_streams, thread_name_prefix="sed-stream")
        self.metrics = metrics
        self.max_streams, self._num_open = max_streams, 0

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place while a stream lasts; False if there is none."""
        if self._num_open >= self.max_streams:
            yield False
            return
        self._num_open += 1
        self.metrics.streams.inc()
        try:
            yield True
        finally:
            self._num_open -= 1
            self.metrics.streams.dec()

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown(cancel_futures=True)
