"""`sed stream`: pipes, files and raw sound to lines that come before the sound has ended."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import fcntl
import inspect
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import Command, Outcome
from rich.console import Console

from sed.cli.diarize import diarize as diarize_command
from sed.cli.hearing import hear
from sed.cli.live_outputs import LiveOutputs
from sed.cli.live_timeline import LiveTimeline
from sed.cli.sources import Sound, find_source
from sed.cli.stream import stream as stream_command
from sed.formats import read
from sed.live import Live
from sed.pipeline import Pipeline

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "call.wav"


@pytest.fixture
def stream(sed: Command, model_folder: Path) -> Command:
    """`sed stream` with the tiny model, on everything as speech unless told otherwise."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Outcome:
        defaults = () if "--vad" in arguments else ("--vad", "none")
        return sed("stream", "--model", model_folder, *defaults, *arguments, stdin=stdin)

    return run


def events(text: str) -> list[dict]:
    """Objects of JSON lines, each of which is whole."""
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def segments(text: str) -> list[tuple[float, float, str]]:
    return [(e["start"], e["end"], e["emotion"]) for e in events(text) if e["type"] == "segment"]


def raw(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def container(samples: np.ndarray, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, **options)
    return file.getvalue()


def test_with_unlimited_latency_it_finds_what_diarize_does(sed: Command) -> None:
    """The embedded model, on a call."""
    live = sed("stream", EXAMPLE, "--latency", "inf", "--rttm", "-")
    assert (live.code, live.err) == (0, "")
    assert live.out == sed("diarize", EXAMPLE, "--rttm", "-").out != ""


def test_objects_tell_what_begins_what_is_final_and_the_end(stream: Command, call: Path) -> None:
    outcome = stream(call)
    assert (outcome.code, outcome.err) == (0, "")
    found = events(outcome.out)
    assert {event["uri"] for event in found} == {"call"}
    assert found[-1] == {"type": "end", "uri": "call", "duration": 2.0}
    assert {event["type"] for event in found[:-1]} == {"segment", "open"}
    final = segments(outcome.out)
    assert final == sorted(final)
    for segment in final:
        assert 0.0 <= segment[0] < segment[1] <= 2.0
    # every final segment was announced when it began
    begun = {(e["start"], e["emotion"]) for e in found if e["type"] == "open"}
    for start, end, emotion in final:
        assert (start, emotion) in begun or end - start < 1.0


@pytest.mark.parametrize(
    "options",
    [{"format": "WAV", "subtype": "FLOAT"}, {"format": "FLAC", "subtype": "PCM_24"}],
)
def test_a_pipe_a_file_and_raw_sound_are_the_same(
    stream: Command, voice: np.ndarray, tmp_path: Path, options: dict[str, str]
) -> None:
    data = container(voice, **options)
    path = tmp_path / "stdin.wav"
    path.write_bytes(data)
    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    as_raw = stream("-", "--raw", "f32le", "--rate", "16000", stdin=samples.tobytes())
    assert segments(as_raw.out)
    assert as_raw.out == stream("-", stdin=data).out == stream(path).out


def test_a_channel_is_chosen_or_all_are_mixed(stream: Command, voice: np.ndarray) -> None:
    both = np.stack([voice, voice[::-1] / 2], axis=1)
    rate = ("--rate", "16000", "--raw", "f64le")
    for given, expected in (("1", both[:, 0]), ("2", both[:, 1]), ("mix", both.mean(axis=1))):
        alone = stream("-", *rate, stdin=expected.astype(float).tobytes())
        for options, data in (
            ((*rate, "--channels", "2"), both.astype(float).tobytes()),
            ((), container(both, format="WAV", subtype="DOUBLE")),
        ):
            outcome = stream("-", *options, "--channel", given, stdin=data)
            assert (outcome.code, outcome.err) == (0, "")
            assert segments(outcome.out) == segments(alone.out)


def test_lines_go_to_files_and_the_rest_stays_silent(
    stream: Command, call: Path, tmp_path: Path
) -> None:
    outcome = stream(call, "--json", tmp_path / "new" / "a.jsonl", "--rttm", tmp_path / "a.rttm")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    lines = (tmp_path / "new" / "a.jsonl").read_text()
    [recording] = read(tmp_path / "a.rttm")
    assert segments(lines) == [
        (segment.start, segment.end, str(label))
        for segment, _, label in recording.annotation.itertracks(yield_label=True)
    ]


BAD_SOUND = {
    "empty": (b"", (), "standard input is empty (0 bytes)"),
    "text": (b"no audio " * 1000, (), "standard input is not audio"),
    "header": (container(np.zeros(100), format="WAV")[:40], (), "standard input is not audio"),
    "channel": (
        container(np.zeros(100), format="WAV"),
        ("--channel", "2"),
        "standard input has 1 channel; choose mix or 1 to 1, not 2",
    ),
    "no-raw": (b"", ("--raw", "u8", "--rate", "8000"), "standard input is empty (0 bytes)"),
    "slow": (
        container(np.zeros(5000), format="WAV")[:24] + (1000).to_bytes(4, "little")
        + container(np.zeros(5000), format="WAV")[28:],
        (),
        "sample rate of 1000 Hz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_SOUND)
def test_sound_that_is_none_is_one_line(stream: Command, tmp_path: Path, kind: str) -> None:
    data, options, reason = BAD_SOUND[kind]
    old = tmp_path / "old.rttm"
    old.write_text("old\n")
    outcome = stream("-", *options, "--rttm", old, stdin=data)
    assert (outcome.code, outcome.out) == (1, "")
    assert reason in outcome.error
    assert old.read_text() == "old\n"


def test_what_was_heard_before_it_broke_off_is_written(stream: Command, voice: np.ndarray) -> None:
    whole = stream("-", "--raw", "f32le", "--rate", "16000", stdin=voice.tobytes())
    cut = stream("-", "--raw", "f32le", "--rate", "16000", stdin=voice.tobytes() + b"\0\0")
    assert (whole.code, cut.code, cut.out) == (0, 1, whole.out)
    assert cut.error == "standard input ends in the middle of a sample; is it f32le with 1 channel?"
    bad = np.concatenate([voice, np.full(1_600, np.nan, np.float32)])
    outcome = stream("-", "--raw", "f32le", "--rate", "16000", stdin=bad.tobytes())
    assert outcome.code == 1 and "2.000 s" in outcome.error
    assert events(outcome.out)[-1]["duration"] == pytest.approx(1.9, abs=0.15)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-", "--raw", "u8"], "--raw u8 does not tell the sample rate; add --rate"),
        (["-", "--raw", "wav", "--rate", "8000"], "no encoding 'wav'; choose u8"),
        (["-", "--raw", "u8", "--rate", "10"], "sample rate of 10 Hz"),
        (["-", "--rate", "8000"], "--rate is for sound without a header; add --raw"),
        (["--raw", "u8", "--rate", "8000"], "--raw is for sound without a header; name where"),
        (["-", "--device-in", "1"], "--device-in is a microphone's"),
        (["-", "--channel", "split"], "--channel takes mix or a number from 1 on, not 'split'"),
        (["-", "--latency", "0.1"], "a latency lies between 0.5 and 5 s, or is inf; not 0.1"),
        (["-", "--latency", "nan"], "not nan"),
        (["-", "--min-duration", "-1"], "--min-duration takes 0 to 3600 seconds"),
        (["-", "--vad", "energy"], "energy"),
        (["-", "--json", "-", "--rttm", "-"], "cannot both write -"),
        (["-", "--json", "call.wav"], "named like a recording"),
        (["-", "--json", "."], ". is a folder; name a file in it"),
        (["missing.wav"], "missing.wav does not exist; check its spelling"),
        (["."], ". is a folder; a stream is one file"),
        ([""], "an empty name is no file"),
        (["-", "--model", "none/such/one"], "none/such/one"),
    ],
)
def test_wrong_use_is_one_line(sed: Command, arguments: list[str], reason: str) -> None:
    vad = [] if "--vad" in arguments else ["--vad", "none"]
    outcome = sed("stream", *arguments, *vad, stdin=b"")
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.error.lower() or reason in outcome.error


def test_options_that_diarize_has_too_are_the_same() -> None:
    live = inspect.signature(stream_command).parameters
    whole = inspect.signature(diarize_command).parameters
    shared = set("model device dtype smoothing min_duration threshold config debug".split())
    assert shared <= set(live) & set(whole)
    for name in shared:
        assert live[name].annotation == whole[name].annotation
        assert live[name].default == whole[name].default


def test_settings_come_from_a_file(stream: Command, call: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("latency = 0.5\n[decoding]\nthreshold = 1.0\n")
    assert segments(stream(call, "--config", config).out) == []
    config.write_text("latency = 7\n")
    assert "not 7" in stream(call, "--config", config).error


@pytest.fixture
def process(model_folder: Path) -> Iterator:
    """`sed stream` in a process of its own."""
    running = []

    def start(*arguments: str | Path, **streams: object) -> subprocess.Popen[bytes]:
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "sed", "stream", *map(str, arguments)]
                + ["--model", str(model_folder), "--vad", "none"],
                env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
                # as on a terminal, although a shell in the background has its children ignore it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   **streams},
            )
        )  # fmt: skip
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            with contextlib.suppress(BrokenPipeError, AttributeError):
                pipe.close()


