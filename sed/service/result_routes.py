"""The addresses of what a job has made: annotations, audio, peaks and posteriors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from sed.formats.text import read_text
from sed.service.reductions import MAX_COLUMNS
from sed.service.refusals import Refusal
from sed.service.results import Results, corrected
from sed.service.routes import FormatOption, JobOf, OfficeOf, annotation_file, chosen_format
from sed.service.schemas import (
    JobView,
    PeaksOfChannel,
    PeaksView,
    PosteriorsOfChannel,
    PosteriorsView,
    format_names,
    problems,
)

MAX_ANNOTATION = 1 << 23
"""Bytes of the longest annotation that somebody may store."""

router = APIRouter(
    prefix="/v1/jobs/{id}", tags=["results"], responses=problems(e404="there is no such job")
)

Points = Annotated[int, Query(ge=1, le=MAX_COLUMNS, description="Most points of a channel.")]

OneChannel = Annotated[
    int | None,
    Query(ge=1, description="Only this channel, for formats that hold one; all by default."),
]

_NOT_DONE = problems(e409="the job has no result, it is running")


@router.get(
    "/result",
    summary="Annotation of a job",
    response_class=Response,
    responses={
        200: {
            "description": "The annotation as a file.",
            "content": {"application/json": {}, "text/plain": {}},
        },
        **_NOT_DONE,
    },
)
def result(
    request: Request,
    job: JobOf,
    office: OfficeOf,
    format: FormatOption = None,
    version: Annotated[
        Literal["latest", "model", "corrected"],
        Query(description="latest: the corrected one where there is one, else the model's."),
    ] = "latest",
    channel: OneChannel = None,
) -> Response:
    """In any format; without one, as the Accept header says, and else JSON."""
    chosen = chosen_format(format, request.headers.get("accept", ""))
    if version == "latest":
        version = "corrected" if job.corrected else "model"
    return annotation_file(office, job, chosen, version, channel)


@router.put(
    "/result",
    summary="Store a corrected annotation",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {}, "text/plain": {"schema": {"type": "string"}}},
        }
    },
    responses={
        **_NOT_DONE,
        **problems(
            e413="an annotation has at most 8388608 bytes",
            e422="the rttm sent, line 3: duration -1 s is not above zero",
        ),
    },
)
async def correct(
    request: Request,
    job: JobOf,
    office: OfficeOf,
    format: Annotated[
        str | None,
        Query(description="Format of the body.", json_schema_extra=format_names()),
    ] = None,
    channel: OneChannel = None,
) -> JobView:
    """It is kept beside the model's own, and given from then on."""
    results = office.results(job)
    kind = request.headers.get("content-type", "").lower()
    chosen = chosen_format(format, "text/plain" if kind.startswith("text/plain") else kind)
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_ANNOTATION:
            raise Refusal(
                413, f"an annotation has at most {MAX_ANNOTATION} bytes", connection="close"
            )

    def store() -> JobView:
        path = office.store.new_upload()
        try:
            path.write_bytes(body)
            others = results.annotations("corrected" if job.corrected else "model")
            made = corrected(read_text(path), job, chosen, channel=channel, others=others)
            results.correct(made)
        except ValueError as error:
            raise Refusal(422, str(error).replace(str(path), f"the {chosen} sent")) from None
        finally:
            path.unlink(missing_ok=True)
        office.store.mark_corrected(job.id)
        return JobView.of(office.find(job.id))

    return await run_in_threadpool(store)


@router.head("/audio", include_in_schema=False)
@router.get(
    "/audio",
    summary="Recording of a job",
    response_class=FileResponse,
    responses={
        200: {"description": "The recording.", "content": {"audio/*": {}}},
        206: {"description": "The part that the Range header asks for."},
    },
)
def audio(job: JobOf, office: OfficeOf) -> FileResponse:
    """As it was handed in; knows HTTP ranges."""
    path = office.store.audio(job.id)
    kind, ending = _kind_of(path)
    return FileResponse(
        path,
        media_type=kind,
        filename=job.file_name + ending,
        content_disposition_type="inline",
    )


@router.get("/peaks", summary="Envelope of the sound", responses=problems(e422="points: too many"))
def peaks(job: JobOf, office: OfficeOf, points: Points = 1000) -> PeaksView:
    """Lowest and highest sample of each stretch of the recording, to be drawn."""
    results = Results(office.store.folder_of(job.id))
    try:
        with office.drawing:
            found = results.peaks(job, office.store.audio(job.id))
    except FileNotFoundError:
        raise Refusal(404, "there is no such job any longer") from None
    except ValueError:
        raise Refusal(409, f"the recording cannot be read: {job.error or 'damaged'}") from None
    channels = []
    for channel, envelope in found.items():
        few = envelope.reduced(points)
        channels.append(
            PeaksOfChannel(
                channel=channel, step=few.step, low=few.low.tolist(), high=few.high.tolist()
            )
        )
    return PeaksView(duration=job.duration, channels=channels)


@router.get("/posteriors", summary="Course of the posteriors", responses=_NOT_DONE)
def posteriors(job: JobOf, office: OfficeOf, points: Points = 1000) -> PosteriorsView:
    """Mean posteriors of each stretch of the recording, to be drawn."""
    channels = []
    for channel, course in office.results(job).courses().items():
        few = course.reduced(points)
        channels.append(
            PosteriorsOfChannel(
                channel=channel,
                step=few.step,
                classes=list(few.classes),
                posteriors=[[round(float(p), 3) for p in row] for row in few.posteriors.T],
            )
        )
    return PosteriorsView(duration=job.duration, channels=channels)


def _kind_of(path: Path) -> tuple[str, str]:
    """Media type and ending of audio by its first bytes; what a client calls it may be a trick."""
    with path.open("rb") as stream:
        head = stream.read(12)
    kinds = {
        b"RIFF": ("audio/wav", ".wav"),
        b"fLaC": ("audio/flac", ".flac"),
        b"OggS": ("audio/ogg", ".ogg"),
        b"\x1aE\xdf\xa3": ("audio/webm", ".webm"),
        b"FORM": ("audio/aiff", ".aiff"),
    }
    if head[4:8] == b"ftyp":
        return "audio/mp4", ".m4a"
    if head[:3] == b"ID3" or (head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "audio/mpeg", ".mp3"
    return kinds.get(head[:4], ("application/octet-stream", ".audio"))
