"""Networks of a cross-validation: together as alone, gone on with as never stopped."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_cepstra import tiny_cepstra, tiny_fitting
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("sklearn", reason="training needs the extra 'train'")

from sed.training import crossvalidation  # noqa: E402
from sed.training.crossvalidation import fit_folds, grouped  # noqa: E402
from sed.training.folds import Fold, folds  # noqa: E402
from sed.training.together import MEASURES, Fitted, Fitting, Together  # noqa: E402

DATA = tiny_cepstra()
FOLDS = folds([said.speaker for said in DATA.utterances], by="utterance", seed=1, num_folds=3)
"""Of 21 and 22 recordings to learn from: batches are of unequal size."""


def finish(together: Together, path: Path | None = None, every: int = 10) -> list[Fitted]:
    """Train to the end."""
    for _ in together.epochs(path, every=every):
        pass
    return together.fitted()


def begin(**changes: Any) -> Together:
    return Together(DATA, FOLDS, tiny_fitting(**changes))


def smoothed_loss(logits: np.ndarray, targets: np.ndarray, smoothing: float) -> float:
    """Keras's categorical cross-entropy with label smoothing, of softmax outputs."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    posteriors = powers / powers.sum(axis=1, keepdims=True)
    wanted = np.eye(logits.shape[1])[targets] * (1 - smoothing) + smoothing / logits.shape[1]
    return float(-(wanted * np.log(posteriors)).sum(axis=1).mean())


def test_networks_learn_together_what_they_learn_alone(tmp_path: Path) -> None:
    """With dropout, by each network's own chance, and batches of unequal size.

    Adam divides a gradient by its own size and so makes rounding grow. After 12 epochs curves
    differ by 3e-7 at most, embeddings by as much of the largest, and answers not at all.
    """
    settings = tiny_fitting(num_epochs=12)
    (tmp_path / "alone").mkdir()
    alone, together = (
        fit_folds(DATA, FOLDS, settings, folder=folder, num_together=number, compiled=False)
        for folder, number in ((tmp_path / "alone", 1), (tmp_path, 3))
    )
    assert len(list((tmp_path / "alone").iterdir())) == 3
    assert (tmp_path / "folds-0-1-2.pt").is_file()
    for ours, theirs, fold in zip(alone, together, FOLDS, strict=True):
        np.testing.assert_allclose(ours.curves, theirs.curves, rtol=0, atol=1e-5)
        largest = float(np.abs(ours.embeddings).max())
        np.testing.assert_allclose(ours.embeddings, theirs.embeddings, rtol=0, atol=1e-4 * largest)
        assert ours.last.tolist() == theirs.last.tolist()
        assert ours.best.tolist() == theirs.best.tolist()
        assert ours.embeddings.shape == (len(fold.test), 4)
    assert not np.allclose(alone[0].curves, alone[1].curves, atol=1e-2)


def test_an_epoch_is_that_of_a_plain_loop() -> None:
    """Of one network after the other, by torch's own means; the last batch is not full."""
    settings = tiny_fitting(num_epochs=1, dropout=0.0, learning_rate=0.02)
    together = Together(DATA, FOLDS, settings)
    networks = [together.networks.network(place).train() for place in range(3)]
    found = finish(together)
    for fitted, network, fold in zip(found, networks, FOLDS, strict=True):
        features, targets = DATA.features.permute(2, 1, 0), DATA.targets
        learning = [  # batch normalisation takes away the biases of what comes before it
            weight
            for name, weight in network.named_parameters()
            if not re.search(r"(first|second)\.bias", name)
        ]
        adam = torch.optim.Adam(learning, lr=0.02, betas=(0.93, 0.98))
        order = torch.randperm(len(fold.train), generator=torch.Generator().manual_seed(fold.seed))
        sums = 0.0
        for batch in torch.from_numpy(fold.train)[order].split(8):
            loss = F.cross_entropy(
                network.utterance(features[batch]), targets[batch], label_smoothing=0.1
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
            sums += loss.item() * len(batch)
        logits = network.eval().utterance(features[fold.test])
        loss = F.cross_entropy(logits, targets[fold.test], label_smoothing=0.1)
        expected = [sums / len(fold.train), loss.item()]
        np.testing.assert_allclose(fitted.curves[0, [0, 2]], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("room", "files"),
    [(0, {"0", "1", "2"}), (1, {"0", "1", "2"}), (2, {"0-1", "2"}), (3, {"0-1-2"}), (9, {"0-1-2"})],
)
def test_no_more_train_together_than_the_cache_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, files: set[str]
) -> None:
    """Unless a number is given, and one at least."""
    fitting = tiny_fitting(num_epochs=1)
    num_frames = DATA.features.shape[1]
    size = 2 * fitting.channels * num_frames * fitting.batch_size * 4
    monkeypatch.setattr(crossvalidation, "CACHE", room * size)
    fit_folds(DATA, FOLDS, fitting, folder=tmp_path, compiled=False)
    assert {path.stem for path in tmp_path.iterdir()} == {f"folds-{name}" for name in files}