RAW = ("-", "--raw", "s16le", "--rate", "16000")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"nothing came into {path}"
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (None, 0)])
def test_lines_come_while_it_is_heard_and_the_rest_when_it_is_ended(
    process, voice: np.ndarray, tmp_path: Path, number: signal.Signals | None, code: int
) -> None:
    """Also of a header that says no length, cut in the middle of a sample."""
    data = container(np.tile(voice, 4), format="WAV", subtype="PCM_16")[:-33]
    running = process("-", "--rttm", tmp_path / "live.rttm", "--json", "-", "--latency", "1")
    running.stdin.write(data)
    running.stdin.flush()
    first = running.stdout.readline()  # although the pipe is open and silent
    assert json.loads(first)["type"] == "open"
    wait_for(tmp_path / "live.rttm")
    assert (tmp_path / "live.rttm").read_text().endswith("\n")
    if number is None:
        running.stdin.close()
    else:
        time.sleep(0.5)  # it waits for more
        running.send_signal(number)
    rest = running.stdout.read()
    assert running.wait(60) == code
    assert running.stderr.read() == b""
    assert events((first + rest).decode())[-1]["duration"] == pytest.approx(8.0, abs=0.1)
    [recording] = read(tmp_path / "live.rttm")
    assert len(recording.annotation) == len(segments((first + rest).decode()))
    assert recording.annotation.get_timeline().extent().end > 7.0


