"""MP3: a recording loses by its bit rate, and nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from sed.corpora.augmentation.mp3 import SAMPLE_RATES, through_mp3


def hum(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Noise with most of its power where the lowest bit rates leave some."""
    noise = rng.standard_normal(num_samples + 15)
    return (0.1 * np.convolve(noise, np.full(16, 0.25), mode="valid")).astype(np.float32)


@pytest.mark.parametrize("bit_rate", [8.0, 20.5, 64.0])
@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_nothing_moves(rng: np.random.Generator, rate: int, bit_rate: float) -> None:
    """To the sample, though the encoder delays by 1105."""
    samples = hum(rng, 12_345)
    decoded = through_mp3(samples, rate, bit_rate)
    assert decoded.dtype == np.float32 and len(decoded) == len(samples)
    lags = np.correlate(decoded, samples[1_500:-1_500], mode="valid")
    assert lags.argmax() == 1_500
    assert np.corrcoef(decoded, samples)[0, 1] > 0.8


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_sound_begins_and_ends_where_it_did(rng: np.random.Generator, rate: int) -> None:
    """Within a frame, over which the codec smears what it leaves out."""
    samples = np.zeros(20_000, np.float32)
    samples[6_000:14_000] = hum(rng, 8_000)
    decoded = through_mp3(samples, rate, 16.0)
    loud = np.flatnonzero(np.abs(decoded) > 0.02)
    assert abs(loud[0] - 6_000) < 320 and abs(loud[-1] - 14_000) < 320
    power = np.square(decoded)
    assert power[:5_000].sum() + power[15_000:].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_lower_bit_rate_loses_more(rng: np.random.Generator, rate: int) -> None:
    samples = hum(rng, 2 * rate)
    lost = [np.mean((through_mp3(samples, rate, bit) - samples) ** 2) for bit in (8, 16, 32, 64)]
    assert (np.diff(lost) < 0).all() and lost[0] > 3 * lost[-1] > 0


@pytest.mark.parametrize("num_samples", [1, 100, 1_151, 1_152, 1_153])
def test_few_samples_come_back_as_many(rng: np.random.Generator, num_samples: int) -> None:
    samples = hum(rng, num_samples)
    decoded = through_mp3(samples, 16_000, 64.0)
    assert len(decoded) == num_samples and np.isfinite(decoded).all() and decoded.any()


def test_silence_stays_silent_and_what_passes_full_scale_is_not_cut() -> None:
    assert not through_mp3(np.zeros(5_000, np.float32), 16_000, 8.0).any()
    loud = (4 * np.sin(np.arange(16_000) * 0.1)).astype(np.float32)
    assert np.abs(through_mp3(loud, 16_000, 64.0)).max() == pytest.approx(4.0, rel=0.2)


def test_the_samples_are_left_alone_and_decide_the_result(rng: np.random.Generator) -> None:
    samples = hum(rng, 4_000)
    before = samples.copy()
    one, other = (through_mp3(samples, 16_000, 24.0) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(samples, before)


def test_a_rate_that_no_mp3_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no MP3 has 10000 samples per second; known are 8000, "):
        through_mp3(np.zeros(10, np.float32), 10_000, 8.0)
