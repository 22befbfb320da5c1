"""Recordings: every format and damage, exact lengths, seamless resampling, bounded memory."""

from __future__ import annotations

import logging
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sed import decoders
from sed.audio import AUDIO_SUFFIXES, Recording, find_recordings, is_audio
from sed.resampling import Resampler

RATE = 16_000


def tone(seconds: float = 1.0, sample_rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    """(num_samples,) sine of half amplitude."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def encode(
    path: Path, codec: str, *, seconds: float = 2.0, sample_rate: int = RATE, video: bool = False
) -> Path:
    """File with a tone, written by PyAV."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate, layout="mono")
        stream.bit_rate = 12_200 if "amr" in codec else 64_000
        if video:
            pictures = container.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 32
            pictures.pix_fmt = "yuv420p"
            for _ in range(round(10 * seconds)):
                picture = av.VideoFrame(32, 32, "yuv420p")
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        samples = tone(seconds, sample_rate)
        for start in range(0, len(samples), 1000):
            block = samples[None, start : start + 1000]
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_wav(path: Path, samples: np.ndarray, sample_rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, sample_rate, **options)
    return path


def read_in_blocks(
    recording: Recording, sample_rate: int, duration: float = 0.37
) -> tuple[np.ndarray, list[int]]:
    """All samples, and the lengths of the blocks that they came in."""
    blocks = list(recording.blocks(sample_rate=sample_rate, duration=duration))
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    return np.concatenate(blocks), [len(block) for block in blocks]


def assert_one_line(error: BaseException, *parts: object) -> None:
    """A message is one line and names all parts."""
    message = str(error)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, message


# formats


SOUNDFILE_FORMATS = [
    *[("wav", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
    *[("wav", subtype) for subtype in ("ALAW", "ULAW", "IMA_ADPCM")],
    *[("flac", "PCM_16"), ("ogg", "VORBIS"), ("ogg", "OPUS"), ("aiff", "PCM_16"), ("au", "ULAW")],
    *[("w64", "PCM_16"), ("caf", "PCM_16"), ("mp3", "MPEG_LAYER_III")],
]


@pytest.mark.parametrize(("suffix", "subtype"), SOUNDFILE_FORMATS)
def test_soundfile_formats_give_the_tone_and_exact_lengths(
    tmp_path: Path, suffix: str, subtype: str
) -> None:
    path = write_wav(tmp_path / f"a.{suffix}", tone(1.5), subtype=subtype)
    recording = Recording.open(path)
    assert (recording.sample_rate, recording.num_channels, recording.channel) == (RATE, 1, None)
    samples, _ = read_in_blocks(recording, RATE)
    assert len(samples) == recording.num_samples(RATE) == round(recording.duration * RATE)
    assert recording.duration == pytest.approx(1.5, abs=0.1)
    middle = samples[4000:20000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) == 440
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.06)


AV_FORMATS = [
    ("m4a", "aac", 16_000, False),
    ("mp4", "aac", 16_000, True),
    ("mkv", "pcm_s16le", 16_000, True),
    ("mov", "alac", 16_000, False),
    ("webm", "libopus", 48_000, False),
    ("aac", "aac", 16_000, False),
    ("wma", "wmav2", 44_100, False),
    ("mp2", "mp2", 16_000, False),
    ("mka", "ac3", 44_100, False),
    ("amr", "libopencore_amrnb", 8_000, False),
    ("3gp", "libopencore_amrnb", 8_000, False),
    ("avi", "libmp3lame", 16_000, True),
]


@pytest.mark.parametrize(("suffix", "codec", "sample_rate", "video"), AV_FORMATS)
def test_other_formats_and_videos_give_the_tone_and_exact_lengths(
    tmp_path: Path, suffix: str, codec: str, sample_rate: int, video: bool
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this libav has no {codec} encoder")
    path = tmp_path / f"a.{suffix}"
    recording = Recording.open(encode(path, codec, sample_rate=sample_rate, video=video))
    assert (recording.sample_rate, recording.num_channels) == (sample_rate, 1)
    for rate in (sample_rate, 16_000):
        samples, _ = read_in_blocks(recording, rate)
        assert len(samples) == recording.num_samples(rate)
        again, _ = read_in_blocks(recording, rate, duration=30)
        assert np.array_equal(samples, again)
    assert recording.duration == pytest.approx(2, abs=0.15)
    middle = samples[8000:24000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) == 440
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.06)


def test_mp3_without_xing_header_has_its_true_length(tmp_path: Path) -> None:
    """libsndfile guesses 81 456 samples where 81 216 can be decoded."""
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(5)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    recording = Recording.open(path)
    assert len(recording.samples(RATE)) == recording.num_samples(RATE)
    assert recording.duration == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_wav_from_a_pipe_without_sizes_is_read_whole(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(2), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    samples = Recording.open(path).samples(RATE)
    assert len(samples) == 2 * RATE
    assert np.abs(samples - tone(2)).max() < 1e-4
    assert not caplog.records


def test_wav_shorter_than_its_header_is_read_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(2), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 2 * RATE])
    with caplog.at_level(logging.WARNING, logger="sed"):
        recording = Recording.open(path)
    assert recording.duration == 1
    assert len(recording.samples(RATE)) == RATE
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is shorter than its header says; reading 1.000 s"
    ]


