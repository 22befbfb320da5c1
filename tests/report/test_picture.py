"""Pictures of recordings, read back: what they show, where, in which colour, and as which file."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline
from svg import boxes, texts

import sed
from sed.audio import Recording
from sed.colours import colour
from sed.frames import FrameGrid
from sed.report import Panel, Picture, plot
from sed.report.lanes import ERRORS, levels
from sed.report.timeaxis import marks
from sed.scoring import eder

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")


def emotions(*segments: tuple[float, float, str], uri: str = "call") -> Annotation:
    annotation = Annotation(uri=uri)
    for track, (start, end, label) in enumerate(segments):
        annotation[Segment(start, end), track] = label
    return annotation


FOUND = emotions((2, 8, "happy"), (10, 11, "sad"), (15, 20, "sad"))
SAID = emotions((4, 9, "happy"), (15, 18, "angry"))


def tone(seconds: float, amplitude: float = 0.5) -> Recording:
    time = np.arange(round(seconds * 8_000)) / 8_000
    samples = amplitude * np.sin(2 * np.pi * 100 * time)
    return Recording.from_samples(samples.astype(np.float32), 8_000, uri="call")


def scores(seconds: float, labels: tuple[str, ...] = ("neutral", "happy")) -> SlidingWindowFeature:
    """Happy from the first to the second half."""
    values = np.zeros((round(seconds * 50), len(labels)), dtype=np.float32)
    values[: len(values) // 2, 0] = 1.0
    values[len(values) // 2 :, 1] = 1.0
    return FrameGrid(16_000, 320).feature(values, list(labels))


def test_segments_stand_where_they_are_in_their_colours_and_words() -> None:
    svg = plot(FOUND)._repr_svg_()
    assert boxes(svg, colour("happy"), (0, 20)) == [(2, 8)]
    assert boxes(svg, colour("sad"), (0, 20)) == [(10, 11), (15, 20)]
    written = texts(svg)
    assert written.count("sad") == 2 + 1  # its segments and the legend
    assert written.count("happy") == 1 + 1
    assert {"call", "emotions", "0:00", "0:02", "0:20"} <= set(written)
    for missing in ("waveform", "posteriors", "speech", "reference", "false alarm"):
        assert missing not in written


def test_short_segments_have_a_colour_but_no_word() -> None:
    svg = plot(emotions((2, 2.3, "happy"), (3, 20, "sad")))._repr_svg_()
    assert boxes(svg, colour("happy"), (0, 20)) == [(2, 2.3)]
    assert (texts(svg).count("happy"), texts(svg).count("sad")) == (1, 2)


def test_every_part_that_is_known_has_its_lane() -> None:
    svg = plot(
        FOUND,
        posteriors=scores(20),
        recording=tone(20),
        reference=SAID,
        speech=Timeline([Segment(1, 12)]),
        other=emotions((0, 20, "angry")),
    )._repr_svg_()
    rates = [eder(SAID, found, duration=20.0).eder for found in (FOUND, emotions((0, 20, "angry")))]
    names = [f"EDER {100 * rate:.1f} %" for rate in rates]
    order = ["waveform", "posteriors", "speech", "emotions", names[0], "other", names[1]]
    written = [text for text in texts(svg) if text in {*order, "reference"}]
    assert written == [*order, "reference"]
    assert len(boxes(svg, colour("happy"), (0, 20))) == 2 + 1  # posteriors, a segment each
    assert (1, 12) in boxes(svg, "#8A9299", (0, 20))


def test_errors_are_a_strip_coloured_by_their_part() -> None:
    svg = plot(FOUND, reference=SAID, recording=tone(20))._repr_svg_()
    shown = {part: boxes(svg, fill, (0, 20)) for part, (fill, _) in ERRORS.items()}
    assert shown == {
        "false_alarm": [(2, 4), (10, 11), (18, 20)],
        "missed_emotion": [(8, 9)],
        "confusion": [(15, 18)],
        "overlap": [],
    }
    assert {"false alarm", "missed emotion", "confusion", "overlap"} <= set(texts(svg))
    strips = emotions((0, 5, "happy"), (0, 5, "sad"))
    both = plot(strips, reference=emotions((0, 5, "happy")))._repr_svg_()
    assert boxes(both, ERRORS["overlap"][0], (0, 5)) == [(0, 5)]


def test_a_view_shows_its_stretch_and_no_rate_of_the_whole() -> None:
    panel = Panel(annotation=FOUND, reference=SAID, recording=tone(20), posteriors=scores(20))
    svg = Picture([panel], start=5.0, end=15.5)._repr_svg_()
    # drawn as far as it reaches, cut where the lane ends
    assert boxes(svg, ERRORS["missed_emotion"][0], (5, 15.5)) == [(8, 9)]
    assert "errors" in texts(svg)
    assert not any(text.startswith("EDER") for text in texts(svg))
    assert {"0:05", "0:15"} <= set(texts(svg)) and "0:00" not in texts(svg)


def test_channels_share_one_time_axis() -> None:
    panels = [
        Panel(annotation=emotions((0, 5, "happy")), title="channel 1"),
        Panel(annotation=emotions((5, 10, "sad")), title="channel 2"),
    ]
    svg = Picture(panels, title="two sides")._repr_svg_()
    assert boxes(svg, colour("happy"), (0, 10)) == [(0, 5)]
    assert boxes(svg, colour("sad"), (0, 10)) == [(5, 10)]
    assert {"two sides", "channel 1", "channel 2"} <= set(texts(svg))
    assert texts(svg).count("0:05") == 1


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_a_file_is_what_its_ending_says_and_the_same_in_every_run(
    tmp_path: Path, format: str
) -> None:
    made = []
    for name in ("one", "two"):
        path = tmp_path / "new" / f"{name}.{format.upper()}"
        plot(FOUND, recording=tone(20), reference=SAID).save(path)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert made[0].startswith(
        {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}[format]
    )
    assert sorted(p.name for p in path.parent.iterdir()) == [
        path.name.replace("two", "one"),
        path.name,
    ]


def test_a_notebook_shows_it_twelve_hundred_dots_wide() -> None:
    from matplotlib.image import imread

    picture = sed.plot(FOUND, recording=tone(20))
    image = imread(io.BytesIO(picture._repr_png_()), format="png")
    assert image.shape[1] == 1200
    red, green, blue = (int(colour("sad")[place : place + 2], 16) / 255 for place in (1, 3, 5))
    same = np.abs(image[:, :, :3] - (red, green, blue)).max(axis=2) < 0.01
    left, right = 140, 1160  # of the time axis
    columns = np.flatnonzero(same[image.shape[0] // 2 :].sum(axis=0) > 10)
    seconds = (columns - left) / (right - left) * 20
    assert {round(float(second)) for second in seconds} == {10, 11, 15, 16, 17, 18, 19, 20}
    assert picture._repr_svg_().startswith("<?xml")


def test_a_silent_recording_is_a_flat_line() -> None:
    silence = Recording.from_samples(np.zeros(24_000, dtype=np.float32), 8_000)
    figure = plot(Annotation(), recording=silence, speech=Timeline()).figure()
    [signal] = figure.axes[0].patches
    values, _, baseline = signal.get_data()
    assert not values.any() and not np.any(baseline)
    low, high = figure.axes[0].get_ylim()
    assert low < -0.005 and high > 0.005


def test_a_loud_recording_fills_its_lane_and_a_quiet_one_too() -> None:
    for amplitude in (1.0, 0.02):
        figure = plot(Annotation(), recording=tone(3, amplitude)).figure()
        [signal] = figure.axes[0].patches
        assert signal.get_data().values.max() == pytest.approx(amplitude, rel=0.01)
        assert figure.axes[0].get_ylim()[1] == pytest.approx(1.08 * amplitude, rel=0.02)


def test_three_tenths_of_a_second_are_enough() -> None:
    picture = plot(
        emotions((0.1, 0.3, "happy")), recording=tone(0.3), posteriors=scores(0.3), reference=SAID
    )
    assert "0:00.30" not in texts(picture._repr_svg_())  # the reference is longer
    picture = plot(emotions((0.1, 0.3, "happy")), recording=tone(0.3), posteriors=scores(0.3))
    assert {"0:00.00", "0:00.05", "0:00.30"} <= set(texts(picture._repr_svg_()))
    assert (0.1, 0.3) in boxes(picture._repr_svg_(), colour("happy"), (0, 0.3))


def test_posteriors_of_hours_are_few_columns() -> None:
    figure = plot(Annotation(), posteriors=scores(7_200)).figure()
    [happy] = figure.axes[0].patches
    values, edges, _ = happy.get_data()
    assert 500 <= len(values) <= 3_000
    assert (values == (edges[1:] > 3_600)).all()  # all of it in the second half


def test_overlapping_emotions_stand_above_each_other() -> None:
    given = [(0, 2), (1, 5), (1.5, 6), (5.5, 7), (7, 8)]
    assert levels([Segment(*times) for times in given]) == [(0, 3), (1, 3), (2, 3), (0, 3), (0, 1)]
    assert levels([]) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0.001), (0, 0.3), (2.5, 3.1), (0, 59), (3_500, 3_900), (0, 1e6), (0, 1e9)],
)
def test_marks_lie_in_the_view_and_are_few_and_different(start: float, end: float) -> None:
    found = marks(start, end)
    assert 1 <= len(found) <= 14
    assert all(start - 1e-6 <= time <= end + 1e-6 for time, _ in found)
    assert len({name for _, name in found}) == len(found)


@pytest.mark.parametrize(
    "uri", ["a $x_1$ b", "字幕 📞", "tab\tand \x00 bell \x07", "\udcff", "<&>", "_a"]
)
def test_any_name_can_be_drawn(uri: str, tmp_path: Path) -> None:
    """Neither formulas nor characters that a font or XML lacks are an error or a warning."""
    label = uri.encode(errors="replace").decode()  # files of annotations are UTF-8
    annotation = emotions((0, 5, label), uri=uri)
    for format in ("png", "svg", "pdf"):
        plot(annotation, reference=annotation).save(tmp_path / f"a.{format}")
    assert len(texts((tmp_path / "a.svg").read_text(encoding="utf-8"))) >= 5


def test_the_users_own_style_changes_nothing() -> None:
    expected = plot(FOUND).encode("svg")
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "savefig.bbox": "tight"}):
        assert plot(FOUND).encode("svg") == expected
    assert "matplotlib.pyplot" not in vars(sys.modules["sed.report.picture"])


@pytest.mark.parametrize("name", ["call.doc", "call", "call.png.gz", "-"])
def test_another_ending_is_refused_before_anything_is_drawn(tmp_path: Path, name: str) -> None:
    def fails(blocks: object, sample_rate: int) -> None:
        raise AssertionError("the recording was read")

    picture = plot(FOUND, recording=tone(1).through(fails))
    with pytest.raises(ValueError, match="is named like no picture; .* .png, .svg, .pdf"):
        picture.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_picture(tmp_path: Path) -> None:
    path = tmp_path / "call.png"
    path.write_bytes(b"old")
    wrong = Panel(annotation=FOUND, posteriors=scores(3))
    wrong.posteriors.data[5] = np.nan
    with pytest.raises(ValueError, match="no number"):
        Picture([wrong]).save(path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(ValueError, match="nothing to draw of call: no segment, and no audio"):
        plot(emotions())
    with pytest.raises(ValueError, match="from 0 to inf s cannot be drawn"):
        plot(emotions((0, float("inf"), "happy")))
    with pytest.raises(ValueError, match="posteriors without labels"):
        plot(FOUND, posteriors=FrameGrid(16_000, 320).feature(np.zeros((5, 2))))
    panel = Panel(annotation=FOUND)
    for start in (-1.0, 20.0, float("nan")):
        with pytest.raises(ValueError, match="cannot begin at .* s; the recording has 20 s"):
            Picture([panel], start=start)
    for end in (3.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="from 3 s to .* s has no extent"):
            Picture([panel], start=3.0, end=end)
    with pytest.raises(ValueError, match="65 channels do not fit"):
        Picture([panel] * 65)


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install 'speech-emotion-diarization\[plot\]'"):
        plot(FOUND).save(tmp_path / "call.png")
    assert list(tmp_path.iterdir()) == []
