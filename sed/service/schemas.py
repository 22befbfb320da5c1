"""What the server answers, as its description (/docs, /openapi.json) spells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from sed.formats import FORMATS
from sed.service.jobs import Job, State

_EXAMPLE: dict[str, Any] = {
    "id": "V0tPqkA0mJ4o1lq3Yy6pZg",
    "name": "call.wav",
    "state": "running",
    "progress": 0.42,
    "error": None,
    "channel": "split",
    "with_neutral": False,
    "duration": 63.2,
    "channels": [1, 2],
    "size": 1011244,
    "corrected": False,
    "created": "2026-11-22T10:15:00Z",
    "started": "2026-11-22T10:15:02Z",
    "finished": None,
}


class Problem(BaseModel):
    """Every error."""

    detail: Annotated[str, Field(description="What is wrong, in one line.")]


class JobView(BaseModel):
    """A job as clients see it."""

    model_config = {"json_schema_extra": {"examples": [_EXAMPLE]}}

    id: Annotated[str, Field(description="Random name; who knows it may see the job.")]
    name: Annotated[str, Field(description="What the client calls the recording.")]
    state: State
    progress: Annotated[float, Field(ge=0, le=1, description="Done share of the work.")]
    error: Annotated[str | None, Field(description="Why it failed, in one line.")]
    channel: Annotated[str, Field(description="mix, split, or the channel that is heard.")]
    with_neutral: Annotated[bool, Field(description="Whether neutral stretches are segments.")]
    duration: Annotated[float, Field(description="Seconds of the recording.")]
    channels: Annotated[list[int], Field(description="Channels that the result tells apart.")]
    size: Annotated[int, Field(description="Bytes of the recording.")]
    corrected: Annotated[bool, Field(description="Whether there is a corrected annotation.")]
    created: datetime
    started: datetime | None
    finished: datetime | None

    @classmethod
    def of(cls, job: Job) -> JobView:
        """View of a job."""
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            progress=job.progress,
            error=job.error,
            channel=job.options.channel,
            with_neutral=job.options.with_neutral,
            duration=job.duration,
            channels=list(job.channels),
            size=job.size,
            corrected=job.corrected,
            created=_moment(job.created),
            started=None if job.started is None else _moment(job.started),
            finished=None if job.finished is None else _moment(job.finished),
        )


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobView]
    next: Annotated[
        int | None, Field(description="Value of `before` for the next page; null at the end.")
    ]


class PeaksOfChannel(BaseModel):
    """Envelope of a channel."""

    channel: int
    step: Annotated[float, Field(description="Seconds of a point.")]
    low: Annotated[list[int], Field(description="Lowest sample of each point, -127 to 127.")]
    high: Annotated[list[int], Field(description="Highest sample of each point, -127 to 127.")]


class PeaksView(BaseModel):
    """Envelope of a recording."""

    duration: Annotated[float, Field(description="Seconds.")]
    channels: list[PeaksOfChannel]


class PosteriorsOfChannel(BaseModel):
    """Mean posteriors of a channel."""

    channel: int
    step: Annotated[float, Field(description="Seconds of a column.")]
    classes: list[str]
    posteriors: Annotated[
        list[list[float]], Field(description="One list for each class, a number for each column.")
    ]


class PosteriorsView(BaseModel):
    """Mean posteriors of a recording."""

    duration: Annotated[float, Field(description="Seconds.")]
    channels: list[PosteriorsOfChannel]


class FormatView(BaseModel):
    """An annotation format."""

    name: str
    suffix: str
    description: str
    single: Annotated[bool, Field(description="Whether a file holds one channel.")]


class InfoView(BaseModel):
    """The server: its model, formats and limits."""

    version: str
    model: str
    classes: list[str]
    formats: list[FormatView]
    max_size: Annotated[int, Field(description="Bytes.")]
    max_duration: Annotated[float, Field(description="Seconds.")]
    keep: Annotated[float, Field(description="Seconds for which an ended job stays.")]


class Health(BaseModel):
    """Whether the server works."""

    status: Annotated[str, Field(description="ready, loading or ending.")]
    version: str
    token_required: bool


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def problems(**details: str) -> dict[int | str, dict[str, Any]]:
    """Errors of a route for its description, as ``e404="no such job"``."""
    return {
        int(status.removeprefix("e")): {
            "model": Problem,
            "description": detail[:1].upper() + detail[1:],
            "content": {"application/json": {"example": {"detail": detail}}},
        }
        for status, detail in details.items()
    }


def audio_body() -> dict[str, Any]:
    """Description of a body that is streamed, and so no parameter of the route."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    options = {
        "file": {"type": "string", "format": "binary"},
        "name": {"type": "string"},
        "channel": {"type": "string"},
        "with_neutral": {"type": "boolean"},
    }
    form = {"type": "object", "required": ["file"], "properties": options}
    return {
        "requestBody": {
            "required": True,
            "description": "The recording: the body itself, or the field `file` of a form, whose "
            "other fields win over the query.",
            "content": {
                "audio/*": binary,
                "application/octet-stream": binary,
                "multipart/form-data": {"schema": form},
            },
        }
    }


def format_names() -> dict[str, Any]:
    """Names of all formats, for a parameter's description."""
    return {"enum": list(FORMATS)}
