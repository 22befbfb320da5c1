"""Containers through a pipe: every kind, at once, and whatever is wrong with them."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sed.decoders import AVFile
from sed.pipes import opened

RATE = 16_000
KINDS = {
    "wav": ("wav", "pcm_s16le", RATE),
    "flac": ("flac", "flac", RATE),
    "mp3": ("mp3", "libmp3lame", RATE),
    "ogg": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "aac": ("adts", "aac", RATE),
    "matroska": ("matroska", "pcm_s16le", RATE),
}
"""Container, codec and sample rate."""


def encoded(kind: str, seconds: float = 4.0) -> bytes:
    """A tone as a container, written as into a pipe: it cannot go back to its header."""
    container, codec, rate = KINDS[kind]
    file = io.BytesIO()
    file.seekable = lambda: False  # type: ignore[method-assign]
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        tone = (8_000 * np.sin(np.arange(round(seconds * rate)) * 0.05)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = rate
        form = stream.codec_context.format
        resampler = av.AudioResampler(form.name if form else "s16", "mono", rate)
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            piece.pts = None
            fifo.write(piece)
        for piece in fifo.read_many(stream.codec_context.frame_size or 1024, partial=True):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


class Feed:
    """A real pipe that is filled by hand."""

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self.stream = open(read, "rb")

    def send(self, data: bytes) -> None:
        """Write all of it, while somebody reads."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._write, view) :]

    def close(self) -> None:
        os.close(self._write)


@pytest.fixture
def piped() -> Iterator[Callable[[bytes], io.BufferedReader]]:
    """Bytes as a pipe gives them."""
    threads, streams = [], []

    def start(data: bytes) -> io.BufferedReader:
        feed = Feed()

        def send() -> None:
            try:
                feed.send(data)
            except BrokenPipeError:
                pass
            feed.close()

        threads.append(threading.Thread(target=send))
        threads[-1].start()
        streams.append(feed.stream)
        return feed.stream

    yield start
    for stream in streams:
        stream.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_gives_the_samples_of_the_file(kind: str, piped, tmp_path: Path) -> None:
    data = encoded(kind)
    (tmp_path / f"a.{kind}").write_bytes(data)
    file = AVFile.open(tmp_path / f"a.{kind}")
    with opened(piped(data), "it") as sound:
        assert (sound.sample_rate, sound.num_channels) == (file.sample_rate, file.num_channels)
        samples = np.concatenate(list(sound.blocks))
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, np.concatenate(list(file.blocks())))
    assert 3.9 < len(samples) / KINDS[kind][2] < 4.2


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_length_that_nobody_knew_is_ignored(size: int, piped) -> None:
    """As ffmpeg, sox and others write it into a pipe."""
    file = io.BytesIO()
    soundfile.write(file, np.full(40_000, 0.5), RATE, format="WAV", subtype="PCM_16")
    data = bytearray(file.getvalue())
    data[4:8] = data[40:44] = size.to_bytes(4, "little")
    with opened(piped(bytes(data)), "it") as sound:
        assert sum(map(len, sound.blocks)) == 40_000


@pytest.mark.parametrize("kind", KINDS)
def test_sound_is_given_before_the_pipe_ends(kind: str) -> None:
    """A first part comes out while the rest is not yet there; nothing is lost by looking."""
    data, feed, go_on = encoded(kind, 10.0), Feed(), threading.Event()
    part = len(data) * 6 // 10

    def send() -> None:
        feed.send(data[:part])
        assert go_on.wait(30)
        feed.send(data[part:])
        feed.close()

    sender = threading.Thread(target=send)
    sender.start()
    with feed.stream, opened(feed.stream, "it") as sound:
        num_samples = 0
        while num_samples < 3 * sound.sample_rate:
            num_samples += len(next(sound.blocks))
        go_on.set()
        num_samples += sum(map(len, sound.blocks))
    sender.join()
    assert num_samples / sound.sample_rate == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty \\(0 bytes\\)"),
        (b"no audio " * 1000, "not audio that can be decoded"),
        (b"RIFF", "not audio"),
        (encoded("wav")[:30], "not audio"),
        (encoded("wav")[:44], "not audio"),
        (encoded("mp3")[:60], "not audio"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hosts\n", "not audio"),
    ],
)
def test_what_holds_no_sound_is_said(data: bytes, reason: str, piped) -> None:
    with pytest.raises(ValueError, match=reason) as caught, opened(piped(data), "it"):
        pass
    assert "\n" not in str(caught.value)


def test_a_playlist_opens_no_file(piped, tmp_path: Path) -> None:
    """What comes from strangers must not make the machine read what lies on it."""
    soundfile.write(tmp_path / "secret.wav", np.full(RATE, 0.5), RATE)
    for name in (f"file:{tmp_path}/secret.wav", f"{tmp_path}/secret.wav"):
        lists = (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile '{name}'\n",
        )
        for text in lists:
            with pytest.raises(ValueError, match="not audio"), opened(piped(text.encode()), "it"):
                pass


def test_a_video_without_sound_is_said(piped) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        output.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        output.mux(stream.encode(None))
    with pytest.raises(ValueError, match="no audio stream"), opened(piped(file.getvalue()), "it"):
        pass


def test_bytes_that_are_lost_on_the_way_do_not_end_it(
    piped, caplog: pytest.LogCaptureFixture
) -> None:
    """They are left out, and that is said once."""
    data = bytearray(encoded("aac", 8.0))
    damaged = len(data) // 2
    data[damaged : damaged + 2_000] = b"\x5a" * 2_000
    with caplog.at_level(logging.WARNING, "sed"), opened(piped(bytes(data)), "it") as sound:
        seconds = sum(map(len, sound.blocks)) / sound.sample_rate
    assert 5.0 < seconds < 8.1
    assert len(caplog.messages) == 1 and "it is damaged after" in caplog.text


def test_another_rate_in_the_middle_is_said_with_its_time(piped) -> None:
    quick = KINDS["mp3"]
    first = encoded("mp3")
    KINDS["mp3"] = (quick[0], quick[1], 44_100)
    try:
        second = encoded("mp3")
    finally:
        KINDS["mp3"] = quick
    with opened(piped(first + second), "it") as sound:
        with pytest.raises(ValueError, match=r"it changes its sample rate .* after 4\.\d+ s"):
            for _ in sound.blocks:
                pass


def test_whatever_keeps_it_from_being_read_comes_through(piped) -> None:
    """libav swallows Ctrl-C and goes on to read."""

    class Interrupted:
        def __init__(self, data: bytes, num_reads: int) -> None:
            self._file, self._left = io.BytesIO(data), num_reads

        def read1(self, size: int) -> bytes:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
            return self._file.read1(min(size, 2_000))

    data = encoded("wav")
    for num_reads in (0, 1, 5):
        with pytest.raises(KeyboardInterrupt), opened(Interrupted(data, num_reads), "it"):
            pass
    with opened(Interrupted(data, 50), "it") as sound, pytest.raises(KeyboardInterrupt):
        for _ in sound.blocks:
            pass
