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


VOICE, BAND, MP3 = {"vtlp_probability": 1.0}, {"band_probability": 1.0}, {"mp3_probability": 1.0}


@pytest.mark.parametrize("change", [VOICE, BAND, MP3], ids=["voice", "band", "mp3"])
def test_a_change_that_is_off_draws_nothing(speech: np.ndarray, change: dict[str, float]) -> None:
    """So that the recordings of a recipe without it stay what they were."""
    before, after, drawn = (np.random.default_rng(5) for _ in range(3))
    for _ in ("noise", "telephone", "level"):
        before.random()
    Augmentation(**NOTHING)(speech, RATE, after)
    assert after.bit_generator.state == before.bit_generator.state
    Augmentation(**NOTHING, **change)(speech, RATE, drawn)
    assert drawn.bit_generator.state != before.bit_generator.state


@pytest.mark.parametrize("name", ["vtlp", "band", "mp3"])
def test_changes_come_as_often_as_asked_for(speech: np.ndarray, name: str) -> None:
    augment = Augmentation(**NOTHING, **{f"{name}_probability": 0.5})
    samples = speech[:2_000]
    found = [augment(samples, RATE, np.random.default_rng(seed)) for seed in range(60)]
    changed = [not np.allclose(each, samples, atol=1e-4) for each in found]
    assert np.mean(changed) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_band_ends_where_its_cuts_are(
    speech: np.ndarray, rng: np.random.Generator, rate: int
) -> None:
    """3 dB at the cut-offs, 24 dB an octave beyond, nothing between them, and no phase."""
    band = {**BAND, "low_cut": (400.0, 400.0), "high_cut": (1500.0, 1500.0)}
    found = Augmentation(**NOTHING, **band)(speech, rate, rng)
    response = np.fft.rfft(found) / np.fft.rfft(speech)
    hertz = np.array([100, 200, 400, 800, 1500, 3000])
    at = response[np.round(hertz * len(speech) / rate).astype(int)]
    assert np.abs(at.imag).max() < 1e-3
    expected = [-48.2, -24.1, -3.0, 0.0, -3.0, -24.1]
    np.testing.assert_allclose(20 * np.log10(at.real), expected, atol=0.2)


def test_cuts_are_drawn_from_their_ranges_below_half_the_rate(
    speech: np.ndarray, rng: np.random.Generator
) -> None:
    band = {**BAND, "low_cut": (0.0, 0.0), "high_cut": (2000.0, 7000.0)}
    augment, cuts = Augmentation(**NOTHING, **band), []
    before = np.abs(np.fft.rfft(speech)) ** 2
    for _ in range(40):
        power = np.abs(np.fft.rfft(augment(speech, 8_000, rng))) ** 2 / before
        assert power[:1000].min() > 0.99
        cuts.append(np.abs(power - 0.5).argmin() * 8_000 / len(speech))
    assert 1_999 < min(cuts) < 2_300 and 3_700 < max(cuts) <= 4_000


def test_the_voice_changes_before_the_noise_comes(speech: np.ndarray) -> None:
    """What is added is the noise as it is, at its ratio."""
    options = {**NOTHING, **VOICE, "noise_probability": 1.0, "snr": (9.0, 9.0)}
    tone = np.sin(np.arange(RATE) * 0.1).astype(np.float32)
    found = Augmentation(**options, noises=[speech])(tone, RATE, np.random.default_rng(0))
    added = found - Augmentation(**NOTHING, **VOICE)(tone, RATE, np.random.default_rng(0))
    assert decibels(np.mean(tone**2) / np.mean(added**2)) == pytest.approx(9.0, abs=0.1)


EVERYTHING: dict[str, Any] = {"noise_probability": 1.0, "telephone_probability": 1.0,
                              "rooms": [np.array([1.0, 0.5])], "room_probability": 1.0,
                              **VOICE, **BAND, **MP3}  # fmt: skip


@pytest.mark.parametrize("speed", [1.0, 1.2])
@pytest.mark.parametrize("num_samples", [1, 2, 100, 1_153, 5_000])
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_everything_at_once_stands_what_is_short_silent_or_loud(
    rng: np.random.Generator, rate: int, num_samples: int, speed: float
) -> None:
    augment = Augmentation(**EVERYTHING, speed=speed)
    full = rng.choice(np.array([-1.0, 1.0], np.float32), num_samples)
    for samples in (full, np.ones_like(full), np.zeros_like(full)):
        found, again = (augment(samples, rate, np.random.default_rng(3)) for _ in range(2))
        assert found.dtype == np.float32 and np.isfinite(found).all()
        assert samples.any() or not found.any()
        assert len(found) == num_samples or (speed > 1.0 and len(found))
        np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"mp3_probability": 2.0}, "mp3_probability is 2.0, not between 0 and 1"),
        ({"warp": (1.1, 0.9)}, "warp starts at 1.1 and ends at 0.9; turn it round"),
        ({"high_cut": (0.0, 4000.0)}, "high_cut starts at 0.0; give a number above 0"),
        ({"snr": (30.0, 5.0)}, "snr starts at 30.0 and ends at 5.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Augmentation(**wrong)


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
