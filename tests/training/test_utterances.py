"""Recordings as cepstra: one length as the authors make it, and the order of the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.corpora import Utterance  # noqa: E402
from sed.frontends import MFCC  # noqa: E402
from sed.training.utterances import FEATURES, centred, cepstra  # noqa: E402

RATE = 22_050


def authors_length(signal: np.ndarray, mean_signal_length: int) -> np.ndarray:
    """What ``get_feature`` of the authors' code does before the cepstra."""
    s_len = len(signal)
    if s_len < mean_signal_length:
        pad_len = mean_signal_length - s_len
        pad_rem = pad_len % 2
        pad_len //= 2
        return np.pad(signal, (pad_len, pad_len + pad_rem), "constant", constant_values=0)
    pad_len = s_len - mean_signal_length
    pad_len //= 2
    return signal[pad_len : pad_len + mean_signal_length]


def recordings(folder: Path, *lengths: int) -> list[Utterance]:
    """Noise of these numbers of samples, sad and happy in turn."""
    generator = np.random.default_rng(0)
    found = []
    for number, length in enumerate(lengths):
        path = folder / f"{number}.wav"
        soundfile.write(path, 0.1 * generator.standard_normal(length), RATE, subtype="FLOAT")
        found.append(Utterance(path.stem, path, "a", "toy", ("sad", "happy")[number % 2]))
    return found


@pytest.mark.parametrize("length", [0, 1, 2, 7, 9, 10, 11, 12, 13, 30])
@pytest.mark.parametrize("wanted", [9, 10])
def test_what_is_short_lies_amid_zeros_and_what_is_long_is_cut_on_both_sides(
    length: int, wanted: int
) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32)
    found = centred(samples, wanted)
    np.testing.assert_array_equal(found, authors_length(samples, wanted))
    assert found.dtype == np.float32 and found.shape == (wanted,)


@pytest.mark.parametrize("features", FEATURES)
def test_cepstra_are_those_of_the_front_end_at_that_length(tmp_path: Path, features: str) -> None:
    said = recordings(tmp_path, 20_000, 30_001, 24_000)
    classes = ["happy", "neutral", "sad"]
    data = cepstra(said, classes=classes, features=features, num_samples=24_000)
    mfcc = MFCC.from_code() if features == "code" else MFCC.from_paper()
    for number, utterance in enumerate(said):
        samples, rate = soundfile.read(utterance.path, dtype="float32")
        assert rate == mfcc.sample_rate == RATE
        whole = torch.from_numpy(authors_length(samples, 24_000).copy())
        torch.testing.assert_close(data.features[..., number], mfcc(whole[None])[0].T)
    assert data.targets.tolist() == [2, 0, 2]
    assert data.classes == ("happy", "neutral", "sad")
    assert list(data.utterances) == said
    assert not data.features.is_inference()  # something can be learned from them


def test_96_000_samples_are_188_frames_of_39_cepstra(tmp_path: Path) -> None:
    """The length of EmoDB in the authors' code, and the shape that it gives there."""
    said = recordings(tmp_path, 50_000, 100_000)
    seen = []

    def progress() -> object:
        for utterance in said:
            seen.append(utterance)
            yield utterance

    data = cepstra(
        said,
        classes=["happy", "sad"],
        features="code",
        num_samples=96_000,
        progress=progress(),  # type: ignore[arg-type]
    )
    assert data.features.shape == (39, 188, 2) and seen == said


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    [said] = recordings(tmp_path, 100)
    said.path.write_text("no sound")
    with pytest.raises((OSError, ValueError), match=r"0\.wav"):
        cepstra([said], classes=["sad"], features="code", num_samples=100)
    with pytest.raises(ValueError, match="features is 'deep'; known are code, paper"):
        cepstra([said], classes=["sad"], features="deep", num_samples=100)
