"""The training loop: it learns, in halves as in one go, and padding is not seen."""

from __future__ import annotations

import copy
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from speechbrain.core import Stage  # noqa: E402
from speechbrain.utils.run_opts import RunOptions  # noqa: E402
from tiny_training import (  # noqa: E402
    KINDS,
    distance,
    fit,
    logged,
    make_brain,
    settings,
    tiny_experiment,
    tiny_simulation,
    untrained,
)

from sed.corpora.simulation import FOUR_SEQUENCES  # noqa: E402
from sed.training.checks import check_settings  # noqa: E402
from sed.training.experiment import fitting  # noqa: E402
from sed.training.waveforms import SimulatedWaveforms, Waveforms  # noqa: E402

Weights = dict[str, torch.Tensor]


def test_encoder_and_head_learn_together(tmp_path: Path) -> None:
    """Until few frames are wrong; the frozen convolutions stay; both learning rates are logged."""
    model = untrained("encoder", dropout=0.1)
    before = copy.deepcopy(model.state_dict())
    fit(make_brain(model, tmp_path, settings("encoder"), num_epochs=10), tiny_simulation())
    frame_errors, emotion_errors = (logged(tmp_path, f"valid {n}") for n in ("frame_error", "eder"))
    assert len(frame_errors) == 10
    assert min(frame_errors) < 0.1 < frame_errors[0]
    assert min(emotion_errors) < 0.1  # the all-neutral one is about a half
    for name, start in (("encoder_lr", 1e-3), ("head_lr", 1e-2)):  # fall once errors do not
        rates = logged(tmp_path, name)
        assert rates[0] == pytest.approx(start, rel=0.01) and rates[-1] < 0.95 * start
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "head.classify.weight" in changed
    assert any(name.startswith("frontend.model.encoder") for name in changed)
    assert not any(".feature_extractor." in name for name in changed)


def test_cepstra_and_timnet_learn(tmp_path: Path) -> None:
    """With tempo, a warm-up and a cosine, and by the errors of the averaged weights."""
    model = untrained("cepstra", dropout=0.1)
    before = copy.deepcopy(model.state_dict())
    brain = make_brain(model, tmp_path, settings("cepstra"), num_epochs=6, num_batches=4)
    fit(brain, tiny_simulation())
    frame_errors = logged(tmp_path, "valid frame_error")
    assert frame_errors[-1] < 0.1 < frame_errors[0]
    rates = logged(tmp_path, "head_lr")
    assert rates[0] == pytest.approx(0.02, rel=0.1) and rates[-1] < 0.001
    shares = logged(tmp_path, "waited_for_data")
    assert all(0.0 < share < 1.0 for share in shares)
    assert min(logged(tmp_path, "audio_per_second")) > 0.0
    assert brain.average is not None
    averaged, last = brain.average.module.state_dict(), model.state_dict()
    assert 0.0 < distance(averaged, last) < distance(before, last)


def test_what_is_judged_are_the_averaged_weights(tmp_path: Path) -> None:
    """Weights that are spoilt do no harm to the errors, an average that is spoilt does."""
    brain = make_brain(untrained("cepstra"), tmp_path, settings("cepstra"), num_epochs=6)
    fit(brain, tiny_simulation())
    assert brain.average is not None
    examples = SimulatedWaveforms(tiny_simulation(), brain.model.specifications, seed=3)
    batch = Waveforms.batch([examples[0]])
    losses = []
    for spoilt in (None, brain.model, brain.average.module):
        if spoilt is not None:
            torch.nn.init.zeros_(spoilt.head.classify.weight)
        brain.on_stage_start(Stage.VALID)
        losses.append(float(brain.evaluate_batch(batch, Stage.VALID)))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_ends_in_the_same_weights(kind: str, tmp_path: Path) -> None:
    """Bit for bit, and so do the averaged ones; dropout and tempo are drawn in all epochs."""
    ends = []
    for folder, stops in ((tmp_path / "whole", (3,)), (tmp_path / "halves", (1, 3))):
        for num_epochs in stops:
            model = untrained(kind, dropout=0.1)
            brain = make_brain(model, folder, settings(kind), num_epochs=num_epochs)
            fit(brain, tiny_simulation())
            assert brain.batches.epoch == num_epochs  # each hears recordings of its own
        ends.append([model, *([] if brain.average is None else [brain.average])])
    for whole, halves in zip(*ends, strict=True):
        for name, expected in whole.state_dict().items():
            assert torch.equal(halves.state_dict()[name], expected), name
    assert distance(model.state_dict(), untrained(kind).state_dict()) > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_errors_do_not_see_the_padding(kind: str, tmp_path: Path) -> None:
    """The loss of a batch is the mean over its frames of what each recording has alone."""
    model = untrained(kind).eval()
    brain = make_brain(model, tmp_path, settings(kind))
    examples = SimulatedWaveforms(tiny_simulation(), model.specifications, seed=3)
    batches = [Waveforms.batch([examples[index]]) for index in range(3)]
    batches.append(Waveforms.batch([examples[index] for index in range(3)]))
    assert len(set(batches[-1].lengths.tolist())) > 1
    found: list[Any] = []
    for some in (batches[:3], batches[3:]):
        brain.on_stage_start(Stage.VALID)
        losses = [float(brain.evaluate_batch(batch, Stage.VALID)) for batch in some]
        found.append((losses, brain.errors, brain.emotion_errors, brain._statistics()))
    (alone, *errors, statistics), ([together], *same, judged) = found
    assert same == errors
    counts = [model.frontend.num_frames(int(length)) for length in batches[-1].lengths]
    mean = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    assert together == pytest.approx(mean, rel=1e-5)
    assert judged == pytest.approx(statistics, rel=1e-5)
    assert judged["loss"] == pytest.approx(together, rel=1e-5)


