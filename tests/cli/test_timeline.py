"""The picture of a diarization in characters."""

from __future__ import annotations

import io

import pytest
from pyannote.core import Annotation, Segment, Timeline
from rich.console import Console

from sed.cli.timeline import clock, print_timeline
from sed.labels import Emotion


def picture(
    *segments: tuple[float, float, str],
    speech: tuple[tuple[float, float], ...] = (),
    duration: float = 60.0,
    width: int = 82,
    **console: object,
) -> list[str]:
    """Lines of a timeline."""
    annotation = Annotation()
    for track, (start, end, label) in enumerate(segments):
        annotation[Segment(start, end), track] = Emotion(label, confidence=0.5)
    stream = io.StringIO()
    print_timeline(
        Console(file=stream, width=width, **console),
        annotation,
        Timeline([Segment(*times) for times in speech]),
        duration,
        title="call",
    )
    return stream.getvalue().splitlines()


def test_time_silence_speech_and_emotions_stand_where_they_are() -> None:
    """60 s in two rows of 60 columns: half a second each."""
    lines = picture((10, 20, "happy"), (35, 40, "sad"), speech=((5, 25), (35, 60)))
    assert lines[0] == "call  1:00.0"
    pause = " " * 10
    assert lines[1] == "   0:00.0 " + pause + "─" * 10 + "h" * 20 + "─" * 10 + pause + " 0:30.0"
    assert lines[2] == "   0:30.0 " + " " * 10 + "s" * 10 + "─" * 40 + " 1:00.0"
    assert "─ speech 75 %   h happy 17 %   s sad 8 %" in lines[3]
    assert [line.split() for line in lines[4:7]] == [
        ["onset", "offset", "emotion", "confidence"],
        ["0:10.0", "0:20.0", "happy", "0.50"],
        ["0:35.0", "0:40.0", "sad", "0.50"],
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("duration", [0.4, 42.0, 3_700.0, 36_000.0])
def test_every_row_fits_the_terminal(width: int, duration: float) -> None:
    lines = picture(
        (0, duration / 2, "angry"), speech=((0, duration),), duration=duration, width=width
    )
    assert max(map(len, lines)) <= width
    assert len(lines) <= 20
    rows = [line for line in lines if "aaa" in line or "───" in line]
    assert len({len(row.split(" ")[-1]) for row in rows}) <= 3
    assert len(rows[-1]) > width - 8


def test_colours_only_where_there_are_enough() -> None:
    """Blocks on a terminal of many colours, letters on one of few or none."""
    # rich keeps the codes of a style's first use, so this one is of no other test
    many = "\n".join(picture((0, 60, "fearful"), force_terminal=True, color_system="truecolor"))
    assert "█" in many and "\x1b[38;2;204;121;167m" in many
    few = "\n".join(picture((0, 60, "angry"), force_terminal=True, color_system="standard"))
    assert "█" not in few and "\x1b" in few
    none = "\n".join(picture((0, 60, "angry"), force_terminal=True, no_color=True))
    assert "█" not in none and "38;" not in none
    file = "\n".join(picture((0, 60, "angry")))
    assert "a" * 60 in file and "\x1b" not in file


def test_letters_differ_where_names_begin_alike() -> None:
    lines = picture((0, 20, "sad"), (20, 40, "sleepy"), (40, 60, "surprised"))
    assert "s sad" in lines[3] and "l sleepy" in lines[3] and "u surprised" in lines[3]


def test_neutral_segments_are_drawn_as_speech_without_emotion() -> None:
    lines = picture((0, 30, "neutral"), speech=((0, 30),), duration=30.0)
    assert "─" * 60 in lines[1]
    assert "─ neutral 100 %" in lines[2]


def test_nothing_found_is_said() -> None:
    assert "no emotion found" in picture(speech=((0, 30),))[-2]
    assert "no speech found" in picture()[-2]


def test_many_segments_are_cut_short_with_the_way_to_all() -> None:
    segments = [(float(second), second + 0.5, "happy") for second in range(60)]
    lines = picture(*segments)
    assert len(lines) < 50
    assert any("20 more; --rttm FILE writes all" in line for line in lines)


def test_a_title_with_brackets_is_no_markup() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    print_timeline(console, Annotation(), Timeline(), 1.0, title="[bold]call[/x]")
    assert stream.getvalue().startswith("[bold]call[/x]")


def test_clock_knows_minutes_and_hours() -> None:
    assert [clock(seconds) for seconds in (0, 59.96, 60, 3_600)] == [
        "0:00.0",
        "0:59.9",
        "1:00.0",
        "1:00:00.0",
    ]