def test_ctrl_c_before_the_first_sound_is_one_line(process) -> None:
    running = process("-")
    running.stdin.write(b"RIFF")
    running.stdin.flush()
    num_waiting, deadline = array.array("i", [4]), time.monotonic() + 60
    while num_waiting[0]:  # until it has been read
        assert time.monotonic() < deadline
        time.sleep(0.05)
        fcntl.ioctl(running.stdin, termios.FIONREAD, num_waiting)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    assert running.stderr.read() == b"sed: interrupted; no unfinished file was left behind\n"


def test_a_reader_that_has_seen_enough_causes_no_complaint(process, voice: np.ndarray) -> None:
    running = process(*RAW, "--latency", "0.5")
    running.stdin.write(raw(np.tile(voice, 3)))
    running.stdin.flush()
    assert running.stdout.readline()
    running.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        running.stdin.write(raw(np.tile(voice, 3)))
        running.stdin.close()
    assert running.wait(60) in (0, 1)
    assert running.stderr.read() == b""


def test_a_fifo_is_heard_and_a_terminal_shows_the_last_minute(
    process, voice: np.ndarray, tmp_path: Path
) -> None:
    """Without any option: a picture that moves, and final segments above it."""
    os.mkfifo(tmp_path / "talk.wav")
    controller, terminal = pty.openpty()
    running = process(tmp_path / "talk.wav", stdout=terminal)
    os.close(terminal)
    (tmp_path / "talk.wav").write_bytes(container(np.tile(voice, 3), format="WAV"))
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while piece := os.read(controller, 4096):
            shown += piece
    os.close(controller)
    assert (running.wait(60), running.stderr.read()) == (0, b"")
    text = shown.decode()
    assert "talk" in text and "0:06.0" in text and "s behind" in text
    assert "█" in text
    assert '"type"' not in text


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> Pipeline:
    from sed.vad import Everything

    return Pipeline.from_pretrained(model_folder, vad=Everything())