def test_flac_from_a_pipe_without_length_is_read_whole(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.flac", tone(2))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert len(Recording.open(path).samples(RATE)) == 2 * RATE


# channels


def test_mix_is_the_mean_and_split_gives_each_channel(tmp_path: Path) -> None:
    channels = np.stack([tone(frequency=200 * (i + 1)) for i in range(10)])
    recording = Recording.open(write_wav(tmp_path / "a.wav", channels.T, subtype="FLOAT"))
    assert recording.num_channels == 10
    assert np.allclose(recording.samples(RATE), channels.mean(axis=0), atol=1e-6)
    sides = recording.split()
    assert [side.channel for side in sides] == list(range(1, 11))
    for side, channel in zip(sides, channels, strict=True):
        assert np.array_equal(side.samples(RATE), channel)
    assert np.array_equal(Recording.open(tmp_path / "a.wav", channel=3).samples(RATE), channels[2])


@pytest.mark.parametrize(("codec", "planar"), [("pcm_s16le", False), ("alac", True)])
def test_channels_of_packed_and_planar_codecs_stay_apart(
    tmp_path: Path, codec: str, planar: bool
) -> None:
    path = tmp_path / "a.mov"
    channels = np.stack([tone(frequency=300), tone(frequency=500)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert next(container.decode(audio=0)).format.is_planar == planar
    for side, channel in zip(Recording.open(path).split(), channels, strict=True):
        assert np.allclose(side.samples(RATE)[:RATE], channel, atol=1e-4)


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_absent_channel_is_refused_with_the_choices(tmp_path: Path, channel: int) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros((10, 2)))
    with pytest.raises(ValueError, match="has 2 channels; choose mix, 1 or 2") as caught:
        Recording.open(path, channel=channel)
    assert_one_line(caught.value, path, channel)
    with pytest.raises(ValueError, match="has 1 channel; choose mix or 1, not 7"):
        Recording.from_samples(np.zeros(9), RATE, channel=7)


# resampling


@pytest.mark.parametrize(
    ("orig_rate", "new_rate"),
    [
        *[(44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (11_025, 16_000), (22_050, 16_000)],
        *[(44_100, 22_050), (192_000, 16_000), (16_000, 44_100), (11_128, 16_000), (4_000, 16_000)],
    ],
)
def test_resampling_equals_torchaudio(orig_rate: int, new_rate: int) -> None:
    """In double precision: in single precision torchaudio's own filter is off by up to 3e-4."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchaudio.functional")
    samples = np.random.default_rng(0).uniform(-1, 1, orig_rate + 17).astype(np.float32)
    expected = functional.resample(torch.from_numpy(samples).double(), orig_rate, new_rate).numpy()
    resampled = Recording.from_samples(samples, orig_rate).samples(new_rate)
    assert resampled.shape == expected.shape
    assert np.abs(resampled - expected).max() < 1e-6


RATES = st.sampled_from([4_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])


@settings(max_examples=60, deadline=None)
@given(
    orig_rate=RATES | st.integers(4_000, 60_000),
    new_rate=RATES,
    num_samples=st.integers(1, 30_000),
    duration=st.floats(0.01, 5),
)
def test_blocks_equal_the_whole_for_any_size_and_rate(
    orig_rate: int, new_rate: int, num_samples: int, duration: float
) -> None:
    samples = np.random.default_rng(num_samples).uniform(-1, 1, num_samples)
    recording = Recording.from_samples(samples, orig_rate)
    whole = recording.samples(new_rate)
    blocks, lengths = read_in_blocks(recording, new_rate, duration)
    assert np.array_equal(blocks, whole)
    assert len(whole) == recording.num_samples(new_rate) == -(-num_samples * new_rate // orig_rate)
    assert set(lengths[:-1]) <= {max(1, round(duration * new_rate))}


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 300_000), max_size=8), new_rate=st.sampled_from([16_000, 8_000])
)
def test_resampling_is_the_same_however_its_input_is_cut(cuts: list[int], new_rate: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 300_000).astype(np.float32)
    resampler = Resampler(44_100, new_rate)
    whole = np.concatenate(list(resampler([samples])))
    pieces = np.concatenate(list(resampler(np.split(samples, sorted(cuts)))))
    assert np.array_equal(pieces, whole)


def test_resampling_keeps_ones_and_removes_what_the_new_rate_cannot_hold() -> None:
    level = Recording.from_samples(np.ones(44_100), 44_100).samples(16_000)
    assert np.allclose(level[50:-50], 1, atol=2e-3)
    high = Recording.from_samples(tone(1, 44_100, frequency=12_000), 44_100).samples(16_000)
    assert np.abs(high[50:-50]).max() < 2e-3


@pytest.mark.parametrize("rate", [0, -16_000])
def test_rates_and_durations_that_are_not_positive_are_refused(rate: int) -> None:
    recording = Recording.from_samples(np.zeros(10), RATE)
    with pytest.raises(ValueError, match="give a sample rate above 0"):
        recording.samples(rate)
    with pytest.raises(ValueError, match="give a duration above 0"):
        recording.blocks(sample_rate=RATE, duration=rate)


# edges that must work


@pytest.mark.parametrize("num_samples", [1, 2, 480_000])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 192_000])
def test_one_sample_and_silence_and_high_rates_work(
    tmp_path: Path, num_samples: int, sample_rate: int
) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(num_samples), sample_rate)
    samples, _ = read_in_blocks(Recording.open(path), RATE)
    assert len(samples) == -(-num_samples * RATE // sample_rate)
    assert not samples.any()


def test_names_with_spaces_and_other_scripts_make_a_uri_without_white_space(
    tmp_path: Path,
) -> None:
    path = write_wav(tmp_path / "Anruf  vom 3. März 山.wav", tone())
    recording = Recording.open(path)
    assert recording.uri == "Anruf_vom_3._März_山"
    assert Recording.open(str(path), uri="a b").uri == "a_b"
    assert len(recording.samples(RATE)) == RATE
    video = encode(tmp_path / "été 山.m4a", "aac")
    assert len(Recording.open(video).samples(RATE)) > RATE


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_name_that_is_not_unicode_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / os.fsdecode(b"M\xe4rz." + suffix.encode())
    write_wav(tmp_path / f"a.{suffix}", tone()).rename(path)
    assert len(Recording.open(path).samples(RATE)) >= RATE


def test_a_name_that_looks_like_a_protocol_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(tmp_path / "a.m4a", "aac").rename(tmp_path / "concat:a|b.m4a")
    monkeypatch.chdir(tmp_path)
    assert Recording.open("concat:a|b.m4a").duration == pytest.approx(2, abs=0.15)


def test_from_samples_copies_scales_integers_and_takes_channels() -> None:
    samples = np.array([[16_384, 0], [0, 0]], dtype=np.int16)
    recording = Recording.from_samples(samples, RATE)
    samples[:] = 1
    assert recording.samples(RATE).tolist() == [0.25, 0]
    assert (recording.uri, recording.num_channels) == ("recording", 2)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.array(["a"]), "give floats"),
        (np.zeros((16_000, 2)), "16000 channels"),
        (np.zeros(0), "holds no samples"),
        (np.zeros((2, 0)), "holds no samples"),
    ],
)
def test_from_samples_refuses_what_is_no_recording(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recording.from_samples(samples, RATE)
    with pytest.raises(ValueError, match="whole number"):
        Recording.from_samples(np.zeros(3), 16_000.5)  # type: ignore[arg-type]


def test_equality_is_that_of_file_channel_and_uri(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros((10, 2)))
    recording = Recording.open(path)
    assert recording == Recording.open(path)
    assert hash(recording) == hash(Recording.open(path))
    assert pickle.loads(pickle.dumps(recording)) == recording
    assert recording != recording.split()[0]
    assert recording.split()[0] == Recording.open(path, channel=1)
    in_memory = Recording.from_samples(np.zeros(3), RATE)
    assert in_memory == in_memory
    assert in_memory != Recording.from_samples(np.zeros(3), RATE)
    assert len({recording, Recording.open(path), in_memory}) == 2


# transforms


def test_transforms_see_the_stream_at_its_new_rate_and_follow_each_other() -> None:
    seen = []

    def note(blocks, sample_rate):
        seen.append(sample_rate)
        for block in blocks:
            yield block + 1

    def regroup(blocks, sample_rate):
        whole = 2 * np.concatenate(list(blocks))
        yield whole[:1]
        yield whole[1:]

    recording = Recording.from_samples(np.zeros((2, 8_000)), 8_000).through(note).through(regroup)
    samples, lengths = read_in_blocks(recording, 16_000, duration=0.3)
    assert samples.tolist() == [2] * 16_000
    assert lengths == [4_800, 4_800, 4_800, 1_600]
    assert seen == [16_000]
    assert recording.split()[0].samples(8_000).tolist() == [2] * 8_000


def shorten(blocks, sample_rate):
    for block in blocks:
        yield block[:-1]


def lengthen(blocks, sample_rate):
    yield from blocks
    yield np.zeros(1)


def spoil(blocks, sample_rate):
    for block in blocks:
        yield np.where(np.arange(len(block)) == 4_000, np.nan, block)


@pytest.mark.parametrize(
    ("transform", "message"),
    [(shorten, "7999 samples"), (lengthen, "8001 samples"), (spoil, "nan at 0.500 s")],
)
def test_transforms_that_change_the_length_or_spoil_are_named(transform, message: str) -> None:
    recording = Recording.from_samples(np.zeros(8_000), 8_000, uri="call").through(transform)
    with pytest.raises(ValueError, match=message) as caught:
        recording.samples(8_000)
    assert_one_line(caught.value, "call", transform.__name__)


# what must be refused


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist") as missing:
        Recording.open(tmp_path / "a.wav")
    assert_one_line(missing.value, tmp_path / "a.wav")
    with pytest.raises(IsADirectoryError, match="is a folder") as folder:
        Recording.open(tmp_path)
    assert_one_line(folder.value, tmp_path)


@pytest.mark.usefixtures("permissions")
def test_forbidden_file_is_named(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone())
    path.chmod(0)
    with pytest.raises(PermissionError, match="must not be read") as caught:
        Recording.open(path)
    assert_one_line(caught.value, path)


def test_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="save it as a file"):
        Recording.open(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "flac", "txt"])
@pytest.mark.parametrize("content", [b"", b"call me at nine\n" * 99, b"RIFF", b"\0" * 999])
def test_what_is_no_audio_is_refused_in_one_line(
    tmp_path: Path, suffix: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="; ") as caught:
        Recording.open(path)
    assert_one_line(caught.value, path, "" if content else "empty (0 bytes)")
    assert type(caught.value) is decoders.NotAudioError
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [4, 20, 40, 43, 44])
def test_truncated_header_is_refused(tmp_path: Path, length: int) -> None:
    path = write_wav(tmp_path / "a.wav", tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="not audio|holds no samples") as caught:
        Recording.open(path)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_what_is_longer_than_allowed_is_refused_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    if name == "a.wav":
        soundfile.write(path, tone(60.0), RATE)
    else:
        encode(path, "libmp3lame", seconds=60.0)
    counted: list[int] = []
    decode = decoders._decode
    monkeypatch.setattr(
        decoders,
        "_decode",
        lambda *arguments, **options: (
            counted.append(frame.samples) or frame for frame in decode(*arguments, **options)
        ),
    )
    with pytest.raises(decoders.TooLongError, match=r"a\.\w+ is longer than 0.005 hours"):
        Recording.open(path, max_duration=18.0)
    assert sum(counted) < 19 * RATE
    assert 60.0 <= Recording.open(path, max_duration=61.0).duration < 60.2


@pytest.mark.parametrize("suffix", ["wav", "aiff", "w64"])
def test_no_samples_are_refused(tmp_path: Path, suffix: str) -> None:
    path = write_wav(tmp_path / f"a.{suffix}", np.zeros(0))
    with pytest.raises(ValueError, match="no samples|not audio") as caught:
        Recording.open(path)
    assert_one_line(caught.value, path)


def test_video_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        container.mux(pictures.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(pictures.encode(None))
    with pytest.raises(ValueError, match="no audio stream") as caught:
        Recording.open(path)
    assert_one_line(caught.value, path)


def test_low_sample_rate_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(), 1_000)
    with pytest.raises(
        ValueError, match="1000 Hz, too low for speech; record at 8000 Hz"
    ) as caught:
        Recording.open(path)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_samples_that_are_not_finite_are_refused_with_their_time(
    tmp_path: Path, value: float, num_channels: int
) -> None:
    samples = np.zeros((10 * RATE, num_channels))
    samples[7 * RATE] = value
    if num_channels == 2 and value == np.inf:
        samples[7 * RATE, 1] = -np.inf
    path = write_wav(tmp_path / "a.wav", samples, subtype="DOUBLE")
    with pytest.raises(ValueError, match=r"holds -?(nan|inf) at 7\.000 s") as caught:
        Recording.open(path).samples(RATE)
    assert_one_line(caught.value, path)


def test_loud_but_finite_samples_are_read() -> None:
    """Their sum overflows, they do not."""
    recording = Recording.from_samples(np.full(100, 3e38), RATE)
    assert np.isfinite(recording.samples(RATE)).all()


@pytest.mark.parametrize("cut", [False, True])
def test_flac_damaged_in_the_middle_says_after_how_many_seconds(tmp_path: Path, cut: bool) -> None:
    path = write_wav(tmp_path / "a.flac", np.random.default_rng(0).uniform(-1, 1, 10 * RATE))
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    if cut:
        del content[half:]
    else:
        content[half : half + 3_000] = bytes(3_000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"after [45]\.\d\d\d s") as caught:
        Recording.open(path).samples(RATE)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("aac", "aac"), ("mp3", "mp3")])
def test_compressed_file_damaged_in_the_middle_says_after_how_many_seconds(
    tmp_path: Path, suffix: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    codec = "libmp3lame" if codec == "mp3" else codec
    path = encode(tmp_path / f"a.{suffix}", codec, seconds=10)
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 3_000] = np.random.default_rng(0).bytes(3_000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged after [3456]\.\d\d\d s") as caught:
        Recording.open(path).samples(RATE)
    assert_one_line(caught.value, path)
    assert type(caught.value) is ValueError
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("suffix", "codec"), [("aac", "aac"), ("mp3", "libmp3lame")])
def test_recorder_that_lost_power_gives_what_is_there(
    tmp_path: Path, suffix: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A last packet cut in two does not cost the ten hours before it."""
    path = encode(tmp_path / f"a.{suffix}", codec, seconds=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 7])
    with caplog.at_level(logging.WARNING, logger="sed"):
        recording = Recording.open(path)
        assert recording.duration == pytest.approx(5, abs=0.3)
        assert len(recording.samples(RATE)) == recording.num_samples(RATE)
    # told once, at opening; libav's mp3 reader drops the piece without a word
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (suffix == "aac")
    assert all(f"{path} breaks off after" in message for message in messages)


def test_truncated_ogg_gives_what_is_there(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.ogg", np.random.default_rng(0).uniform(-1, 1, 10 * RATE))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    recording = Recording.open(path)
    assert recording.duration == pytest.approx(5, abs=1)
    assert len(recording.samples(RATE)) == recording.num_samples(RATE)


def test_file_that_changes_after_it_was_opened_is_noticed(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(2))
    recording = Recording.open(path)
    write_wav(path, tone(1))
    with pytest.raises(ValueError, match=r"ends after 1\.000 s where 2\.000 s are promised"):
        recording.samples(RATE)
    write_wav(path, tone(3))
    with pytest.raises(ValueError, match="has changed since it was opened"):
        recording.samples(RATE)
    write_wav(path, np.zeros((2 * RATE, 2)))
    with pytest.raises(ValueError, match="has changed since it was opened"):
        recording.samples(RATE)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damage_of_any_kind_gives_one_line_or_exact_lengths(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """PyAV's and libsndfile's own errors never leak."""
    folder = tmp_path_factory.getbasetemp() / "damage"
    if not folder.is_dir():
        folder.mkdir()
        for suffix in ("wav", "flac", "ogg", "aiff"):
            write_wav(folder / f"a.{suffix}", tone(0.5))
        for suffix, codec in (("m4a", "aac"), ("mkv", "flac"), ("mp3", "libmp3lame")):
            encode(folder / f"a.{suffix}", codec, seconds=0.5)
    suffix = data.draw(st.sampled_from(["wav", "flac", "ogg", "aiff", "m4a", "mkv", "mp3"]))
    content = bytearray((folder / f"a.{suffix}").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        spot = data.draw(st.integers(0, len(content) - 1))
        content[spot] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    path = folder / f"damaged.{suffix}"
    path.write_bytes(content)
    try:
        recording = Recording.open(path)
        num_samples = sum(len(block) for block in recording.blocks(sample_rate=16_000))
    except ValueError as error:
        assert type(error) in (ValueError, decoders.NotAudioError)
        assert_one_line(error, path)
    else:
        assert num_samples == recording.num_samples(16_000)


# cost


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Six minutes of stereo are 127 MB of floats; a block of 30 s at 16 kHz is 2 MB."""
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(0).integers(-999, 999, (60 * 44_100, 2)).astype(np.int16)
    with soundfile.SoundFile(path, "w", 44_100, 2) as file:
        for _ in range(6):
            file.write(noise)
    del noise
    recording = Recording.open(path)
    next(recording.blocks(sample_rate=16_000))  # filters
    tracemalloc.start()
    num_samples = sum(len(block) for block in recording.blocks(sample_rate=16_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert num_samples == recording.num_samples(16_000) == 360 * 16_000
    assert peak < 8e6


def test_memory_does_not_grow_with_what_pyav_decodes(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", "pcm_s16le", seconds=240, sample_rate=48_000)
    tracemalloc.start()
    recording = Recording.open(path)
    num_samples = sum(len(block) for block in recording.blocks(sample_rate=16_000, duration=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert num_samples == 240 * 16_000
    assert peak < 8e6


def test_coprime_rates_need_little_memory() -> None:
    """torchaudio's filters for 44 101 to 16 000 Hz take 2.8 GB."""
    tracemalloc.start()
    Recording.from_samples(np.zeros(44_101), 44_101).samples(16_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6


def test_reading_a_wav_imports_neither_torch_nor_av(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(), 44_100)
    program = (
        "import sys; from sed.audio import Recording; early = 'soundfile' in sys.modules;"
        f"Recording.open({str(path)!r}).samples(16_000);"
        "print(early, [name for name in ('av', 'torch', 'torchaudio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False []"


# folders


def test_folders_are_searched_in_order_and_by_what_can_be_decoded(tmp_path: Path) -> None:
    names = ["b.wav", "a/z.MP4", "a/y.flac", "c/d/e.opus", "a.txt", "c/x.rttm"]
    hidden = [".h.wav", ".hidden/a.wav", "a/._y.flac"]
    for name in (*names, *hidden):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_recordings(tmp_path)]
    assert found == ["a/y.flac", "a/z.MP4", "b.wav", "c/d/e.opus"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.wav").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "corpus")
    (tmp_path / "corpus" / "up").symlink_to(tmp_path / "here")
    assert list(find_recordings(tmp_path / "here")) == [tmp_path / "here" / "link" / "a.wav"]


def test_searching_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        next(find_recordings(tmp_path / "absent"))


def test_endings_are_lower_case_and_known(tmp_path: Path) -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)
    assert {f".{suffix}" for suffix, *_ in (*SOUNDFILE_FORMATS, *AV_FORMATS)} <= AUDIO_SUFFIXES
    assert is_audio("a.Flac") and not is_audio("wav") and not is_audio(tmp_path)


# real recordings


def test_a_real_recording_reads_in_blocks_as_whole(shared: Path) -> None:
    path = shared / "corpora/conversational/ami_pyannote_debug/dev00.flac"
    recording = Recording.open(path)
    expected, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples, _ = read_in_blocks(recording, sample_rate)
    assert np.allclose(samples, expected.mean(axis=1), atol=1e-6)
