"""Voice activity detection: parity with Silero's own loop, robust levels, tolerant oracles."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Segment, Timeline

from sed.audio import Recording
from sed.vad import VAD, VADS, Energy, Everything, Oracle, Silero, vad_named

RATE = 16_000


def recording_of(samples: np.ndarray, uri: str = "call") -> Recording:
    return Recording.from_samples(samples.astype(np.float32), RATE, uri=uri)


def silero_loop(samples: np.ndarray) -> np.ndarray:
    """Probabilities by the package's own loop, one chunk after the other."""
    import torch
    from silero_vad import load_silero_vad

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the package's TorchScript
            return load_silero_vad().audio_forward(torch.from_numpy(samples)[None], RATE)[0].numpy()
    finally:
        torch.set_num_threads(num_threads)


def syllables(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Harmonics that come and go four times a second: enough to move Silero's LSTM."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (np.sin(2 * np.pi * 0.1 * time) > 0)
    return (0.1 * voice * envelope + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


def bursts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise at -60 dBFS with bursts at -20 dBFS, and where the bursts are, in frames of 20 ms."""
    loud = np.zeros(1000, dtype=bool)
    for onset in range(50, 1000, 200):
        loud[onset : onset + 80] = True
    level = np.where(loud, 0.1, 0.001)
    return np.repeat(level, 320) * rng.standard_normal(320_000), loud


def test_silero_gives_the_probabilities_of_its_own_loop_across_blocks(
    rng: np.random.Generator,
) -> None:
    samples = syllables(rng, 65.01)  # two block boundaries, neither on a chunk, and a partial chunk
    expected = silero_loop(samples)
    assert expected.max() > 0.5 > expected.min()
    scores = Silero()(recording_of(samples)).data[:, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("folder", ["conversational", "noise_rir"])
def test_silero_gives_the_probabilities_of_its_own_loop_on_real_audio(
    shared: Path, folder: str
) -> None:
    files = sorted((shared / "corpora" / folder).rglob("*.flac"))
    if not files:
        pytest.skip(f"no flac files in {folder}")
    for path in files[:: max(1, len(files) // 4)]:
        samples = Recording.open(path).samples(RATE)[: 20 * RATE]
        scores = Silero()(recording_of(samples)).data[:, 0]
        np.testing.assert_allclose(scores, silero_loop(samples), atol=1e-4, rtol=0)


def test_silero_starts_afresh_with_every_recording(rng: np.random.Generator) -> None:
    vad, recording = Silero(), recording_of(syllables(rng, 3.0))
    np.testing.assert_array_equal(vad(recording).data, vad(recording).data)


def test_silero_serves_several_threads_at_once(rng: np.random.Generator) -> None:
    """As a service does: no state of one recording in another, and the thread count as before."""
    import torch

    num_threads = torch.get_num_threads()
    vad, recordings = Silero(), [recording_of(syllables(rng, 31 + i)) for i in range(3)]
    alone = [vad(recording).data for recording in recordings]
    with ThreadPoolExecutor(3) as pool:
        together = [scores.data for scores in pool.map(vad, recordings)]
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    assert torch.get_num_threads() == num_threads


def test_silero_leaves_the_thread_count_and_imports_nothing_early() -> None:
    """In a process of its own, since the package's import is what sets the count."""
    program = """
import sys, numpy as np
import sed.vad
assert not {"torch", "silero_vad"} & set(sys.modules), "heavy import"
import torch
torch.set_num_threads(3)
from sed.audio import Recording
sed.vad.Silero()(Recording.from_samples(np.zeros(1600, dtype=np.float32), 16000, uri="x"))
assert "silero_vad" in sys.modules and torch.get_num_threads() == 3, torch.get_num_threads()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("vad", [Silero(), Energy()], ids=["silero", "energy"])
def test_silence_is_no_speech(vad: VAD) -> None:
    assert vad(recording_of(np.zeros(3 * RATE))).data.max() < 0.5


@pytest.mark.parametrize("name", VADS)
@pytest.mark.parametrize("num_samples", [1, 300, 511, 512, 513, 1600, 481_000])
def test_scores_cover_the_recording_from_its_first_sample(name: str, num_samples: int) -> None:
    scores = vad_named(name)(recording_of(np.full(num_samples, 0.1)))
    window = scores.sliding_window
    assert window.start == 0 and window.duration == window.step
    assert scores.data.shape == (-(-num_samples // round(window.step * RATE)), 1)
    assert np.all((scores.data >= 0) & (scores.data <= 1))


@pytest.mark.parametrize("vad", [Silero(), Energy()], ids=["silero", "energy"])
def test_memory_does_not_grow_with_the_recording(vad: VAD) -> None:
    """Beyond the scores; numpy's share, in which a copy of the samples would show at once."""

    def peak(seconds: int) -> int:
        recording = recording_of(np.zeros(seconds * RATE))
        tracemalloc.start()
        vad(recording)
        _, size = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    peak(1)
    assert peak(300) < peak(90) + 1_000_000  # 210 s of samples are 13 MB


@pytest.mark.parametrize("gain", [1.0, 0.05])
def test_energy_finds_bursts_at_any_level(rng: np.random.Generator, gain: float) -> None:
    samples, loud = bursts(rng)
    scores = Energy()(recording_of(gain * samples)).data[:, 0]
    assert np.array_equal(scores > 0.5, loud)


def test_energy_does_not_hear_an_offset(rng: np.random.Generator) -> None:
    samples, loud = bursts(rng)
    scores = Energy()(recording_of(samples + 0.2)).data[:, 0]
    assert np.array_equal(scores > 0.5, loud)


def test_energy_follows_a_noise_floor_that_rises(rng: np.random.Generator) -> None:
    """Noise of the second minute is as loud as the bursts of the first, and is no speech."""
    samples, loud = bursts(rng)
    noise = np.concatenate((samples, samples, samples, 10 * samples, 10 * samples, 10 * samples))
    scores = Energy(dynamic=60)(recording_of(noise / 10)).data[:, 0]
    assert np.array_equal(scores[:2000] > 0.5, np.tile(loud, 2))
    assert np.array_equal(scores[-2000:] > 0.5, np.tile(loud, 2))


def test_energy_hears_nothing_in_steady_noise(rng: np.random.Generator) -> None:
    noise = 0.01 * rng.standard_normal(40 * RATE)
    assert Energy()(recording_of(noise)).data.max() < 0.5


def test_energy_hears_the_quietest_clips_of_ravdess(shared: Path) -> None:
    """Some clips of this actor lie below -60 dBFS as a whole."""
    files = sorted((shared / "corpora" / "ravdess" / "Actor_09").glob("*-04-01-01-01-09.flac"))
    if not files:
        pytest.skip("RAVDESS's Actor_09 is not there")
    recording = Recording.open(files[0])
    assert 10 * np.log10(np.mean(recording.samples(RATE) ** 2)) < -60
    assert 0.2 < (Energy()(recording).data > 0.5).mean() < 0.8


@pytest.mark.parametrize("settings", [{"context": 0.0}, {"softness": -1.0}])
def test_energy_refuses_settings_without_meaning(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Energy(**settings)


def test_oracle_takes_speaker_turns_whatever_their_labels(tmp_path: Path) -> None:
    """Overlapping turns, and two speakers with the very same turn, are speech once."""
    path = tmp_path / "turns.rttm"
    path.write_text(
        "SPEAKER call 1 0.100 0.200 <NA> <NA> MEE068 <NA> <NA>\n"
        "SPEAKER call 1 0.100 0.200 <NA> <NA> MÉO069 <NA> <NA>\n"
        "SPEAKER call 1 0.250 0.150 <NA> <NA> a <NA> <NA>\n"
        "SPEAKER other 1 0.000 9.000 <NA> <NA> a <NA> <NA>\n",
        encoding="utf-8",
    )
    scores = Oracle.from_file(path)(recording_of(np.zeros(RATE))).data[:, 0]
    assert np.array_equal(np.flatnonzero(scores), np.arange(10, 40))
    assert set(scores) == {0, 1}


def test_oracle_takes_a_uem(tmp_path: Path) -> None:
    path = tmp_path / "regions.uem"
    path.write_text("call 1 0.5 7.0\n")
    scores = Oracle.from_file(path)(recording_of(np.zeros(RATE))).data[:, 0]
    assert np.array_equal(np.flatnonzero(scores), np.arange(50, 100))


def test_oracle_unites_timelines_of_one_recording() -> None:
    channels = [Timeline([Segment(0, 0.1)], uri="call"), Timeline([Segment(0.2, 0.3)], uri="call")]
    scores = Oracle(channels)(recording_of(np.zeros(RATE))).data
    assert scores.sum() == 20


def test_oracle_tells_the_channels_of_a_call_apart(tmp_path: Path) -> None:
    path = tmp_path / "call.rttm"
    path.write_text(
        "SPEAKER call 1 0.0 0.1 <NA> <NA> agent <NA> <NA>\n"
        "SPEAKER call 2 0.2 0.2 <NA> <NA> customer <NA> <NA>\n"
    )
    oracle = Oracle.from_file(path)
    call = Recording.from_samples(np.zeros((2, RATE), dtype=np.float32), RATE, uri="call")
    agent, customer = (oracle(side).data[:, 0] for side in call.split())
    assert np.array_equal(np.flatnonzero(agent), np.arange(0, 10))
    assert np.array_equal(np.flatnonzero(customer), np.arange(20, 40))
    assert np.array_equal(oracle(call).data[:, 0], agent + customer)


def test_oracle_gives_a_silent_channel_no_speech_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "call.rttm"
    path.write_text("SPEAKER call 2 0.2 0.2 <NA> <NA> customer <NA> <NA>\n")
    call = Recording.from_samples(np.zeros((2, RATE), dtype=np.float32), RATE, uri="call")
    assert [Oracle.from_file(path)(side).data.sum() for side in call.split()] == [0, 20]


def test_oracle_refuses_a_recording_that_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "regions.uem"
    path.write_text("call 1 0.5 7.0\n")
    with pytest.raises(ValueError, match=r"regions\.uem.*'dial'.*'call'"):
        Oracle.from_file(path)(recording_of(np.zeros(RATE), uri="dial"))


def test_oracle_reads_the_turns_of_a_real_meeting(shared: Path) -> None:
    folder = shared / "corpora" / "conversational" / "ami_pyannote_debug"
    oracle = Oracle.from_file(folder / "ami_debug.rttm")
    recording = Recording.open(next(folder.glob("trn00*")))
    scores = oracle(recording_of(recording.samples(RATE), uri="trn00")).data
    speech = oracle.timelines["trn00"].support().duration()
    assert scores.sum() * 0.01 == pytest.approx(speech, abs=0.3)


def test_everything_is_speech_where_nothing_is_detected() -> None:
    assert np.all(Everything()(recording_of(np.zeros(RATE))).data == 1)


@pytest.mark.parametrize(
    "vad",
    [Silero(), Energy(), Everything(), Oracle([Timeline(uri="call")])],
    ids=["silero", "energy", "none", "oracle"],
)
def test_hook_is_told_seconds_up_to_the_duration(vad: VAD) -> None:
    told: list[tuple[float, float]] = []

    def hook(
        step: str, artifact: object, completed: float | None = None, total: float | None = None
    ) -> None:
        assert step == "speech" and artifact is None
        assert completed is not None and total is not None
        told.append((completed, total))

    vad(recording_of(np.zeros(35 * RATE)), hook=hook)
    assert told == sorted(told) and told[-1] == (35.0, 35.0)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'webrtc'.*silero, energy, none"):
        vad_named("webrtc")
