"""The addresses of recordings and jobs: what goes in, how it goes, and its end."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

import sed
from sed.formats import FORMATS, format_named
from sed.service.jobs import Job
from sed.service.office import Office
from sed.service.refusals import Refusal
from sed.service.results import as_text, media_type
from sed.service.schemas import (
    FormatView,
    InfoView,
    JobPage,
    JobView,
    audio_body,
    format_names,
    problems,
)
from sed.service.streams import server_sent_events, woken

router = APIRouter(prefix="/v1", responses=problems(e401="send the server's token as a header"))

_UPLOAD_PROBLEMS = problems(
    e408="the upload stood still for 30 seconds",
    e413="the recording is longer than 12 hours, which is the limit here",
    e415="call.txt is not audio that can be decoded",
    e422="channel takes mix, split or a number from 1 on, not 'left'",
    e429="8 uploads are under way, as many as may be; try again",
    e503="100 jobs wait already; try again later",
    e507="the server's disk is full; try again later",
)

ChannelOption = Annotated[
    str, Query(description="mix, a channel's number, or split: each channel on its own.")
]
NeutralOption = Annotated[bool, Query(description="Whether neutral stretches are segments too.")]
NameOption = Annotated[
    str | None, Query(description="Label of the recording; a form's file name by default.")
]
FormatOption = Annotated[
    str | None,
    Query(description="Annotation format.", json_schema_extra=format_names(), examples=["rttm"]),
]


def office_of(request: Request) -> Office:
    """What the routes share."""
    office: Office = request.app.state.office
    return office


def job_of(id: str, request: Request) -> Job:
    """Job that an address names."""
    return office_of(request).find(id)


OfficeOf = Annotated[Office, Depends(office_of)]
JobOf = Annotated[Job, Depends(job_of)]


def chosen_format(name: str | None, accept: str = "") -> str:
    """Format asked for by name, else by an Accept header, else JSON.

    Raises
    ------
    Refusal
        If there is no such format.

    Examples
    --------
    >>> chosen_format(None, "text/plain, */*"), chosen_format("zed"), chosen_format(None)
    ('rttm', 'zed', 'json')
    """
    if name is None:
        by_type = {media_type(known).partition(";")[0]: known for known in reversed(FORMATS)}
        by_type["text/plain"] = "rttm"
        wanted = [part.partition(";")[0].strip() for part in accept.split(",")]
        return next((by_type[kind] for kind in wanted if kind in by_type), "json")
    try:
        return format_named(name, "").name
    except ValueError as error:
        raise Refusal(422, str(error)) from None


@router.post(
    "/diarize",
    summary="Diarize a short recording and wait for the result",
    tags=["recordings"],
    openapi_extra=audio_body(),
    responses={
        200: {
            "description": "The annotation, in the format asked for.",
            "content": {"application/json": {}, "text/plain": {}},
        },
        202: {"model": JobView, "description": "It takes longer: the job, to be asked for later."},
        **_UPLOAD_PROBLEMS,
    },
)
async def diarize(
    request: Request,
    office: OfficeOf,
    format: FormatOption = None,
    channel: ChannelOption = "mix",
    with_neutral: NeutralOption = False,
    name: NameOption = None,
) -> Response:
    """Answers as soon as the recording is done, and then forgets it.

    If that takes too long, the answer is 202 with the job, which then is one like any other.
    """
    chosen = chosen_format(format, request.headers.get("accept", ""))
    job = await office.submit(request, channel, with_neutral, name)
    deadline = asyncio.get_running_loop().time() + office.settings.wait
    with office.news.of(job.id) as event:
        while not job.ended:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or office.news.closing:
                return _accepted(job)
            if await request.is_disconnected():
                await run_in_threadpool(office.cancel, job)
                await run_in_threadpool(office.store.remove, job.id)
                return Response(status_code=499)
            await woken(event, min(left, 1.0))
            job = await run_in_threadpool(office.find, job.id)

    def answer() -> Response:
        try:
            if job.state == "failed":
                raise Refusal(422, job.error or "the recording cannot be diarized")
            return annotation_file(office, job, chosen, "model")
        finally:
            office.store.remove(job.id)

    return await run_in_threadpool(answer)


@router.post(
    "/jobs",
    status_code=202,
    summary="Hand in a recording",
    tags=["recordings"],
    openapi_extra=audio_body(),
    response_model=JobView,
    responses=_UPLOAD_PROBLEMS,
)
async def submit(
    request: Request,
    office: OfficeOf,
    channel: ChannelOption = "mix",
    with_neutral: NeutralOption = False,
    name: NameOption = None,
) -> Response:
    """Answers once the recording is safely on the server's disk; from then on it is not lost."""
    return _accepted(await office.submit(request, channel, with_neutral, name))