def test_they_learn(tmp_path: Path) -> None:
    found = fit_folds(
        tiny_cepstra(48, distance=1.0),
        folds(["a"] * 48, by="utterance", seed=1, num_folds=2),
        tiny_fitting(num_epochs=30, learning_rate=0.02),
        folder=tmp_path,
        num_together=2,
        compiled=False,
    )
    for fitted in found:
        curves = dict(zip(MEASURES, fitted.curves.T, strict=True))
        assert curves["train_accuracy"][-1] > 0.9 and curves["test_accuracy"][-1] > 0.8
        assert curves["train_loss"][0] > 1.0 and curves["train_loss"][-1] < 0.6


def test_losses_are_kerass() -> None:
    """Label smoothing 0.1, of the first batch before it was learned from, and of the test."""
    together = begin(num_epochs=1, batch_size=100, dropout=0.0)
    networks = [together.networks.network(place).train() for place in range(3)]
    [fitted, *_] = finish(together)
    for place, (network, fold) in enumerate(zip(networks, FOLDS, strict=True)):
        with torch.no_grad():
            logits = network.utterance(DATA.features[:, :, fold.train].permute(2, 1, 0)).numpy()
        targets = DATA.targets.numpy()[fold.train]
        train_loss, accuracy, *_ = together.curves[0, :, place].tolist()
        assert train_loss == pytest.approx(smoothed_loss(logits, targets, 0.1), rel=1e-4)
        assert accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == targets))
    weights, bias = together.networks.classify[0], together.networks.classify_bias[0]
    logits = fitted.embeddings @ weights.detach().numpy().T + bias.detach().numpy()
    targets = DATA.targets.numpy()[FOLDS[0].test]
    loss, accuracy = fitted.curves[0, 2:].tolist()
    assert loss == pytest.approx(smoothed_loss(logits, targets, 0.1), rel=1e-4)
    assert accuracy == pytest.approx(np.mean(fitted.last == targets))
    assert fitted.last.tolist() == logits.argmax(axis=1).tolist()


def test_adam_is_set_as_in_the_paper_and_learns_all_that_can_be_learned() -> None:
    [group] = Together(DATA, FOLDS, Fitting(channels=3, num_blocks=2)).optimizer.param_groups
    assert (group["lr"], group["betas"], group["eps"]) == (0.001, (0.93, 0.98), 1e-8)
    assert group["weight_decay"] == 0 and not group["amsgrad"]
    [group] = begin(learning_rate=0.5, beta1=0.1, beta2=0.2, epsilon=0.3).optimizer.param_groups
    assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.1, 0.2), 0.3)
    together = begin(variant="without-dynamic-fusion")
    before = {name: weight.clone() for name, weight in together.networks.named_parameters()}
    finish(together)
    for name, weight in together.networks.named_parameters():
        assert torch.equal(weight, before[name]) == (name == "fusion"), name


def test_initial_weights_are_of_the_folds_seed_and_nobody_elses() -> None:
    before = torch.get_rng_state()
    taps = begin().networks.taps
    assert torch.equal(torch.get_rng_state(), before)
    alone = Together(DATA, FOLDS[1:2], tiny_fitting()).networks.taps
    assert torch.equal(alone, taps[:, 2:4])
    assert not torch.equal(taps[:, :2], taps[:, 2:4])


def test_the_best_epoch_is_the_first_in_which_most_are_right() -> None:
    together = begin(num_epochs=12, learning_rate=0.05)
    heard: list[list[np.ndarray]] = []
    for _ in together.epochs():
        heard.append([fitted.last for fitted in together.fitted()])
    earlier = 0
    for place, (fitted, fold) in enumerate(zip(together.fitted(), FOLDS, strict=True)):
        targets = DATA.targets.numpy()[fold.test]
        right = [int((epoch[place] == targets).sum()) for epoch in heard]
        np.testing.assert_allclose(fitted.curves[:, 3], np.array(right) / len(targets), rtol=1e-6)
        first = int(np.argmax(right))
        assert fitted.best.tolist() == heard[first][place].tolist()
        assert fitted.last.tolist() == heard[-1][place].tolist()
        earlier += first < len(right) - 1 and right[first] in right[first + 1 :]
    assert earlier  # there was something to choose between


def test_what_is_judged_now_and_then_is_judged_at_the_end() -> None:
    for fitted in finish(begin(num_epochs=5, judge_every=2)):
        known = ~np.isnan(fitted.curves)
        assert known.all(axis=1).tolist() == [False, True, False, True, True]
        assert known[:, :2].all()


def state(together: Together) -> dict[str, Tensor]:
    """All that can differ after the training."""
    moments = {
        f"{place} {name}": tensor
        for place, found in together.optimizer.state_dict()["state"].items()
        for name, tensor in found.items()
    }
    best = {f"best {place}": found for place, found in enumerate(together.best)}
    return {**together.networks.state_dict(), **moments, **best, "curves": together.curves}


def assert_same(found: Together, expected: Together) -> None:
    ours, theirs = state(found), state(expected)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name].nan_to_num(-1), tensor.nan_to_num(-1)), name


