"""The whole server as an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

import sed
from sed.service import live_routes, metrics, result_routes, routes
from sed.service.access import Access
from sed.service.office import Office
from sed.service.refusals import answer_errors
from sed.service.schemas import Health
from sed.service.settings import Settings
from sed.service.worker import Diarizer

WEB = Path(__file__).parent / "web"
VIEWER = WEB.parents[1] / "report" / "web"
"""Folders of the web page, and of the viewer that it shares with pages of their own."""

_DESCRIPTION = """
Which emotion appears when in a recording.

    curl -F file=@call.wav "http://127.0.0.1:8000/v1/diarize?format=rttm"

Short recordings are answered at once by `POST /v1/diarize`. Others are handed in by
`POST /v1/jobs`, followed by `GET /v1/jobs/{id}` or `/events`, and fetched by
`GET /v1/jobs/{id}/result`. Every error is JSON with one line: `{"detail": "..."}`.

Sound that is still being made goes to the WebSocket
`/v1/stream?sample_rate=16000&encoding=s16le&latency=2`: binary messages of mono samples in any
lengths in, text messages out, each a JSON object. `{"type": "segment", "uri", "start", "end",
"emotion", "confidence"}` is final; `{"type": "open", "uri", "start", "emotion", "confidence"}` is
the emotion that is on, null for none; `{"type": "settled", "uri", "until"}` says up to where
nothing changes. The text message `{"type": "end"}` asks for the rest, which ends with
`{"type": "end", "uri", "duration"}` and close code 1000. What is wrong is told as
`{"detail": "..."}` before close code 1003 (no sound), 1008 (not allowed), 1009 (too large) or 1013
(try again later). The token goes into the header or, from a browser, into the query as `token`.
"""

logger = logging.getLogger("sed")


def embedded_model() -> Diarizer:
    """The package's own model on the processor."""
    from sed.pipeline import DEFAULT_MODEL, Pipeline

    return Diarizer(Pipeline.from_pretrained(), DEFAULT_MODEL)


def create_app(settings: Settings, load: Callable[[], Diarizer] = embedded_model) -> FastAPI:
    """Server of a folder; its jobs go on as soon as it runs.

    Parameters
    ----------
    settings : Settings
    load : callable, optional
        Gives what works on recordings; called once, in a thread, while the server already listens.

    Raises
    ------
    OSError, ValueError
        If the folder cannot be used or another server works in it.

    Examples
    --------
    >>> import tempfile
    >>> app = create_app(Settings(folder=Path(tempfile.mkdtemp())))
    >>> "/v1/jobs" in app.openapi()["paths"]
    True
    >>> app.state.office.close()
    """
    office = Office(settings, load)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        office.news.start()
        office.worker.start()
        sweeping = asyncio.create_task(_sweep(office))
        try:
            yield
        finally:
            sweeping.cancel()
            await run_in_threadpool(office.close)

    app: FastAPI = FastAPIOffline(
        title="Speech emotion diarization",
        version=sed.__version__,
        description=_DESCRIPTION,
        lifespan=life,
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.office = office
    app.add_middleware(Access, settings=settings)
    app.add_middleware(metrics.CountRequests, metrics=office.metrics)
    answer_errors(app)
    app.include_router(routes.router)
    app.include_router(result_routes.router)
    app.include_router(live_routes.router)
    app.get("/health", tags=["server"], summary="Whether the server works")(health)
    app.get("/metrics", tags=["server"], summary="Figures for Prometheus")(figures)
    if settings.token is not None:
        _describe_token(app)
    app.mount("/viewer", StaticFiles(directory=VIEWER), name="viewer")
    app.mount("/", StaticFiles(directory=WEB, html=True), name="web")
    return app


def health(request: Request) -> Health:
    """Status 200 once the model is loaded, before that 503; needs no token."""
    office = routes.office_of(request)
    status = "loading" if office.worker.diarizer is None else "ready"
    if office.news.closing:
        status = "ending"
    content = Health(
        status=status, version=sed.__version__, token_required=office.settings.token is not None
    )
    return JSONResponse(  # type: ignore[return-value]
        content.model_dump(), 200 if status == "ready" else 503
    )


def figures(request: Request) -> Response:
    """Requests, jobs by state, queue, seconds of audio and of work."""
    return Response(
        routes.office_of(request).metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE}
    )


async def _sweep(office: Office) -> None:
    """Remove old jobs now and then."""
    while True:
        try:
            await run_in_threadpool(office.sweep)
        except Exception:  # such as a full disk: the next time may be better
            logger.exception("old jobs could not be removed")
        await asyncio.sleep(min(60.0, office.settings.keep / 10))


def _describe_token(app: FastAPI) -> None:
    """Say in the description that everything under /v1 needs the token."""
    schema = app.openapi()
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
