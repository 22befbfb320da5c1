"""Training on whole utterances: batches of corpora in turn, weights of classes, an end in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.corpora import Utterance  # noqa: E402
from sed.corpora.stored import StoredClip, stored_copies  # noqa: E402
from sed.model import EmotionModel  # noqa: E402
from sed.training.alternation import AlternatingBatches  # noqa: E402
from sed.training.utterance_fitting import (  # noqa: E402
    Network,
    UtteranceFitting,
    class_weights,
    fit_utterances,
    hear,
)

RATE = 8000
PITCHES = {"neutral": 300.0, "happy": 900.0, "sad": 2500.0}
QUICK = UtteranceFitting(
    batch_size=4, steps_per_epoch=8, patience=3, max_epochs=8, learning_rate=0.01
)


def store(folder: Path, corpus: str, emotions: list[str], number: int = 4) -> list[StoredClip]:
    """Tones of a corpus, each emotion at its own pitch, of unequal lengths."""
    path, clips, start = folder / f"{corpus}.f32", [], 0
    rng = np.random.default_rng(len(corpus))
    with path.open("wb") as stream:
        for index, emotion in enumerate(emotions * number):
            time = np.arange(1500 + 200 * index) / RATE
            samples = 0.1 * np.sin(2 * np.pi * PITCHES[emotion] * time)
            samples = (samples + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
            stream.write(samples.tobytes())
            said = Utterance(f"{emotion}{index}", Path("none.wav"), "a", corpus, emotion)
            clips.append(StoredClip(said, path, start, len(samples)))
            start += len(samples)
    return clips


def network(classes: dict[str, list[str]], *, multi_task: bool = False) -> Network:
    head = {"name": "attentive", "block": "tdnn", "pooling": "mean"}
    head |= {"num_units": 16, "num_layers": 2, "dropout": 0.0}
    if multi_task:
        head |= {"tasks": classes, "task": "one"}
    frontend = {"name": "log-spectrum", "sample_rate": RATE, "hop": 128, "window_length": 512}
    frontend |= {"fft_size": 512, "normalization": None}
    torch.manual_seed(0)
    model = EmotionModel(classes=classes["one"], frontend=frontend, head=head, window=10.0)
    return Network(model, classes, multi_task=multi_task)


def test_corpora_take_turns_and_every_recording_comes_before_one_comes_again() -> None:
    corpora = ["a"] * 6 + ["b"] * 2 + ["c"] * 3
    batches = AlternatingBatches(corpora, batch_size=2, num_steps=9, seed=1)
    first = list(batches)
    assert [{corpora[index] for index in batch} for batch in first] == [{"a"}, {"b"}, {"c"}] * 3
    assert sorted(sum(first[0::3], [])) == list(range(6))
    assert all(sorted(batch) == [6, 7] for batch in first[1::3])
    assert set(sum(first[2::3], [])) == {8, 9, 10}
    second = list(batches)
    assert second != first and len(batches) == 9
    again = AlternatingBatches(corpora, batch_size=2, num_steps=9, seed=1)
    assert [list(again), list(again)] == [first, second]


def test_rare_classes_weigh_more(tmp_path: Path) -> None:
    clips = store(tmp_path, "one", ["neutral", "neutral", "neutral", "happy"])
    weights = class_weights(clips, ["neutral", "happy"])
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0]))
    counts = Counter(clip.utterance.emotion for clip in clips)
    weighed = [weights[place] * counts[name] for place, name in enumerate(("neutral", "happy"))]
    assert float(sum(weighed)) == pytest.approx(len(clips))
    with pytest.raises(ValueError, match="nobody is sad"):
        class_weights(clips, ["neutral", "happy", "sad"])


@pytest.mark.parametrize("multi_task", [False, True])
def test_emotions_of_two_corpora_are_learned(tmp_path: Path, multi_task: bool) -> None:
    """With a layer for each, the corpora need not have the same emotions."""
    classes = {"one": ["neutral", "happy"], "another": ["neutral", "happy"]}
    if multi_task:
        classes["another"] = ["happy", "sad"]
    clips = [clip for name, names in classes.items() for clip in store(tmp_path, name, names)]
    learner = network(classes, multi_task=multi_task)
    before = hear(learner, clips, 4)
    told: list[int] = []
    epochs = fit_utterances(
        learner, clips, clips, QUICK, seed=0, tell=lambda number, epoch: told.append(number)
    )
    assert told == list(range(1, len(epochs) + 1))
    heard = hear(learner, clips, 4)
    assert list(heard) == ["one", "another"]
    assert all(said == found for pairs in heard.values() for said, found in pairs)
    assert any(said != found for pairs in before.values() for said, found in pairs)
    assert epochs[-1].valid_loss < 0.5 * epochs[0].train_loss


def test_a_training_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    """With the weights of its best epoch, and the same ones each time."""
    clips = store(tmp_path, "one", ["neutral", "happy"])
    still = replace(QUICK, learning_rate=0.0, max_epochs=50)
    learner = network({"one": ["neutral", "happy"]})
    epochs = fit_utterances(learner, clips, clips, still, seed=0)
    assert len(epochs) == 1 + still.patience
    wild = replace(QUICK, learning_rate=1.0, max_epochs=6, patience=6)
    states = []
    for _ in range(2):
        learner = network({"one": ["neutral", "happy"]})
        epochs = fit_utterances(learner, clips, clips, wild, seed=0)
        states.append(learner.model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=0, atol=0, msg=name)
    one_more = replace(wild, max_epochs=1, learning_rate=0.0)
    found = fit_utterances(learner, clips, clips, one_more, seed=0)
    assert found[0].valid_loss == pytest.approx(min(epoch.valid_loss for epoch in epochs), rel=1e-4)


def test_copies_are_changed_by_a_chance_of_their_own(tmp_path: Path) -> None:
    clips = [*store(tmp_path, "one", ["happy"], 3), *store(tmp_path, "another", ["sad"], 2)]
    calls: list[int] = []

    def louder(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        calls.append(rate)
        return samples * rng.uniform(2.0, 3.0)

    options = {"copies": {"one": 1, "another": 3}, "change": louder, "sample_rate": RATE}
    found = stored_copies(clips, tmp_path / "kept", **options, description="louder", seed=0)
    assert found[:5] == clips and calls == [RATE] * 4
    factors = [
        float(np.mean(copy.samples / original.samples))
        for copy, original in zip(found[5:], [clips[3]] * 2 + [clips[4]] * 2, strict=True)
    ]
    assert len(set(factors)) == 4 and all(2.0 <= factor <= 3.0 for factor in factors)
    assert [copy.utterance for copy in found[5:]] == [clips[3].utterance] * 2 + [
        clips[4].utterance
    ] * 2
    again = stored_copies(clips, tmp_path / "kept", **options, description="louder", seed=0)
    assert again == found and len(calls) == 4
    stored_copies(clips, tmp_path / "kept", **options, description="louder", seed=1)
    assert len(calls) == 8
