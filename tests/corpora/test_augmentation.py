"""Augmentation: each change is as large as its setting says, and nothing else changes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sed.corpora.augmentation import MAX_SOUND, Augmentation, Sounds, in_room

RATE = 16_000
NOTHING: dict[str, Any] = {"noise_probability": 0.0, "colour": 0.0, "telephone_probability": 0.0,
                           "gain": (0.0, 0.0)}  # fmt: skip


@pytest.fixture
def speech(rng: np.random.Generator) -> np.ndarray:
    """A second of something with power at all frequencies, of a length that is not padded."""
    return (0.1 * rng.standard_normal(2**14)).astype(np.float32)


def decibels(power: float) -> float:
    return float(10 * np.log10(power))


@pytest.mark.parametrize("num_samples", [1, 2, 3, 999, 2**14])
def test_nothing_changes_unless_asked_for(
    speech: np.ndarray, rng: np.random.Generator, num_samples: int
) -> None:
    found = Augmentation(**NOTHING)(speech[:num_samples], RATE, rng)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, speech[:num_samples], atol=1e-6)


def test_the_same_seed_gives_the_same_recording_and_leaves_the_input(speech: np.ndarray) -> None:
    before = speech.copy()
    augment = Augmentation(speed=1.2)
    one, other = (augment(speech, RATE, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(speech, before)


@pytest.mark.parametrize("num_samples", [300, RATE, 3 * RATE])
def test_noise_stands_at_its_ratio_however_short_it_is(
    speech: np.ndarray, rng: np.random.Generator, num_samples: int
) -> None:
    """A noise shorter than the recording is repeated."""
    noise = (7 * rng.standard_normal(num_samples)).astype(np.float32)
    augment = Augmentation(
        **{**NOTHING, "noise_probability": 1.0}, noises=[noise], snr=(12.0, 12.0)
    )
    for _ in range(5):
        added = augment(speech, RATE, rng) - speech
        assert decibels(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(12.0, abs=0.05)


def test_a_telephone_leaves_its_band_alone(speech: np.ndarray, rng: np.random.Generator) -> None:
    augment = Augmentation(**{**NOTHING, "telephone_probability": 1.0})
    before, after = (np.fft.rfft(x) for x in (speech, augment(speech, RATE, rng)))
    frequency = np.fft.rfftfreq(len(speech), 1 / RATE)
    band = (frequency > 300) & (frequency < 3400)
    np.testing.assert_allclose(after[band], before[band], atol=1e-2)
    assert np.abs(after[~band]).max() < 1e-2


def test_the_level_changes_within_its_range(speech: np.ndarray, rng: np.random.Generator) -> None:
    augment = Augmentation(**{**NOTHING, "gain": (-10.0, 6.0)})
    gains = [
        decibels(np.mean(augment(speech, RATE, rng) ** 2) / np.mean(speech**2)) for _ in range(50)
    ]
    assert -10.01 < min(gains) < -8 and 4 < max(gains) < 6.01


def test_colour_is_smooth_and_of_its_size(speech: np.ndarray, rng: np.random.Generator) -> None:
    augment = Augmentation(**{**NOTHING, "colour": 3.0})
    before = np.abs(np.fft.rfft(speech))[50:]
    responses = []
    for _ in range(40):
        after = np.abs(np.fft.rfft(augment(speech, RATE, rng)))[50:]
        response = 20 * np.log10(after / before)
        assert np.abs(np.diff(response)).max() < 0.5  # dB from one Hz to the next
        responses.append(response)
    # between two points of the random response the deviation is smaller
    assert 1.5 < np.std(responses) < 3.5


def test_speed_changes_duration_and_pitch_together(rng: np.random.Generator) -> None:
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE).astype(np.float32)
    augment = Augmentation(**NOTHING, speed=1.25)
    durations = []
    for _ in range(20):
        found = augment(tone, RATE, rng)
        pitch = np.abs(np.fft.rfft(found)).argmax() * RATE / len(found)
        assert pitch * len(found) == pytest.approx(400 * RATE, rel=0.01)
        durations.append(len(found) / RATE)
    assert 0.79 < min(durations) < 0.9 and 1.1 < max(durations) < 1.26


def test_silence_stays_silent(rng: np.random.Generator) -> None:
    assert not Augmentation(noise_probability=1.0)(np.zeros(RATE, np.float32), RATE, rng).any()


def test_a_room_is_a_convolution_that_moves_nothing(
    speech: np.ndarray, rng: np.random.Generator
) -> None:
    """The direct sound, which is the strongest, stays in its place, and the level as it was."""
    decay = rng.standard_normal(4_000) * np.exp(-np.arange(4_000) / 800)
    response = np.concatenate((0.01 * rng.standard_normal(700), [9.0], decay)).astype(np.float32)
    found = in_room(speech, response)
    expected = np.convolve(speech.astype(float), response[700:].astype(float))[: len(speech)]
    expected *= np.sqrt(np.mean(speech.astype(float) ** 2) / np.mean(expected**2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    lag = np.correlate(found[:4_000], speech[:4_000], mode="full").argmax() - 3_999
    assert lag == 0


def test_rooms_come_as_often_as_asked_for_and_before_the_noise(speech: np.ndarray) -> None:
    rooms = [np.array([1.0]), np.array([0.0, 1.0, 0.9])]
    options = {**NOTHING, "rooms": rooms}
    for probability, share in ((0.0, 0.0), (1.0, 0.5)):
        augment = Augmentation(**options, room_probability=probability)
        seeds = range(60)
        found = [augment(speech, RATE, np.random.default_rng(seed)) for seed in seeds]
        wet = [not np.allclose(samples, speech, atol=1e-4) for samples in found]
        assert np.mean(wet) == pytest.approx(share, abs=0.2)
    options |= {"rooms": rooms[1:], "room_probability": 1.0, "noise_probability": 1.0}
    found = Augmentation(**options, snr=(9.0, 9.0))(speech, RATE, np.random.default_rng(0))
    added = found - in_room(speech, rooms[1])
    assert decibels(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(9.0, abs=0.1)


def test_rooms_that_are_not_there_draw_nothing(speech: np.ndarray) -> None:
    """Recordings of a recipe without rooms stay what they were before there were any."""
    one = Augmentation(room_probability=0.0)(speech, RATE, np.random.default_rng(5))
    other = Augmentation(room_probability=1.0)(speech, RATE, np.random.default_rng(5))
    np.testing.assert_array_equal(one, other)


def test_sounds_of_a_folder_are_read_when_asked_for(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    noise = 0.1 * rng.standard_normal(8_000)
    (tmp_path / "deep").mkdir()
    soundfile.write(tmp_path / "deep" / "b.wav", noise, 8_000)
    soundfile.write(tmp_path / "a.wav", np.tile(noise, 1 + int(MAX_SOUND)), 8_000)
    soundfile.write(tmp_path / "z.wav", np.zeros(800), 8_000)
    (tmp_path / "z_damaged.wav").write_bytes(b"no audio")
    sounds = Sounds(tmp_path, RATE)
    sounds = pickle.loads(pickle.dumps(sounds))  # as on its way to a loader of training data
    assert len(sounds) == 4
    assert [len(sound) / RATE for sound in sounds[:2]] == [MAX_SOUND, 1.0]
    assert sounds[1] is sounds[1]
    for index, name in ((2, "z.wav is silent"), (3, "z_damaged.wav")):
        with pytest.raises(ValueError, match=name):
            _ = sounds[index]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no audio files"):
        Sounds(tmp_path / "empty", RATE)
    with pytest.raises(FileNotFoundError):
        Sounds(tmp_path / "absent", RATE)