EQUALLY_LONG = {"NE": 0.5, "EN": 0.5}


def trained(kind: str, folder: Path, sequences: Any = FOUR_SEQUENCES, **options: Any) -> Weights:
    """Weights after one epoch, with nothing left to chance."""
    # A gradient of almost zero moves the weights by almost nothing, other than with Adam.
    sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    hparams = settings(
        kind, encoder_opt_class=sgd, head_opt_class=sgd, tempo=1.0, average_decay=None
    )
    if kind == "cepstra":
        hparams["head_schedule"] = settings("encoder")["head_schedule"]
    model = untrained(kind)
    fit(make_brain(model, folder, hparams, **options), tiny_simulation(**sequences))
    return model.state_dict()


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    """Where all recordings are equally long, two batches of two are one of four, to 1e-6."""
    halved = {"num_batches": 6, "batch_size": 2}
    accumulated = {**halved, "grad_accumulation_factor": 2}
    whole, halves, steps = (
        trained("encoder", tmp_path / name, EQUALLY_LONG, **options)
        for name, options in (
            ("whole", {"num_batches": 3, "batch_size": 4}),
            ("halves", accumulated),
            ("steps", halved),
        )
    )
    assert distance(halves, whole) < 1e-6
    assert distance(steps, whole) > 1e-3
    assert distance(untrained("encoder").state_dict(), whole) > 1e-3


def test_an_epoch_that_ends_amid_accumulated_batches_is_refused(tmp_path: Path) -> None:
    hparams, _ = tiny_experiment("cepstra", tmp_path, steps_per_epoch=3)
    options = {factor: {"grad_accumulation_factor": factor} for factor in (1, 2, 3)}
    with pytest.raises(ValueError, match="steps_per_epoch 3 is no multiple of grad_accumulation"):
        check_settings(hparams, RunOptions.from_dictionary(options[2]))
    for factor in (1, 3):
        check_settings(hparams, RunOptions.from_dictionary(options[factor]))


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_ends_near_float32(kind: str, tmp_path: Path) -> None:
    """With weights in float32, within a twentieth of the way that they went."""
    full, mixed = (
        trained(kind, tmp_path / precision, num_batches=6, precision=precision)
        for precision in ("fp32", "bf16")
    )
    assert all(weight.dtype == torch.float32 for weight in mixed.values())
    assert 0.0 < distance(mixed, full) < 0.05 * distance(untrained(kind).state_dict(), full)
    [loss], [near] = (logged(tmp_path / name, "valid loss") for name in ("fp32", "bf16"))
    assert near == pytest.approx(loss, rel=0.05)


def test_ctrl_c_ends_the_training_between_two_batches(tmp_path: Path) -> None:
    """Where nothing can get lost; the second one comes at once."""
    brain = make_brain(untrained("encoder"), tmp_path, settings("encoder"), num_epochs=1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), fitting(brain):
            signal.raise_signal(signal.SIGINT)
            fit(brain, tiny_simulation())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt), fitting(brain):
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second interruption was not heard")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "train_log.txt").exists()
