"""`sed diarize --html` and `sed plot --out FILE.html`: pages, opened in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import opened, started
from command_line import Command, write_wav
from playwright.sync_api import Browser

SEGMENT = "SPEAKER call 1 0.500 1.000 <NA> <NA> {} 0.8 <NA>\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture
def files(tmp_path: Path, voice: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A call of two channels and two annotations of it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_wav(Path("call.wav"), np.stack([voice, 0 * voice], axis=1))
    Path("new.rttm").write_text(SEGMENT.format("happy"))
    Path("gold.rttm").write_text(SEGMENT.format("sad"))
    return tmp_path


def lanes(browser: Browser, path: Path) -> list[str]:
    with opened(browser, path, offline=True) as page:
        page.wait_for_function("viewer.audio.readyState >= 1")
        return page.locator(".lanes h3").all_inner_texts()


def test_what_is_diarized_can_be_seen_and_heard(
    browser: Browser, diarize: Command, files: Path
) -> None:
    outcome = diarize("call.wav", "--channel", "split", "--html", "out/call.html")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    path = files / "out" / "call.html"
    with opened(browser, path, offline=True) as page:
        assert page.locator("nav button").all_inner_texts() == [
            "call, channel 1",
            "call, channel 2",
        ]
    assert lanes(browser, path) == ["Probabilities", "Emotions"]


def test_two_systems_are_compared_on_one_timeline(
    browser: Browser, sed: Command, files: Path
) -> None:
    options = ("--other", "gold.rttm", "--ref", "gold.rttm", "--audio", "call.wav")
    assert sed("plot", "new.rttm", *options, "--out", "compare.html").code == 0
    assert lanes(browser, files / "compare.html") == [
        "New",
        "Errors of new",
        "Gold",
        "Errors of gold",
        "Reference",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("plot", "new.rttm", "--out", "a.html"), "a.html is a page with a player; add --audio"),
        (("diarize", "call.wav", "--html", "-"), "--html writes a file; name one, such as"),
        (("diarize", "call.wav", "--html", "."), "is a folder; name a file in it"),
        (("diarize", "call.wav", "--html", "a.wav"), "a.wav is named like a recording"),
        (("diarize", "call.wav", "--html", "a", "--rttm", "a"), "a"),
    ],
)
def test_what_cannot_be_a_page_is_one_line(
    sed: Command, files: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    before = set(files.rglob("*"))
    outcome = sed(*arguments)
    assert outcome.code == 2
    assert complaint in outcome.error
    assert len(outcome.err.splitlines()) == 1
    assert set(files.rglob("*")) == before
