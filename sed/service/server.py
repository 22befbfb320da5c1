"""Listening, and ending well."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from sed.service.office import Office


def listen(host: str, port: int) -> socket.socket:
    """Socket that clients reach; 0 is any free port.

    Raises
    ------
    ValueError
        If the port is taken, or there is no such host here.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if sys.platform != "win32":  # there it would let two servers have one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens there; choose another --port"
        else:
            reason = (error.strerror or str(error)).lower()
        raise ValueError(f"cannot listen on {host}, port {port}: {reason}") from None
    return listening


def address(listening: socket.socket) -> str:
    """Where a browser finds it.

    Examples
    --------
    >>> with listen("127.0.0.1", 0) as listening:
    ...     address(listening).rpartition(":")[0]
    'http://127.0.0.1'
    """
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Tells the app of a signal at once: uvicorn waits for its answers first, and some are long."""

    def __init__(self, config: uvicorn.Config, office: Office) -> None:
        super().__init__(config)
        self._office = office

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End, by a signal."""
        self._office.stop()
        super().handle_exit(sig, frame)

    def give_up(self) -> None:
        """End, from another thread."""
        self.should_exit = True


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until a signal comes; the job that is worked on is then back in the queue.

    Raises
    ------
    Exception
        What kept the model from being loaded.
    """
    office: Office = app.state.office
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=500,
            ws_max_size=2 * office.settings.max_message,  # what is larger is not even read
            timeout_graceful_shutdown=10,
        ),
        office,
    )
    office.worker.on_failure = server.give_up
    # uvicorn raises the signal once more when it has ended; to end is what it asked for
    before = {
        number: signal.signal(number, server.handle_exit)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
    if office.worker.failure is not None:
        raise office.worker.failure
