"""What is drawn: training recordings as the settings say, judged ones as in the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from running import make_corpora

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from tiny_training import KINDS, tiny_experiment  # noqa: E402

from sed.corpora.augmentation import Augmentation  # noqa: E402
from sed.corpora.augmentation.mp3 import through_mp3  # noqa: E402
from sed.training.settings import load_settings  # noqa: E402
from sed.training.speech import (  # noqa: E402
    Judged,
    augmentation,
    conditions,
    find_utterances,
    judged_recordings,
    simulation,
)


def test_only_training_recordings_have_pauses(tmp_path: Path) -> None:
    hparams, parts = tiny_experiment(next(iter(KINDS)), tmp_path, pause=[0.5, 0.5])
    silences = {}
    for part in ("train", "valid"):
        drawn = simulation(hparams, parts[part], part=part, quiet=True)
        several = [found for found in drawn.draw_set(8, seed=1) if len(found.sequence) > 1]
        silences[part] = [int(np.diff(np.flatnonzero(found.samples)).max()) for found in several]
    assert min(silences["train"]) > 8_000 > 100 > max(silences["valid"])


def drawn_sets(folder: Path, **changes: Any) -> dict[str, list[Judged]]:
    hparams, parts = tiny_experiment("cepstra", folder, num_test=4, **changes)
    parts["test"] = parts["valid"]
    return {name: list(found) for name, found in judged_recordings(hparams, parts).items()}


def samples_of(found: list[Judged]) -> list[np.ndarray]:
    return [np.concatenate(list(each[0].blocks(sample_rate=16_000))) for each in found]


def treble(samples: np.ndarray) -> float:
    """Share of the power that a telephone does not let through."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / 16_000) > 3400].sum() / power.sum())


def test_conditions_change_the_sound_of_the_same_recordings(tmp_path: Path) -> None:
    """Noise at 10 dB, or a telephone's band; what is said and when stays."""
    sets = drawn_sets(tmp_path)
    assert list(sets) == ["simulated", "simulated, noisy", "simulated, telephone"]
    clean, noisy, telephone = sets.values()
    for found in (noisy, telephone):
        assert [each[1:] for each in found] == [each[1:] for each in clean]
        assert [each[0].uri for each in found] == [each[0].uri for each in clean]
    for before, loud, narrow in zip(*map(samples_of, sets.values()), strict=True):
        assert len(before) == len(loud) == len(narrow)
        noise = np.mean((loud - before) ** 2)
        assert 10 * np.log10(np.mean(before**2) / noise) == pytest.approx(10.0, abs=0.01)
        wide, band = np.fft.rfft(before), np.fft.rfft(narrow)
        hertz = np.fft.rfftfreq(len(narrow), 1 / 16_000)
        beyond, inside = hertz > 3500, (hertz > 1000) & (hertz < 3300)
        assert np.linalg.norm(band[beyond]) < 0.1 * np.linalg.norm(wide)
        assert np.linalg.norm((band - wide)[inside]) < 0.1 * np.linalg.norm(wide)
    assert max(map(treble, samples_of(clean))) > 0.3  # so there was something to take away


def test_conditions_are_the_same_every_time_and_differ_between_recordings(tmp_path: Path) -> None:
    """With noises from a folder as well."""
    (tmp_path / "noise").mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        soundfile.write(tmp_path / "noise" / f"{name}.wav", rng.normal(0, 0.1, 40_000), 16_000)
    for folder in (None, str(tmp_path / "noise")):
        found, again = (drawn_sets(tmp_path, noise_folder=folder) for _ in range(2))
        for name in found:
            for one, other in zip(samples_of(found[name]), samples_of(again[name]), strict=True):
                assert np.array_equal(one, other)
        pairs = zip(
            samples_of(found["simulated, noisy"]), samples_of(found["simulated"]), strict=True
        )
        first, second, *_ = (loud - clean for loud, clean in pairs)
        length = min(len(first), len(second))
        assert np.corrcoef(first[:length], second[:length])[0, 1] < 0.5


def test_every_change_to_the_sound_is_a_setting() -> None:
    """Of the training recordings, and of the judged ones, where what is not named is off."""
    hparams = load_settings("""
        augmentation: !name:sed.corpora.augmentation.Augmentation
          vtlp_probability: 0.5
          warp: !tuple (0.8, 1.2)
          band_probability: 0.25
          low_cut: [100, 300]
          high_cut: [3000, 3400]
          mp3_probability: 0.125
          bit_rate: !tuple (8.0, 32.0)
        judged_conditions:
          mp3: {mp3_probability: 1.0, bit_rate: [16, 16]}
        noise_folder: null
        room_folder: null
    """)
    augment = augmentation(hparams)
    assert isinstance(augment, Augmentation)
    assert (augment.vtlp_probability, augment.warp) == (0.5, (0.8, 1.2))
    assert (augment.band_probability, augment.low_cut) == (0.25, [100, 300])
    assert (augment.mp3_probability, augment.bit_rate) == (0.125, (8.0, 32.0))
    samples = np.sin(np.arange(16_000) ** 1.4 * 0.01).astype(np.float32)
    assert augment(samples, 16_000, np.random.default_rng(0)).shape == samples.shape
    found = conditions(hparams)["mp3"](samples, 16_000, np.random.default_rng(0))
    np.testing.assert_allclose(found, through_mp3(samples, 16_000, 16.0), atol=1e-3)
    assert np.abs(found - samples).max() > 0.01


def test_conditions_can_be_none(tmp_path: Path) -> None:
    assert list(drawn_sets(tmp_path, judged_conditions=None)) == ["simulated"]


def test_one_corpus_can_be_left_out(tmp_path: Path) -> None:
    """It is tested on as a whole, the test speakers of the other are used for nothing."""
    settings = {
        **{"data_folder": make_corpora(tmp_path), "corpora": ["emodb", "emovo"]},
        **{"complete_corpora": False, "relabelled": {}, "classes": ["neutral", "happy", "sad"]},
        **{"split": "speaker", "split_seed": 0, "left_out": None},
        **{"valid": {"emodb": ["03"], "emovo": ["m1"]}, "test": {"emodb": ["08"], "emovo": ["m2"]}},
    }

    def speakers(**changes: Any) -> dict[str, set[str]]:
        parts = find_utterances({**settings, **changes})
        return {part: {each.speaker for each in found} for part, found in parts.items()}

    assert speakers()["test"] == {"08", "m2"}
    without = {"train": {"09", "10"}, "valid": {"03"}, "test": {"f1", "f2", "m1", "m2"}}
    assert speakers(left_out="emovo") == without
    assert speakers(left_out="emovo", valid=0.3, test=0.3)["test"] == without["test"]
    [*tested] = find_utterances({**settings, "left_out": "emovo"})["test"]
    assert len(tested) == 4 * 3  # of three classes
    with pytest.raises(ValueError, match="left_out 'ravdess' is none of emodb, emovo"):
        speakers(left_out="ravdess")
