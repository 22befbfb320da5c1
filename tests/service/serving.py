"""Servers for tests: one in a thread of this process, one in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
import uvicorn

from sed.audio import Recording
from sed.service.app import create_app
from sed.service.office import Office
from sed.service.server import address, listen
from sed.service.settings import Settings
from sed.service.worker import Diarizer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CALL = EXAMPLES / "call.wav"


@dataclass
class Served:
    """A server in a thread, and a client of it."""

    office: Office
    client: httpx.Client
    server: uvicorn.Server

    @property
    def files(self) -> list[str]:
        """Everything under its folder but the database."""
        folder = self.office.settings.folder
        found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        return sorted(name for name in found if "/" in name)

    def submit(self, content: bytes | Path, **query: Any) -> dict[str, Any]:
        """Hand a recording in."""
        content = content.read_bytes() if isinstance(content, Path) else content
        answer = self.client.post("/v1/jobs", content=content, params=query)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        return answer.json()

    def wait_for(self, id: str, *states: str) -> dict[str, Any]:
        """The job, once it is in a state."""
        return wait_for(self.client, id, *states)


def wait_for(client: httpx.Client, id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
    """A job once it has ended, or is in one of some states."""
    deadline = time.monotonic() + seconds
    while True:
        job = client.get(f"/v1/jobs/{id}").json()
        if job["state"] in (states or ("done", "failed", "cancelled")):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.01)


@contextlib.contextmanager
def served(settings: Settings, load: Callable[[], Diarizer]) -> Iterator[Served]:
    """Server in a thread, ready to work."""
    app = create_app(settings, load)
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            app, lifespan="on", log_level="warning", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        try:
            with httpx.Client(
                base_url=address(listening), timeout=60, headers=headers, trust_env=False
            ) as client:
                until_ready(client)
                yield Served(app.state.office, client, server)
        finally:
            app.state.office.stop()
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def until_ready(client: httpx.Client, seconds: float = 120) -> None:
    """Wait until the model is loaded."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/health").status_code == 200:
                return
        assert time.monotonic() < deadline, "the server never became ready"
        time.sleep(0.02)


@dataclass
class Gate:
    """First stage of a pipeline, at which recordings stand until it opens."""

    open: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def __call__(self, recording: Recording) -> Recording:
        """Let a recording through."""
        self.reached.set()
        assert self.open.wait(60)
        return recording


@contextlib.contextmanager
def command(folder: Path, *options: str, **environment: str) -> Iterator[tuple[Any, httpx.Client]]:
    """`sed serve` in a process of its own that listens on any free port; its process and client."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sed", "serve", "--port", "0", "--folder", str(folder), *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # as on a terminal, although a shell in the background has its children ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("sed: listening on http://127.0.0.1:"), process.stderr.read()
        with httpx.Client(base_url=line.split()[3].rstrip(","), timeout=60, trust_env=False) as it:
            yield process, it
    finally:
        process.kill()
        process.communicate()


def audio(path: Path, seconds: float, *, rate: int = 16_000, seed: int = 0, **options: str) -> Path:
    """Noise of a duration as a file."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.1
    soundfile.write(path, noise.astype(np.float32), rate, **options)
    return path