def picture(pipeline: Pipeline, samples: np.ndarray, *, latency: float = 2.0) -> list[str]:
    """The last picture of a stream, 82 columns wide and without colours."""
    file = io.StringIO()
    console = Console(file=file, width=82, force_terminal=True, no_color=True)
    live = Live(pipeline, 16_000, latency=latency, uri="call")
    with LiveTimeline(console, "call", owns_output=False) as timeline:
        for update in live.push(samples):
            timeline.add(update, 1.5)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    return [line.rstrip() for line in text.split("call")[-1].splitlines()]


def test_the_picture_ends_now_and_says_how_far_behind_it_is(
    pipeline: Pipeline, voice: np.ndarray
) -> None:
    lines = picture(pipeline, np.tile(voice, 35))
    assert "1:0" in lines[0]
    onset, offset = lines[1].split()[0], lines[1].split()[-1]
    seconds = [
        float(text.split(":")[0]) * 60 + float(text.split(":")[1]) for text in (onset, offset)
    ]
    assert seconds[1] - seconds[0] == pytest.approx(60, abs=0.2)
    assert seconds[1] == pytest.approx(70, abs=0.5)
    assert set(lines[1][12:60]) & set("hsa")
    assert re.search(r"[hsa] (happy|sad|angry) 0\.\d\d since 1:0\d\.\d ", lines[2])
    behind = float(lines[2].split(" s behind")[0].split()[-1])
    assert 1.5 < behind <= 3.6


@dataclasses.dataclass
class Slow:
    """A source that is real sound, of which ever more waits and some gets lost."""

    samples: np.ndarray
    name = "the sound"
    uri = "sound"
    is_endless = True

    @contextlib.contextmanager
    def opened(self) -> Iterator[Sound]:
        blocks = iter(np.array_split(self.samples, 20))
        yield Sound(16_000, blocks, backlog=lambda: 3.21, losses=lambda: "0.4 s of it are gone")


@pytest.mark.parametrize("quiet", [False, True])
def test_a_machine_that_is_too_slow_is_told_once(
    pipeline: Pipeline, voice: np.ndarray, tmp_path: Path, quiet: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    outputs = LiveOutputs(tmp_path / "a.jsonl", None, timeline=False, quiet=quiet)
    assert hear(Slow(voice), outputs, pipeline, 1.0, quiet=quiet, debug=False) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == (
        []
        if quiet
        else [
            "sed: this machine is too slow: 3.2 s behind; a smaller model or a GPU keeps up",
            "sed: the sound: 0.4 s of it are gone",
        ]
    )


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    """A pipe that never ends is read no faster than it is taken."""
    read_end, write_end = os.pipe()
    taken = threading.Event()
    written = 0

    def send() -> None:
        nonlocal written
        with contextlib.suppress(BrokenPipeError):
            while not taken.is_set():
                written += os.write(write_end, bytes(1 << 14))
        os.close(write_end)

    source = find_source(
        f"/dev/fd/{read_end}", device=None, raw="s16le", rate=16_000, num_channels=1, channel=None
    )
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    with source.opened() as sound:
        for _ in range(5):
            assert 800 <= len(next(sound.blocks)) <= 16_000
        time.sleep(0.1)
        assert written < 300_000
        taken.set()
        os.close(read_end)
        for _ in sound.blocks:
            pass
    thread.join(10)
