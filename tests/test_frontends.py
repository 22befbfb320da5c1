"""Features: parity with librosa, and the same values in one piece, in blocks or normalised."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sed.audio import Recording
from sed.frontends import (
    MFCC,
    CepstralFeatures,
    LogSpectralFeatures,
    LogSpectrum,
    SlidingNormalization,
    Spectrum,
)

OURS: dict[str, Any] = {"sample_rate": 16_000, "hop": 320, "window_length": 512, "fft_size": 512}
PAPER: dict[str, Any] = {"sample_rate": 8_000, "hop": 128, "window_length": 512, "fft_size": 512}


def noise(rng: np.random.Generator, num_samples: int, level: float = 0.1) -> np.ndarray:
    """Noise whose level comes and goes."""
    swell = 1.0 + 0.9 * np.sin(np.arange(num_samples) / 3_000)
    return (level * swell * rng.standard_normal(num_samples)).astype(np.float32)


def ours(frontend: Spectrum, samples: np.ndarray) -> np.ndarray:
    """Features of one waveform, (num_frames, num_features)."""
    with torch.no_grad():
        return frontend(torch.from_numpy(samples)[None])[0].numpy()


def librosas_code(samples: np.ndarray) -> np.ndarray:
    """What the TIM-Net authors' code calls."""
    import librosa

    return librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=39).T


