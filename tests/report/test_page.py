"""The self-contained page, in a browser that has no network."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from browser import opened, serious_barriers, started
from playwright.sync_api import Browser, Page
from pyannote.core import Annotation, Segment, SlidingWindow, SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.labels import Emotion
from sed.report import page as pages
from sed.report.page import PageWriter, page_data
from sed.report.panel import Panel
from sed.report.sound import CONTAINER, MIN_BIT_RATE, write_webm

RATE, DURATION = 8_000, 12.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


def annotated(*segments: tuple[float, float, str], uri: str = "call") -> Annotation:
    annotation = Annotation(uri=uri)
    for start, end, label in segments:
        annotation[Segment(start, end)] = Emotion(label, confidence=0.75)
    return annotation


def make_panel(uri: str = "call") -> Panel:
    """Twelve seconds: a tone that grows louder, sad from 2 to 5 s, angry from 8 to 9 s."""
    times = np.arange(int(RATE * DURATION)) / RATE
    samples = np.sin(2 * np.pi * 440 * times) * times / DURATION
    scores = np.zeros((600, 3), dtype=np.float32)
    scores[:, 0] = 1.0
    scores[100:250] = (0.2, 0.8, 0.0)
    scores[400:450] = (0.1, 0.1, 0.8)
    window = SlidingWindow(start=0.0, duration=0.02, step=0.02)
    return Panel(
        annotation=annotated((2.0, 5.0, "sad"), (8.0, 9.0, "angry"), uri=uri),
        recording=Recording.from_samples(samples, RATE, uri=uri),
        posteriors=SlidingWindowFeature(scores, window, labels=["neutral", "sad", "angry"]),
        speech=Timeline([Segment(1.0, 6.0), Segment(7.0, 12.0)]),
        reference=annotated((2.0, 4.0, "sad"), (8.0, 9.5, "happy"), uri=uri),
    )


def write(path: Path, *panels: Panel, **options: Path) -> Path:
    with PageWriter(path) as page:
        for panel in panels:
            page.add(panel, **options)
    return path


def table(page: Page) -> list[list[str]]:
    rows = page.locator(".scroll tbody tr")
    return [[cell.strip() for cell in row.split("\t")] for row in rows.all_inner_texts()]


def colour_at(page: Page, lane: int, second: float, share: float = 0.5) -> str:
    """Colour of a lane at a time while the whole recording is seen."""
    return page.evaluate(
        """([lane, share, height]) => {
            const canvas = document.querySelectorAll(".lanes canvas")[lane];
            const [x, y] = [share * canvas.width, height * canvas.height].map(Math.floor);
            const [r, g, b, a] = canvas.getContext("2d").getImageData(x, y, 1, 1).data;
            return a ? "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("") : "";
        }""",
        [lane, second / DURATION, share],
    )


def test_a_page_plays_and_shows_what_was_found(browser: Browser, tmp_path: Path) -> None:
    path = write(tmp_path / "a call.html", make_panel())
    with opened(browser, path, offline=True) as page:
        page.wait_for_function("viewer.audio.readyState >= 1")
        assert page.evaluate("viewer.audio.duration") == pytest.approx(DURATION, abs=0.05)
        assert page.title() == "a call"
        assert table(page) == [
            ["0:02.00", "0:05.00", "3.00 s", "sad", "75 %"],
            ["0:08.00", "0:09.00", "1.00 s", "angry", "75 %"],
        ]
        assert page.inner_text(".shares caption") == "Shares of 0:10.0 of speech"
        assert "sad\t0:03.0\t30.0 %" in page.inner_text(".shares")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("viewer.audio.currentTime > 0.3")
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="0:08.00").click()
        assert page.evaluate("viewer.audio.currentTime") == pytest.approx(8.0, abs=0.01)
        assert page.locator("tr[aria-current]").inner_text().startswith("0:08.00")


def test_lanes_have_the_colours_of_what_is_there(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, write(tmp_path / "call.html", make_panel())) as page:
        page.wait_for_timeout(300)
        assert page.locator(".lanes h3").all_inner_texts() == [
            "Probabilities",
            "Emotions",
            "Errors of emotions",
            "Reference",
        ]
        sad, angry, happy = "#0072b2", "#d55e00", "#e69f00"
        assert colour_at(page, 0, 3.5, share=0.9) == sad
        assert colour_at(page, 0, 3.5, share=0.1) == ""  # neutral is what they leave
        assert [colour_at(page, 1, second, 0.1) for second in (1, 3.5, 6, 8.5)] == [
            "",
            sad,
            "",
            angry,
        ]
        assert colour_at(page, 2, 3.0, 0.1) == ""
        assert colour_at(page, 2, 4.5, 0.1) == "#ee3377"  # a false alarm
        assert colour_at(page, 2, 8.5, 0.1) == "#7b4fb5"  # a confusion
        assert colour_at(page, 2, 9.25, 0.1) == "#222222"  # missed
        assert colour_at(page, 3, 9.25, 0.1) == happy


def test_keys_play_seek_and_zoom(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, write(tmp_path / "call.html", make_panel())) as page:
        page.wait_for_function("viewer.audio.readyState >= 1")
        for key, time in [("n", 2.0), ("n", 8.0), ("p", 2.0), ("ArrowRight", 7.0)]:
            page.keyboard.press(key)
            assert page.evaluate("viewer.audio.currentTime") == pytest.approx(time, abs=0.01)
        whole = page.evaluate("viewer.range().to - viewer.range().from")
        for _ in range(3):
            page.keyboard.press("+")
        page.wait_for_timeout(200)
        seen = page.evaluate("viewer.range()")
        assert seen["to"] - seen["from"] < 0.7 * whole
        assert seen["from"] < 7.0 < seen["to"]
        page.keyboard.press("0")
        page.wait_for_timeout(200)
        assert page.evaluate("viewer.range().to") == pytest.approx(DURATION)
        page.keyboard.press(" ")
        page.wait_for_function("viewer.audio.currentTime > 7.2")


def test_one_of_several_recordings_is_shown(browser: Browser, tmp_path: Path) -> None:
    path = write(tmp_path / "calls.html", make_panel("one"), make_panel("</script><b>two"))
    with opened(browser, path) as page:
        assert page.inner_text("h2") == "one"
        page.get_by_role("button", name="two").click()
        assert page.inner_text("h2") == "</script><b>two"
        page.wait_for_function("viewer.audio.readyState >= 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = write(tmp_path / "call.html", make_panel("one"), make_panel("two"))
    with opened(browser, path, color_scheme=scheme) as page:
        page.locator("summary").click()
        assert serious_barriers(page) == []


def test_sound_without_room_is_played_from_where_it_lies(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_SOUND", 1_000)
    audio = tmp_path / "sounds" / "a call & more.wav"
    audio.parent.mkdir()
    soundfile.write(audio, make_panel().recording.samples(RATE), RATE)
    path = write(tmp_path / "pages" / "call.html", make_panel(), audio=audio)
    assert 'class="sound"' not in path.read_text()
    with opened(browser, path) as page:
        page.wait_for_function("viewer.audio.readyState >= 1")
        assert page.evaluate("viewer.audio.duration") == pytest.approx(DURATION, abs=0.01)
        assert page.get_by_role("button", name="Play").is_enabled()


def test_sound_that_is_nowhere_can_be_chosen(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_SOUND", 0)
    audio = tmp_path / "call.wav"
    soundfile.write(audio, make_panel().recording.samples(RATE), RATE)
    with opened(browser, write(tmp_path / "call.html", make_panel())) as page:
        assert page.get_by_role("button", name="Play").is_disabled()
        assert "choose the file to listen" in page.inner_text("[role=status]")
        page.set_input_files("input[type=file]", audio)
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("viewer.audio.currentTime > 0.1")


def test_bytes_of_a_page_are_those_of_the_recording() -> None:
    facts = json.loads(json.dumps(page_data(make_panel()), allow_nan=False))
    high = np.frombuffer(base64.b64decode(facts["peaks"]["high"]), dtype=np.uint8)
    assert len(high) == 1200
    np.testing.assert_allclose((high[::100] - 128.0) / 120, np.arange(12) / 12, atol=0.02)
    scores = np.frombuffer(base64.b64decode(facts["posteriors"]["values"]), dtype=np.uint8)
    np.testing.assert_array_equal(scores.reshape(600, 3)[150], [51, 203, 0])
    assert facts["posteriors"]["hop"] == pytest.approx(0.02)
    assert facts["speech"] == 10.0


def test_a_long_recording_stays_light(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten hours, of which the page holds neither every sample nor every frame."""
    rate, hours = 100, 10
    monkeypatch.setattr("sed.audio.MIN_SAMPLE_RATE", rate)
    samples = np.random.default_rng(0).standard_normal(hours * 3600 * rate).astype(np.float32) / 10
    recording = Recording.from_samples(samples, rate, uri="night")
    segments = [(20.0 * n, 20.0 * n + 10, ("sad", "angry")[n % 2]) for n in range(1800)]
    count = hours * 3600 * 50
    scores = np.tile(np.array([0.5, 0.3, 0.2], dtype=np.float32), (count, 1))
    panel = Panel(
        annotation=annotated(*segments, uri="night"),
        recording=recording,
        posteriors=SlidingWindowFeature(
            scores,
            SlidingWindow(start=0.0, duration=0.02, step=0.02),
            labels=["neutral", "sad", "angry"],
        ),
    )
    path = write(tmp_path / "night.html", panel)
    assert path.stat().st_size < 20e6
    assert 'class="sound"' not in path.read_text()  # below the least bit rate
    with opened(browser, path) as page:
        page.wait_for_selector(".scroll tbody tr", timeout=5_000)
        assert len(table(page)) == 200
        page.get_by_role("button", name="Show more of 1800").click()
        assert len(table(page)) == 400
        page.evaluate("viewer.seek(30000)")
        page.evaluate("viewer.setZoom(100)")
        page.wait_for_timeout(300)
        seen = page.evaluate("viewer.range()")
        assert seen["to"] - seen["from"] == pytest.approx(2.0, abs=0.2)
        assert seen["from"] <= 30000 <= seen["to"]