def test_what_was_interrupted_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    path, settings = tmp_path / "three.pt", {"num_epochs": 7, "judge_every": 3}
    whole, stopped, again = (begin(**settings) for _ in range(3))
    finish(whole)
    for epoch in stopped.epochs(path, every=2):
        if epoch == 5:
            break
    again.resume(path)
    assert again.epoch == 4  # of the last checkpoint
    finish(again, path, every=2)
    assert_same(again, whole)
    assert [file.name for file in tmp_path.iterdir()] == ["three.pt"]
    done = begin(**settings)
    done.resume(path)
    assert list(done.epochs(path)) == []
    assert_same(done, whole)


def test_more_epochs_go_on_where_the_others_ended(tmp_path: Path) -> None:
    path, whole = tmp_path / "three.pt", begin(num_epochs=5)
    finish(begin(num_epochs=3), path)
    more = begin(num_epochs=5)
    more.resume(path)
    assert more.epoch == 3
    finish(whole)
    finish(more, path)
    assert_same(more, whole)
    with pytest.raises(ValueError, match=r"of epoch 5, and num_epochs is lower"):
        begin(num_epochs=4).resume(path)


def test_a_damaged_checkpoint_is_one_line_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "three.pt"
    finish(begin(num_epochs=1), path)
    whole = path.read_bytes()
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    finish(Together(DATA, FOLDS[:2], tiny_fitting(num_epochs=1)), tmp_path / "two.pt")
    finish(begin(num_epochs=1, channels=5), tmp_path / "wide.pt")
    contents = [b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-100]]
    contents += [(tmp_path / f"{name}.pt").read_bytes() for name in ("list", "empty", "two")]
    contents.append((tmp_path / "wide.pt").read_bytes())
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            begin(num_epochs=1).resume(path)
        message = str(error.value)
        assert message.startswith(f"{path} cannot be gone on from (") and "\n" not in message
        assert message.endswith("; remove it")
        assert len(message) < 300 + len(str(path))


def test_what_checkpoints_hold_is_not_trained_again_and_progress_counts_it(
    tmp_path: Path,
) -> None:
    told: list[tuple[int, int]] = []
    options: dict[str, Any] = {"folder": tmp_path, "num_together": 2, "compiled": False}
    settings = tiny_fitting(num_epochs=2)
    first = fit_folds(DATA, FOLDS, settings, tell=lambda *now: told.append(now), **options)
    assert told == [(2, 1), (2, 1), (1, 1), (1, 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folds-0-1.pt", "folds-2.pt"]
    told.clear()
    again = fit_folds(DATA, FOLDS, settings, tell=lambda *now: told.append(now), **options)
    assert told == [(2, 2), (1, 2)]
    told.clear()
    more = replace(settings, num_epochs=3)
    fit_folds(DATA, FOLDS, more, tell=lambda *now: told.append(now), **options)
    assert told == [(2, 2), (2, 1), (1, 2), (1, 1)]
    for ours, theirs in zip(again, first, strict=True):
        for name in ("curves", "last", "best", "embeddings"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_only_networks_with_as_many_batches_are_together() -> None:
    none = np.empty(0, int)
    sizes = [9, 8, 5, 16, 4, 12]  # 3, 2, 2, 4, 1 and 3 batches
    dealt = [Fold(0, np.arange(size), none) for size in sizes]
    assert list(grouped(dealt, 4, 10)) == [[4], [1, 2], [0, 5], [3]]
    assert list(grouped(dealt, 4, 1)) == [[4], [1], [2], [0], [5], [3]]
    assert list(grouped(dealt[:3], 100, 2)) == [[0, 1], [2]]


def test_folds_of_unequal_numbers_of_batches_are_all_trained(tmp_path: Path) -> None:
    """In their order, whatever the groups are."""
    dealt = [FOLDS[0], Fold(7, np.arange(8), np.array([30])), FOLDS[2]]
    options: dict[str, Any] = {"num_together": 3, "compiled": False}
    found = fit_folds(DATA, dealt, tiny_fitting(), folder=tmp_path, **options)
    assert [len(fitted.last) for fitted in found] == [len(fold.test) for fold in dealt]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folds-0-2.pt", "folds-1.pt"]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("num_epochs", 0, "num_epochs is 0, no whole number from 1 on"),
        ("batch_size", 2.5, "batch_size is 2.5, no whole number"),
        ("judge_every", True, "judge_every is True, no whole number"),
        ("channels", "many", "channels is 'many', no whole number"),
        ("dropout", 1, "dropout is 1, no number from 0 to below 1"),
        ("beta2", -0.1, "beta2 is -0.1, no number from 0 to below 1"),
        ("label_smoothing", None, "label_smoothing is None, no number from 0"),
        ("learning_rate", 0, "learning_rate is 0, no number above 0"),
        ("epsilon", float("nan"), "epsilon is nan, no number above 0"),
        ("variant", "lstm", "unknown variant 'lstm'"),
        ("precision", "fp16", "in fp32 or bf16, not 'fp16'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Fitting(**{name: value})
