"""The address of live streams, a WebSocket: sound in, what becomes certain out.

::

    client   {binary} {binary} {binary} …                                {"type": "end"}
    server            {"type": "open"} {"type": "segment"} {"type": "settled"} …  {"type": "end"}
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from sed.events import Event
from sed.service.access import hang_up
from sed.service.live_streams import Stream, StreamOptions
from sed.service.office import Office

router = APIRouter()
logger = logging.getLogger("sed")

NO_SOUND, NOT_ALLOWED, TOO_LARGE, DEFECT, LATER = 1003, 1008, 1009, 1011, 1013
"""Codes with which a stream is closed (RFC 6455, section 7.4)."""

_T = TypeVar("_T")


class _HangUp(Exception):  # noqa: N818
    """The end of a stream that goes wrong, and why."""

    def __init__(self, code: int, detail: str) -> None:
        self.code, self.detail = code, " ".join(detail.split())


@router.websocket("/v1/stream")
async def stream(websocket: WebSocket) -> None:
    """Hear a stream until its client ends it."""
    office: Office = websocket.app.state.office
    await websocket.accept()
    try:
        with office.streams.place() as there_is_one:
            if not there_is_one:
                raise _HangUp(LATER, f"{office.streams.max_streams} streams are open, as many as "
                              "may be; try again later")  # fmt: skip
            await _Conversation(websocket, office).run()
            await websocket.close()
    except WebSocketDisconnect:
        pass
    except _HangUp as reason:
        await _refuse(websocket, reason.code, reason.detail)
    except Exception:  # a defect; the others go on
        logger.exception("a stream failed")
        await _refuse(websocket, DEFECT, "internal error; the server's log tells more")


@router.websocket("/{path:path}")
async def nothing(websocket: WebSocket) -> None:
    """Every other address."""
    await hang_up(websocket.receive, websocket.send, "there is no stream here; see /docs")


async def _refuse(websocket: WebSocket, code: int, detail: str) -> None:
    try:
        await websocket.send_text(json.dumps({"detail": detail}))
        await websocket.close(code)
    except (WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
        pass


class _Conversation:
    """One stream's messages."""

    def __init__(self, websocket: WebSocket, office: Office) -> None:
        self._websocket, self._office, self._settings = websocket, office, office.settings

    async def run(self) -> None:
        """Answer until the client has the rest.

        Raises
        ------
        _HangUp
            If it sends no sound, or nothing, or too much.
        WebSocketDisconnect
            If it leaves.
        """
        diarizer = self._office.worker.diarizer
        if diarizer is None or self._office.news.closing:
            reason = "the server is ending" if diarizer else "the model is being loaded"
            raise _HangUp(LATER, f"{reason}; try again later")
        pipeline = diarizer.pipeline
        try:
            options = StreamOptions.of(self._websocket.query_params)
            stream = await self._worked(lambda: Stream(pipeline, options))
        except ValueError as error:
            raise _HangUp(NOT_ALLOWED, str(error)) from None
        while (data := await self._next()) is not None:
            before = stream.duration
            try:
                events = await self._worked(stream.hear, data)
            except ValueError as error:
                raise _HangUp(NO_SOUND, str(error)) from None
            self._office.metrics.heard.inc(stream.duration - before)
            await self._send(events)
        await self._send(await self._worked(stream.end))

    async def _worked(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """What a function gives in a thread of the streams."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._office.streams.threads, function, *arguments)

    async def _next(self) -> bytes | None:
        """More sound, None if the client says that there is none."""
        try:
            async with asyncio.timeout(self._settings.stream_timeout):
                while True:
                    message = await self._websocket.receive()
                    if message["type"] == "websocket.disconnect":
                        raise WebSocketDisconnect(message.get("code", 1005))
                    if (text := message.get("text")) is not None:
                        _require_end(text)
                        return None
                    data: bytes = message["bytes"]
                    if len(data) > self._settings.max_message:
                        raise _HangUp(
                            TOO_LARGE,
                            f"a message holds {len(data)} bytes; {self._settings.max_message} are "
                            f"the limit here, so send shorter ones",
                        )
                    if data:  # an empty message keeps no stream alive
                        return data
        except TimeoutError:
            raise _HangUp(
                NOT_ALLOWED, f"no sound came for {self._settings.stream_timeout:g} seconds"
            ) from None

    async def _send(self, events: Iterable[Event]) -> None:
        """Objects, one a message."""
        try:
            async with asyncio.timeout(self._settings.stream_timeout):
                for event in events:
                    await self._websocket.send_text(json.dumps(event, ensure_ascii=False))
        except TimeoutError:
            raise _HangUp(
                NOT_ALLOWED,
                f"nobody took the results for {self._settings.stream_timeout:g} seconds",
            ) from None


def _require_end(text: str) -> None:
    """Refuse a text that does not end the stream.

    Raises
    ------
    _HangUp
        If it is another.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and content.get("type") == "end"):
        raise _HangUp(
            NO_SOUND, 'the one text message is {"type": "end"}; sound comes as binary messages'
        )
