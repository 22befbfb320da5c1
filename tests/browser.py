"""A real browser for pages: Chromium, as a distribution packages it, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def started() -> Iterator[Browser]:
    """A browser without a window."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser on this machine: {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, address: str | Path, *, failures: str = "", **options: Any
) -> Iterator[Page]:
    """A page, in which no script and no request may fail, but those expected to."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    try:
        page.goto(Path(address).as_uri() if isinstance(address, Path) else address)
        yield page
        unexpected = [line for line in complaints if not failures or failures not in line]
        assert not unexpected, "\n".join(unexpected)
    finally:
        context.close()


def serious_barriers(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {' '.join(rule['nodes'][0]['html'].split())}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
