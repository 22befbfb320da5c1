"""The service's page in a real browser: hand in, watch, hear, correct, download."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import opened, serious_barriers, started
from playwright.sync_api import Browser, Page
from serving import CALL, Served

from sed.colours import COLOURS
from sed.formats import read
from sed.service import app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    return serve()


def hand_in(page: Page, *paths: Path, channel: str = "mix") -> None:
    page.select_option("[name=channel]", channel)
    page.set_input_files(".drop input", paths)


def rows(page: Page) -> list[tuple[str, str, str]]:
    """Start, end and emotion of each segment as the table has them."""
    found = page.locator("#viewer .scroll tbody tr")
    return [
        (
            row.locator("input").nth(0).input_value(),
            row.locator("input").nth(1).input_value(),
            row.locator("select").input_value(),
        )
        for row in found.all()
        if row.locator("input").count()
    ]


def downloaded(page: Page, format: str, folder: Path) -> Path:
    page.select_option("#format", format)
    with page.expect_download() as waiting:
        page.click("#download")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_a_call_is_handed_in_heard_corrected_and_downloaded(
    browser: Browser, server: Served, tmp_path: Path
) -> None:
    with opened(browser, str(server.client.base_url)) as page:
        hand_in(page, CALL, channel="split")
        page.wait_for_selector("#viewer .waveform", timeout=60_000)
        assert page.locator("#channels button").all_inner_texts() == ["Channel 1", "Channel 2"]
        page.get_by_role("button", name="Channel 2").click()
        assert page.inner_text("#viewer h2") == "call.wav, channel 2"

        page.wait_for_function("() => viewer.audio.readyState >= 1")
        page.get_by_role("button", name="Play", exact=True).click()
        page.wait_for_function("() => viewer.audio.currentTime > 0.3")
        page.get_by_role("button", name="Pause").click()
        page.keyboard.press("+")
        page.keyboard.press("+")
        page.wait_for_timeout(200)
        assert page.evaluate("viewer.range().to - viewer.range().from") < 38
        page.keyboard.press("0")

        before = rows(page)
        [job] = server.client.get("/v1/jobs").json()["jobs"]
        found = read_rttm(server, job["id"], tmp_path)
        assert len(before) == len(found[2])
        page.evaluate("viewer.seek(20)")
        page.select_option("[aria-label='Emotion of a new segment']", "angry")
        page.get_by_role("button", name="Add here").click()
        place = [start for start, _, _ in rows(page)].index("0:20.00")
        page.locator("#viewer .scroll tbody tr").nth(place).locator("input").nth(1).fill("0:23.5")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Save corrections").click()
        page.get_by_text("The corrections are stored.").wait_for()

        path = downloaded(page, "rttm", tmp_path)
        assert path.name == "call.rttm"
        corrected = {side.channel: side.annotation for side in read(path)}
        tracks = [
            (segment.start, segment.end, str(label))
            for segment, _, label in corrected[2].itertracks(yield_label=True)
        ]
        assert (20.0, 23.5, "angry") in tracks
        assert len(tracks) == len(before) + 1
        assert corrected.get(1) == found.get(1)  # the other channel stays
        assert server.client.get(f"/v1/jobs/{job['id']}").json()["corrected"]
        grid = downloaded(page, "textgrid", tmp_path)
        assert (20.0, 23.5, "angry") in [
            (segment.start, segment.end, str(label))
            for segment, _, label in read(grid)[0].annotation.itertracks(yield_label=True)
        ]


def read_rttm(server: Served, id: str, folder: Path) -> dict[int, object]:
    path = folder / "result.rttm"
    path.write_text(server.client.get(f"/v1/jobs/{id}/result", params={"format": "rttm"}).text)
    return {side.channel: side.annotation for side in read(path)}


def test_edges_are_dragged_and_changes_taken_back(browser: Browser, server: Served) -> None:
    with opened(browser, str(server.client.base_url)) as page:
        hand_in(page, CALL)
        page.wait_for_selector("#viewer .waveform", timeout=60_000)
        page.evaluate(
            "viewer.main.segments = [{start: 10, end: 20, label: 'sad', confidence: null}]"
        )
        page.evaluate("viewer.changed()")
        canvas = page.locator(".lanes canvas").last
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        duration = page.evaluate("viewer.data.duration")

        def point(second: float) -> tuple[float, float]:
            return box["x"] + box["width"] * second / duration, box["y"] + box["height"] / 2

        page.mouse.move(*point(20))
        page.mouse.down()
        page.mouse.move(*point(25), steps=4)
        page.mouse.up()
        assert page.evaluate("viewer.main.segments[0].end") == pytest.approx(25, abs=0.1)
        page.evaluate("viewer.seek(15)")
        page.get_by_role("button", name="Split here").click()
        assert [start for start, _, _ in rows(page)] == ["0:10.00", "0:15.00"]
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").click()
        assert rows(page) == [("0:10.00", "0:20.00", "sad")]
        row = page.locator("#viewer .scroll tbody tr").first
        row.locator("input").first.fill("half past")
        page.keyboard.press("Tab")
        assert "half past is no time" in page.inner_text("#viewer [role=status]")
        row.get_by_role("button", name="Remove segment 1").click()
        assert rows(page) == []


def test_what_fails_says_why(browser: Browser, server: Served, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("dear colleague")
    with opened(browser, str(server.client.base_url), failures="status of 415") as page:
        hand_in(page, tmp_path / "letter.wav")
        page.get_by_text("letter.wav is not audio that can be decoded").wait_for()


def test_several_recordings_are_listed_and_removed(
    browser: Browser, server: Served, tmp_path: Path
) -> None:
    for name, seconds in (("one", 1), ("two", 2)):
        noise = np.random.default_rng(0).standard_normal(16_000 * seconds) / 20
        soundfile.write(tmp_path / f"{name}.wav", noise, 16_000)
    with opened(browser, str(server.client.base_url)) as page:
        hand_in(page, tmp_path / "one.wav", tmp_path / "two.wav")
        page.get_by_role("button", name="Open two.wav").click(timeout=60_000)
        page.wait_for_selector("#viewer .waveform")
        assert page.evaluate("viewer.data.duration") == pytest.approx(2.0)
        page.reload()  # what was handed in is still there
        page.get_by_role("button", name="Remove one.wav").click(timeout=60_000)
        page.wait_for_function("() => document.querySelectorAll('.jobs li').length === 1")
        assert len(server.client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_dropped_recording_is_handed_in(browser: Browser, server: Served) -> None:
    with opened(browser, str(server.client.base_url)) as page:
        dropped = page.evaluate_handle(
            """letters => {
                const content = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
                const files = new DataTransfer();
                files.items.add(new File([content], "dropped.wav"));
                return files;
            }""",
            base64.b64encode(CALL.read_bytes()).decode("ascii"),
        )
        page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
        page.get_by_role("button", name="Open dropped.wav").wait_for(timeout=60_000)


def test_who_comes_early_waits_for_the_model(
    browser: Browser, serve: Callable[..., Served]
) -> None:
    server = serve()
    diarizer, server.office.worker.diarizer = server.office.worker.diarizer, None
    address = str(server.client.base_url)
    with opened(browser, address, failures="status of 503") as page:
        page.get_by_text("the model is being loaded").wait_for()
        server.office.worker.diarizer = diarizer
        page.wait_for_selector("#format option[value=rttm]", state="attached")
        assert page.inner_text("#keep") == "24 hours"


def test_a_token_is_asked_for(browser: Browser, serve: Callable[..., Served]) -> None:
    server = serve(token="a-secret-word")
    with opened(browser, str(server.client.base_url), failures="status of 401") as page:
        page.get_by_label("Token:").fill("a-secret-word")
        page.get_by_role("button", name="Continue").click()
        page.wait_for_selector("#upload:not([hidden])")
        hand_in(page, CALL)
        page.wait_for_selector("#viewer .waveform", timeout=60_000)
        page.wait_for_function("() => viewer.audio.readyState >= 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(browser: Browser, server: Served, scheme: str) -> None:
    with opened(browser, str(server.client.base_url), color_scheme=scheme) as page:
        hand_in(page, CALL, channel="split")
        page.wait_for_selector("#viewer .waveform", timeout=60_000)
        assert serious_barriers(page) == []


def test_the_interface_is_described_without_a_network(browser: Browser, server: Served) -> None:
    asked: list[str] = []
    with opened(browser, str(server.client.base_url)) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.client.base_url}/docs")
        page.get_by_text("List jobs").wait_for()
    assert all(url.startswith((str(server.client.base_url), "data:")) for url in asked), asked


def test_the_page_has_the_colours_of_everything_else() -> None:
    text = (app.WEB / "service.js").read_text(encoding="utf-8")
    assert dict(re.findall(r'(\w+): "(#[0-9A-F]{6})"', text)) == COLOURS