def librosas_paper(samples: np.ndarray) -> np.ndarray:
    """The paper's text in librosa's words.

    librosa centres its windows on the onset of a cell: half a cell of zeros before the recording
    moves its second window to the centre of our first cell. The other windows must be left out:
    they may be the loudest.
    """
    import librosa

    num_frames = -(-len(samples) // 276)
    mel = librosa.feature.melspectrogram(
        y=np.pad(samples, (276 // 2, 276)),
        sr=22_050, n_fft=2048, hop_length=276, win_length=1102, window="hamming",
    )  # fmt: skip
    decibels = librosa.power_to_db(mel[:, 1 : 1 + num_frames], top_db=80)
    return librosa.feature.mfcc(S=decibels, n_mfcc=39).T


PARITY = pytest.mark.parametrize(
    ("frontend", "oracle", "tolerance"),
    [(MFCC.from_code(), librosas_code, 2e-3), (MFCC.from_paper(), librosas_paper, 2e-3)],
    ids=["code", "paper"],
)


@PARITY
@pytest.mark.parametrize("num_samples", [1, 300, 22_050, 40_001])
def test_the_papers_features_of_noise_are_those_of_librosa(
    rng: np.random.Generator, frontend: MFCC, oracle: Any, tolerance: float, num_samples: int
) -> None:
    samples = noise(rng, num_samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # librosa says that one sample is short
        expected = oracle(samples)
    found = ours(frontend, samples)
    assert abs(len(expected) - len(found)) <= 1
    length = min(len(expected), len(found))
    np.testing.assert_allclose(found[:length], expected[:length], atol=tolerance, rtol=0)


@PARITY
def test_the_papers_features_of_speech_are_those_of_librosa(
    shared: Path, frontend: MFCC, oracle: Any, tolerance: float
) -> None:
    path = next((shared / "corpora" / "emodb" / "wav").glob("03a01Fa.*"))
    samples = Recording.open(path).samples(22_050)
    expected, found = oracle(samples), ours(frontend, samples)
    assert abs(len(expected) - len(found)) <= 1 and np.abs(found).max() > 100
    length = min(len(expected), len(found))
    np.testing.assert_allclose(found[:length], expected[:length], atol=tolerance, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 319, 320, 321, 16_000])
@pytest.mark.parametrize("centre", ["cell", "onset"])
def test_every_cell_has_a_frame(num_samples: int, centre: Any) -> None:
    features = ours(MFCC(**OURS, centre=centre), np.full(num_samples, 0.1, dtype=np.float32))
    assert features.shape == (-(-num_samples // 320), 39) and np.all(np.isfinite(features))


def test_silence_has_finite_features() -> None:
    assert np.all(np.isfinite(ours(MFCC(**OURS), np.zeros(1600, dtype=np.float32))))


def test_a_recording_is_the_same_in_any_batch(rng: np.random.Generator) -> None:
    batch = torch.from_numpy(np.stack([noise(rng, 8_000, level) for level in (0.001, 0.1, 0.9)]))
    frontend = MFCC(**OURS)
    for index, alone in enumerate(batch):
        torch.testing.assert_close(frontend(batch)[index], frontend(alone[None])[0])


@pytest.mark.parametrize("centre", ["cell", "onset"])
@pytest.mark.parametrize(("hop", "fft_size"), [(320, 512), (320, 2048), (512, 512), (100, 512)])
def test_a_stretch_with_its_context_has_the_features_of_the_whole(
    rng: np.random.Generator, centre: Any, hop: int, fft_size: int
) -> None:
    frontend = MFCC(
        sample_rate=16_000, hop=hop, window_length=400, fft_size=fft_size, centre=centre
    )
    samples = noise(rng, 40 * hop)
    context, first, end = frontend.context, 15, 22
    whole = ours(frontend, samples)
    stretch = ours(frontend, samples[(first - context) * hop : (end + context) * hop])
    np.testing.assert_allclose(
        stretch[context:-context], whole[first:end], atol=1e-3, rtol=0
    )  # values reach several hundred


def test_a_frame_is_centred_on_its_cell() -> None:
    """A click in the middle of a cell is heard alike in a recording and in its mirror image."""
    samples = np.zeros(3200, dtype=np.float32)
    samples[1600 - 160 - 1 : 1600 - 160 + 1] = 1.0  # centre of the fifth of ten cells
    frontend = MFCC(**OURS, centre="cell")
    np.testing.assert_allclose(
        ours(frontend, samples)[[3, 5]], ours(frontend, samples)[[5, 3]], atol=0.5
    )


def test_the_level_moves_the_first_coefficient_alone(rng: np.random.Generator) -> None:
    quiet = noise(rng, 16_000, 0.01)
    before, after = ours(MFCC(**OURS), quiet), ours(MFCC(**OURS), 8 * quiet)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-3)
    shift = 10 * np.log10(64) * np.sqrt(128)
    np.testing.assert_allclose(after[:, 0] - before[:, 0], shift, atol=1e-2)
    normalization = SlidingNormalization(20)
    torch.testing.assert_close(
        normalization(torch.from_numpy(after)[None]),
        normalization(torch.from_numpy(before)[None]),
        atol=1e-3,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"window_length": 1024}, "window_length 1024 exceeds fft_size 512"),
        ({"num_coefficients": 40, "num_mels": 20}, "40 coefficients need as many mels, not 20"),
        ({"window": "kaiser"}, "unknown window 'kaiser'; known are hann, hamming"),
        ({"centre": "middle"}, "unknown centre 'middle'; known are cell, onset"),
        ({"top_db_over": "batch"}, "unknown top_db_over 'batch'; known are frame, input"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MFCC(**{**OURS, **settings})


@pytest.mark.parametrize("context", [1, 3, 100])
@pytest.mark.parametrize("num_frames", [1, 2, 7, 50])
def test_normalisation_is_that_of_a_loop_over_frames(
    rng: np.random.Generator, context: int, num_frames: int
) -> None:
    features = (10 * rng.standard_normal((num_frames, 4)) + 300).astype(np.float32)
    expected = np.empty_like(features)
    for t in range(num_frames):
        around = features[max(0, t - context) : t + context + 1].astype(float)
        expected[t] = (features[t] - around.mean(axis=0)) / np.maximum(around.std(axis=0), 1.0)
    found = SlidingNormalization(context)(torch.from_numpy(features)[None])[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_a_clip_shorter_than_the_context_is_normalised_as_a_whole(
    rng: np.random.Generator,
) -> None:
    clip = torch.from_numpy((7 * rng.standard_normal((1, 90, 3)) - 200).astype(np.float32))
    found = SlidingNormalization(89)(clip)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(1, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(dim=1, correction=0), torch.ones(1, 3))


def test_small_variances_survive_a_large_offset(rng: np.random.Generator) -> None:
    """In an hour of features that stand far from zero."""
    features = (3 * rng.standard_normal((1, 180_000, 1)) - 600).astype(np.float32)
    found = SlidingNormalization(500)(torch.from_numpy(features))[0, -1000:]
    assert 0.9 < float(found.std()) < 1.1


def test_silence_is_only_centred() -> None:
    features = torch.full((1, 20, 2), -123.0)
    assert not SlidingNormalization(5)(features).any()


def test_a_context_of_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="context of 0 frames"):
        SlidingNormalization(0)


def test_the_deviation_follows_the_normalised_features(rng: np.random.Generator) -> None:
    """Its logarithm, over the same context, and no level or microphone moves it."""
    features = (rng.normal(size=(1, 60, 3)) * [2.0, 8.0, 30.0]).astype(np.float32)
    plain = SlidingNormalization(100)(torch.from_numpy(features))
    both = SlidingNormalization(100, with_deviation=True)(torch.from_numpy(features + 50.0))
    assert both.shape == (1, 60, 6) and SlidingNormalization(1).num_features(3) == 3
    np.testing.assert_allclose(both[..., :3], plain, atol=1e-4)
    expected = np.log(features[0].astype(float).std(axis=0)) - 2.0
    np.testing.assert_allclose(both[0, 30, 3:], expected, atol=1e-4)


@pytest.fixture
def padded(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Recordings of three lengths, and loud noise behind the ends of two."""
    lengths = torch.tensor([16_001, 300, 8_000])
    batch = torch.from_numpy(np.stack([noise(rng, 16_001, level) for level in (0.01, 0.3, 0.1)]))
    batch[torch.arange(16_001) >= lengths[:, None]] *= 50.0
    return batch, lengths


@pytest.mark.parametrize("with_deviation", [False, True])
def test_cepstra_are_the_same_alone_and_beside_longer_recordings(
    padded: tuple[torch.Tensor, torch.Tensor], with_deviation: bool
) -> None:
    """Zero beyond a recording's own frames, whatever stands there."""
    frontend = CepstralFeatures(normalization=0.2, with_deviation=with_deviation, **OURS)
    batch, lengths = padded
    features = frontend(batch, lengths)
    assert features.shape == (3, 51, frontend.num_features)
    for row, found, length in zip(batch, features, lengths.tolist(), strict=True):
        count = frontend.num_frames(length)
        torch.testing.assert_close(found[:count], frontend(row[None, :length])[0])
        assert found[:count].any(dim=1).all() or count == 1
        assert not found[count:].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cepstra_stay_in_float32_in_mixed_precision(
    padded: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype
) -> None:
    """Bit for bit; what follows is computed in the narrow type as before."""
    frontend = CepstralFeatures(normalization=0.2, **OURS)
    batch, lengths = padded
    expected = [frontend(batch, lengths), frontend(batch)]
    with torch.autocast("cpu", dtype):
        found = [frontend(batch, lengths), frontend(batch)]
        assert torch.nn.Linear(39, 2)(found[0]).dtype == dtype
    for narrow, wide in zip(found, expected, strict=True):
        assert narrow.dtype == torch.float32 and torch.equal(narrow, wide)


@pytest.mark.parametrize("num_samples", [1, 300, 8_000, 20_001])
def test_log_spectra_are_those_of_librosa(rng: np.random.Generator, num_samples: int) -> None:
    """Which centres its windows on onsets: half a cell of zeros moves them to our centres."""
    import librosa

    samples = noise(rng, num_samples)
    samples[num_samples // 2 + 1 :] = 0.0  # the floor
    padded = np.pad(samples, (64, 512)).astype(np.float64)
    spectra = librosa.stft(padded, n_fft=512, hop_length=128)
    num_frames = -(-num_samples // 128)
    expected = np.log(np.maximum(np.abs(spectra.T[1 : 1 + num_frames]) ** 2, 1e-10))
    found = ours(LogSpectrum.from_paper(), samples)
    assert found.shape == (num_frames, 257)
    loud = expected > expected.max() - 12.0  # 50 dB; below, float32 has fewer digits
    np.testing.assert_allclose(found[loud], expected[loud], atol=1e-3)
    np.testing.assert_allclose(found, expected, atol=0.5)


def test_a_tone_stands_in_its_bin() -> None:
    """2 kHz are the 128th of 256 steps to 4 kHz; its level is that of a window of Hann."""
    time = np.arange(8_000) / 8_000
    found = ours(LogSpectrum.from_paper(), np.cos(2 * np.pi * 2_000 * time).astype(np.float32))
    assert set(found[3:-3].argmax(axis=1)) == {128}
    np.testing.assert_allclose(found[3:-3, 128], 2 * np.log(512 / 4), atol=1e-4)


def test_a_stretch_with_its_context_has_the_log_spectra_of_the_whole(
    rng: np.random.Generator,
) -> None:
    """Normalised, and as they are."""
    samples = torch.from_numpy(noise(rng, 300 * 128))[None]
    for normalization, context in ((None, 2), (0.5, 2 + 31)):
        frontend = LogSpectralFeatures(normalization=normalization, **PAPER)
        assert frontend.context == context
        first, end = (100 - context) * 128, (130 + context) * 128
        found = frontend(samples[:, first:end])[:, context:-context]
        torch.testing.assert_close(found, frontend(samples)[:, 100:130], atol=1e-3, rtol=0)


def test_normalised_log_spectra_are_those_of_decibels(rng: np.random.Generator) -> None:
    """The unit is of no matter: not above the floor of one decibel, and not below."""
    samples = torch.from_numpy(noise(rng, 8_000))[None]
    natural = LogSpectrum.from_paper()(samples)
    natural[:, :, 0] = -3.0 + 0.01 * natural[:, :, 0]  # hardly changes
    decibels = natural * (10.0 / np.log(10.0))
    found = SlidingNormalization(40, with_deviation=True, decibel=LogSpectrum.decibel)(natural)
    expected = SlidingNormalization(40, with_deviation=True)(decibels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert float(found[:, :, 0].abs().max()) < 0.5 < float(found[:, :, 1].abs().max())


@pytest.mark.parametrize("settings", [{}, {"normalization": 0.2, "with_deviation": True}])
def test_log_spectra_are_the_same_alone_and_beside_longer_recordings(
    padded: tuple[torch.Tensor, torch.Tensor], settings: dict[str, Any]
) -> None:
    frontend = LogSpectralFeatures(**PAPER, **settings)
    batch, lengths = padded
    features = frontend(batch, lengths)
    assert features.shape == (3, 126, frontend.num_features)
    assert frontend.num_features == (514 if settings else 257)
    for row, found, length in zip(batch, features, lengths.tolist(), strict=True):
        count = frontend.num_frames(length)
        assert count == -(-length // 128)
        torch.testing.assert_close(found[:count], frontend(row[None, :length])[0])
        assert not found[count:].any()


def test_a_deviation_without_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="with_deviation needs a normalization"):
        LogSpectralFeatures(with_deviation=True, **PAPER)
