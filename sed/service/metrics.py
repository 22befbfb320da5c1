"""Figures for Prometheus: requests, jobs, streams, audio and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily

from sed.service.jobs import Job
from sed.service.store import Store

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server.

    Parameters
    ----------
    store : Store
        Asked for the number of jobs whenever the figures are.
    """

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Jobs(store))
        self.requests = self._counter("requests", "Answered requests.", "method", "route", "status")
        self._ended = self._counter("jobs_ended", "Jobs that ended.", "state")
        self._audio = self._counter("audio_seconds", "Seconds of audio that were diarized.")
        self._processing = self._counter("processing_seconds", "Seconds of work on jobs.")
        self.streams = Gauge(
            "sed_streams_open", "Live streams that are heard.", registry=self._registry
        )
        self.heard = self._counter("stream_seconds", "Seconds of sound that streams sent.")
        for state in ("done", "failed", "cancelled"):
            self._ended.labels(state)  # begin at zero, not when the first one comes

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sed_{name}", text, labels, registry=self._registry)

    def ended(self, state: str, job: Job, seconds: float = 0.0) -> None:
        """Count a job that ended after some seconds of work."""
        self._ended.labels(state).inc()
        self._processing.inc(seconds)
        if state == "done":
            self._audio.inc(job.duration * len(job.channels))

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self._registry)


class _Jobs:
    """Numbers that the store knows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        counts = self._store.counts()
        jobs = GaugeMetricFamily("sed_jobs", "Jobs that are stored.", labels=["state"])
        for state, count in counts.items():
            jobs.add_metric([state], count)
        yield jobs
        yield GaugeMetricFamily("sed_queue_length", "Jobs that wait.", value=counts["queued"])


class CountRequests:
    """ASGI middleware that counts requests by route, never by path: those a client makes up."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route: Any = scope.get("route")
                self._metrics.requests.labels(
                    scope["method"] if route else "other",
                    getattr(route, "path", "other"),
                    str(message["status"]),
                ).inc()
            await send(message)

        await self._app(scope, receive, count)