def test_nothing_is_left_of_a_page_that_broke_off(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), PageWriter(tmp_path / "call.html") as page:
        page.add(make_panel())
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_page_needs_a_recording(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="a page of call needs its recording"),
        PageWriter(tmp_path / "call.html") as page,
    ):
        page.add(Panel(annotation=annotated((0, 1, "sad"))))


def test_webm_lasts_as_long_and_sounds_alike() -> None:
    samples = np.sin(2 * np.pi * 440 * np.arange(65 * 16_000) / 16_000) / 2  # three blocks
    stream = io.BytesIO()
    write_webm(Recording.from_samples(samples, 16_000), stream, bit_rate=MIN_BIT_RATE)
    assert len(stream.getvalue()) < 65 * (MIN_BIT_RATE + CONTAINER) / 8
    stream.seek(0)
    with av.open(stream) as container:
        heard = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    assert len(heard) / rate == pytest.approx(65, abs=0.05)
    spectrum = np.abs(np.fft.rfft(heard[30 * rate : 31 * rate]))
    assert np.argmax(spectrum) == 440


def test_nothing_of_a_page_comes_from_elsewhere(tmp_path: Path) -> None:
    text = write(tmp_path / "call.html", make_panel()).read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!blob:)""", text.partition("<script>")[0])
    assert "@import" not in text and "url(" not in text.partition("</style>")[0]
