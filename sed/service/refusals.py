"""Refusals: every error that a client sees is JSON with one line, ``{"detail": "..."}``."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sed.service.worker import FULL

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

DISK_FULL = "the server's disk is full; try again later"


class Refusal(HTTPException):
    """What the server does not do, and why in one line.

    Parameters
    ----------
    status : int
    detail : str
    **headers : str
        Underscores stand for hyphens.

    Examples
    --------
    >>> refusal = Refusal(503, "100 jobs wait already", retry_after="30")
    >>> refusal.status_code, refusal.headers
    (503, {'retry-after': '30'})
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(status, " ".join(detail.split()), spelled)


def answer_errors(app: FastAPI) -> None:
    """Make an app answer every error in this way."""

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == 404 and detail == "Not Found":
            detail = "there is nothing at this address; see /docs"
        return _answer(error.status_code, detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = first["loc"][-1]
        message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        return _answer(422, f"{place}: {message}", {})

    @app.exception_handler(OSError)
    async def system(request: Request, error: OSError) -> JSONResponse:
        if error.errno in FULL:
            return _answer(507, DISK_FULL, {})
        raise error

    @app.exception_handler(sqlite3.OperationalError)
    async def database(request: Request, error: sqlite3.OperationalError) -> JSONResponse:
        if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            return _answer(507, DISK_FULL, {})
        raise error

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        return _answer(500, "internal error; the server's log tells more", {})


def _answer(status: int, detail: str, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"detail": " ".join(detail.split())}, status, headers)