def _accepted(job: Job) -> Response:
    view = JobView.of(job).model_dump(mode="json")
    return JSONResponse(view, 202, {"Location": f"/v1/jobs/{job.id}"})


def annotation_file(
    office: Office, job: Job, format: str, version: str, channel: int | None = None
) -> Response:
    """Annotation of a job, or of one channel of it, as a file of a format.

    Raises
    ------
    Refusal
        If there is none, or the format cannot hold it.
    """
    try:
        found = office.results(job).annotations(version)
        chosen = [item for item in found if channel in (None, item.channel)]
        if not chosen:
            raise Refusal(404, f"the job has no channel {channel}")
        text = as_text(chosen, format)
    except FileNotFoundError:
        raise Refusal(404, "nobody has stored a corrected annotation") from None
    except ValueError as error:
        raise Refusal(422, str(error)) from None
    name = job.file_name + FORMATS[format].suffixes[0]
    return Response(
        text,
        media_type=media_type(format),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(
    "/jobs", summary="List jobs", tags=["jobs"], responses=problems(e422="limit: too large")
)
def jobs(
    office: OfficeOf,
    limit: Annotated[int, Query(ge=1, le=500, description="Jobs of a page.")] = 50,
    before: Annotated[
        int | None, Query(ge=1, lt=2**63, description="`next` of the page before.")
    ] = None,
) -> JobPage:
    """The newest first."""
    found = office.store.page(limit + 1, before=before)
    page = found[:limit]
    return JobPage(
        jobs=[JobView.of(job) for job in page],
        next=page[-1].number if len(found) > limit else None,
    )


@router.get(
    "/jobs/{id}", summary="Look at a job", tags=["jobs"], responses=problems(e404="no such job")
)
def job(job: JobOf) -> JobView:
    """State and progress of a job."""
    return JobView.of(job)


@router.delete(
    "/jobs/{id}",
    summary="Cancel a job, or remove one that has ended",
    tags=["jobs"],
    responses={
        200: {"model": JobView, "description": "It had not ended and is now cancelled."},
        204: {"description": "It had ended and is now gone, with its audio and its result."},
        **problems(e404="no such job"),
    },
)
def delete(job: JobOf, office: OfficeOf) -> Response:
    """A job that waits or is worked on is cancelled; the second time it is removed."""
    if not job.ended and office.cancel(job):
        return JSONResponse(JobView.of(office.find(job.id)).model_dump(mode="json"))
    office.store.remove(job.id)
    office.news.tell(job.id)
    return Response(status_code=204)


@router.get(
    "/jobs/{id}/events",
    summary="Follow a job",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `state` with the whole job, `progress` with the "
            "done share. The stream ends with the job.",
            "content": {
                "text/event-stream": {"example": 'event: progress\ndata: {"progress": 0.42}\n\n'}
            },
        },
        **problems(e404="no such job"),
    },
)
async def events(job: JobOf, office: OfficeOf) -> StreamingResponse:
    """Progress as it happens, with a comment now and then as a sign of life."""

    def show(job: Job) -> dict[str, Any]:
        return JobView.of(job).model_dump(mode="json")

    stream = server_sent_events(
        office.news,
        job.id,
        lambda: office.store.get(job.id),
        show,
        heartbeat=office.settings.heartbeat,
    )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/info", summary="Model, formats and limits", tags=["server"])
def info(office: OfficeOf) -> InfoView:
    """What the server does, for those who show it to people."""
    diarizer, settings = office.worker.diarizer, office.settings
    if diarizer is None:
        raise Refusal(503, "the model is being loaded", retry_after="5")
    return InfoView(
        version=sed.__version__,
        model=diarizer.name,
        classes=list(map(str, diarizer.pipeline.inference.model.specifications.classes)),
        formats=[
            FormatView(
                name=known.name,
                suffix=known.suffixes[0],
                description=known.description,
                single=known.single,
            )
            for known in FORMATS.values()
        ],
        max_size=settings.max_size,
        max_duration=settings.max_duration,
        keep=settings.keep,
    )
