"""The embedded model, loaded once, and servers around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from serving import Gate, Served, served  # noqa: E402

from sed.pipeline import Pipeline  # noqa: E402
from sed.service.settings import Settings  # noqa: E402
from sed.service.worker import Diarizer  # noqa: E402

Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The embedded model."""
    return Pipeline.from_pretrained()


@pytest.fixture
def serve(pipeline: Pipeline, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers with limits of one's own, which end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*, gate: Gate | None = None, **settings: Any) -> Served:
            made = replace(pipeline, front_end=(gate,)) if gate else pipeline
            if gate:
                stack.callback(gate.open.set)
            folder = settings.pop("folder", tmp_path / "service")
            limits = Settings(folder=folder, **settings)
            server = stack.enter_context(served(limits, lambda: Diarizer(made, "timnet-mfcc")))
            if gate:
                stack.callback(gate.open.set)  # before the server ends, which waits for the worker
            return server

        yield start


@pytest.fixture(scope="module")
def usual(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server with the usual limits for the tests of a file."""
    settings = Settings(folder=tmp_path_factory.mktemp("usual"))
    with served(settings, lambda: Diarizer(pipeline, "timnet-mfcc")) as server:
        yield server
