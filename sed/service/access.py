"""Who may ask: the bearer token, names of the server, and what browsers are told."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from sed.service.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""Content security policy: the page runs our own scripts only and is shown in no other."""

DOCS_POLICY = POLICY.replace("default-src 'self'", "default-src 'self' 'unsafe-inline'")
"""The same for the description of the interface, whose page holds a script."""


class Access:
    """ASGI middleware that refuses strangers before a byte of what they send is read.

    Secret is what lies under ``/v1`` and ``/metrics``; the page, ``/health`` and the description of
    the interface are open.

    Parameters
    ----------
    app : ASGIApp
    settings : Settings
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] == "websocket":
            refusal = self._refusal(scope["path"], headers, query=scope["query_string"].decode())
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await hang_up(receive, send, refusal.detail)
            return

        async def protect(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                described = scope["path"] == "/docs"
                headers["Content-Security-Policy"] = DOCS_POLICY if described else POLICY
                if _is_secret(scope["path"]):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope["path"], headers)
        await (refusal.answer() if refusal else self._app)(scope, receive, protect)

    def _refusal(
        self, path: str, headers: Headers, *, query: str | None = None
    ) -> _Stranger | None:
        host = headers.get("host", "")
        if self._settings.hosts and urlsplit(f"//{host}").hostname not in self._settings.hosts:
            return _Stranger(421, f"this server is not called {host[:80]!r}")
        origin = headers.get("origin")
        if not self._settings.token and origin and urlsplit(origin).netloc != host:
            return _Stranger(403, "web pages of others may not use a server without a token")
        if self._settings.token and _is_secret(path):
            scheme, _, token = headers.get("authorization", "").partition(" ")
            if not token:  # the scripts of browsers can give a stream no header
                scheme, token = "bearer", parse_qs(query or "").get("token", [""])[0]
            good = hmac.compare_digest(token.encode(), self._settings.token.encode())
            if scheme.lower() != "bearer" or not good:
                detail = "send the server's token as a header, Authorization: Bearer TOKEN"
                if query is not None:
                    detail += ", or in the query as token=TOKEN"
                return _Stranger(401, detail, {"WWW-Authenticate": "Bearer"})
        return None


@dataclass(frozen=True)
class _Stranger:
    """Why somebody is refused."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self) -> JSONResponse:
        """Answer to a request."""
        # what the client may still be sending is not read
        return JSONResponse(
            {"detail": self.detail}, self.status, {**self.headers, "Connection": "close"}
        )


async def hang_up(receive: Receive, send: Send, detail: str, code: int = 1008) -> None:
    """Refuse a stream: accepted first, because browsers hide why a handshake failed."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps({"detail": detail})})
    await send({"type": "websocket.close", "code": code})


def _is_secret(path: str) -> bool:
    return path in ("/v1", "/metrics") or path.startswith(("/v1/", "/metrics/"))
