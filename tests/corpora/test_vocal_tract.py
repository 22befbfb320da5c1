"""Vocal tract length perturbation: formants move by their factor, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sed.corpora.augmentation.filters import telephone
from sed.corpora.augmentation.vocal_tract import KNEE, warp, warped

RATE = 16_000
FORMANTS = (600, 1500, 2600)


def vowel(pitch: int, rate: int = RATE) -> np.ndarray:
    """A second of harmonics under an envelope with three peaks."""
    time = np.arange(rate) / rate
    harmonics = np.arange(pitch, rate // 2, pitch)
    envelope = sum(1 / (1 + ((harmonics - formant) / 90) ** 2) for formant in FORMANTS)
    waves = np.cos(2 * np.pi * harmonics[:, None] * time + harmonics[:, None] ** 2)
    return (0.1 * (envelope @ waves)).astype(np.float32)


def power_of(samples: np.ndarray) -> np.ndarray:
    """Power at each Hz, which a window keeps apart."""
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2


@pytest.mark.parametrize("rate", [8_000, RATE])
@pytest.mark.parametrize("pitch", [100, 180])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_formants_move_by_the_factor(rate: int, pitch: int, factor: float) -> None:
    """As far as the few harmonics under each of them can show it."""
    before, after = (
        power_of(s) for s in (vowel(pitch, rate), warped(vowel(pitch, rate), rate, factor))
    )
    for formant in FORMANTS[1:]:
        hertz = np.arange(formant - 400, formant + 500)
        centres = [np.average(hertz, weights=power[hertz]) for power in (before, after)]
        assert centres[1] / centres[0] == pytest.approx(factor, abs=0.06)


@pytest.mark.parametrize("pitch", [100, 250])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_pitch_stays(pitch: int, factor: float) -> None:
    """All power is still at its harmonics: bins moved together with their phases fail this."""
    power = power_of(warped(vowel(pitch), RATE, factor)[2_000:-2_000])
    hertz = np.arange(len(power)) * RATE / (RATE - 4_000)
    distance = np.abs((hertz + pitch / 2) % pitch - pitch / 2)
    assert power[distance < 6].sum() > 0.99 * power.sum()


@pytest.mark.parametrize("rate", [8_000, RATE, 22_050])
@pytest.mark.parametrize("num_samples", [1, 2, 100, 513, 9_001])
def test_length_and_loudness_stay(rng: np.random.Generator, rate: int, num_samples: int) -> None:
    samples = (0.1 * rng.standard_normal(num_samples)).astype(np.float32)
    for factor in (0.9, 1.0, 1.1):
        found = warped(samples, rate, factor)
        assert found.dtype == np.float32 and len(found) == num_samples
        assert np.mean(found**2) == pytest.approx(np.mean(samples**2), rel=1e-3)
    np.testing.assert_allclose(warped(samples, rate, 1.0), samples, atol=1e-5)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_nothing_moves_in_time(rng: np.random.Generator, factor: float) -> None:
    """A click stays one, in its place; so does what begins after silence."""
    click = np.zeros(RATE, np.float32)
    click[7_000] = 1.0
    found = warped(click, RATE, factor)
    assert np.abs(found).argmax() == 7_000
    assert np.sum(found[6_950:7_051] ** 2) > 0.99
    late = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    late[:8_000] = 0.0
    found = warped(late, RATE, factor)
    assert np.sum(found[:8_000] ** 2) < 1e-3 * np.sum(found**2)
    assert np.correlate(found, late[200:-200], mode="valid").argmax() == 200


def test_beyond_the_edge_of_a_band_nothing_becomes_loud(rng: np.random.Generator) -> None:
    spectrum = np.fft.rfft(0.1 * rng.standard_normal(RATE))
    spectrum[~telephone(np.arange(len(spectrum)))] *= 1e-3  # 60 dB less
    found = power_of(warped(np.fft.irfft(spectrum).astype(np.float32), RATE, 1.1))
    assert 10 * np.log10(found[3_450:].sum() / found.sum()) < -35


def test_silence_stays_silent_and_what_is_hardly_there_finite() -> None:
    assert not warped(np.zeros(5_000, np.float32), RATE, 1.1).any()
    assert np.isfinite(warped(np.full(5_000, 1e-38, np.float32), RATE, 0.9)).all()


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_factor_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"give a factor above 0"):
        warped(np.ones(10, np.float32), RATE, factor)


@given(factor=st.floats(0.5, 2.0), highest=st.sampled_from([4_000.0, 8_000.0, 24_000.0]))
def test_the_warp_is_the_factor_below_its_knee_and_has_an_inverse(
    factor: float, highest: float
) -> None:
    hertz = np.linspace(0, highest, 200)
    moved = warp(hertz, highest, factor)
    assert (np.diff(moved) > 0).all() and moved[0] == 0 and moved[-1] == highest
    low = hertz <= min(KNEE, 0.8 * highest) / max(factor, 1.0)
    np.testing.assert_allclose(moved[low], factor * hertz[low])
    np.testing.assert_allclose(warp(moved, highest, 1 / factor), hertz, atol=1e-6)
