"""Training from the waveform on: it learns, in halves as in one go, and padding is not seen."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_encoders import BASE
from torch.utils.data import DataLoader

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from speechbrain.core import Stage  # noqa: E402
from speechbrain.nnet.schedulers import NewBobScheduler  # noqa: E402
from speechbrain.utils.epoch_loop import EpochCounter  # noqa: E402
from speechbrain.utils.train_logger import FileTrainLogger  # noqa: E402

from sed.corpora import Utterance  # noqa: E402
from sed.corpora.augmentation import Augmentation  # noqa: E402
from sed.corpora.simulation import Clip, Simulation  # noqa: E402
from sed.model import EmotionModel  # noqa: E402
from sed.training.checkpoints import WholeCheckpointer  # noqa: E402
from sed.training.data import EpochSampler  # noqa: E402
from sed.training.finetuning import FineTuningBrain  # noqa: E402
from sed.training.waveforms import SimulatedWaveforms, Waveforms  # noqa: E402

CLASSES = ["neutral", "happy", "sad"]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random weights and inputs that are the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def model() -> EmotionModel:
    """Tiny model whose convolutions stay as they are."""
    config = {**BASE, "num_hidden_layers": 1, "layerdrop": 0.0}
    return EmotionModel(
        classes=CLASSES,
        frontend={"name": "wavlm", "config": config, "trainable": "transformer"},
        head={"name": "linear", "bias": False},
        window=20.0,
    )


@pytest.fixture
def simulation(rng: np.random.Generator) -> Simulation:
    """Noise for neutral, a low and a high tone for the emotions."""
    time = np.arange(8_000) / 16_000
    clips = [
        Clip(Utterance(emotion, Path(f"{emotion}.wav"), "a", "toy", emotion), samples)
        for emotion, samples in {
            "neutral": (0.05 * rng.standard_normal(8_000)).astype(np.float32),
            "happy": (0.05 * np.sin(2 * np.pi * 300 * time)).astype(np.float32),
            "sad": (0.05 * np.sin(2 * np.pi * 2000 * time)).astype(np.float32),
        }.items()
    ]
    return Simulation(clips, classes=CLASSES, sample_rate=16_000)


def brain(model: EmotionModel, folder: Path, num_epochs: int, **changes: Any) -> FineTuningBrain:
    counter = EpochCounter(num_epochs)
    hparams = {
        "encoder_opt_class": partial(torch.optim.Adam, lr=1e-3),
        "head_opt_class": partial(torch.optim.Adam, lr=1e-2),
        "encoder_schedule": NewBobScheduler(1e-3, annealing_factor=0.9),
        "head_schedule": NewBobScheduler(1e-2, annealing_factor=0.8),
        "loss": {},
        "decoding": {"path": "argmax", "min_duration_on": 0.0, "min_duration_off": 0.0},
        "seed": 1,
        "sampler": EpochSampler(8),
        "keep_best_by": "eder",
        "train_logger": FileTrainLogger(str(folder / "log.txt")),
        "epoch_counter": counter,
        **changes,
    }
    checkpointer = WholeCheckpointer(
        folder / "save",
        {
            "model": model,
            "counter": counter,
            "encoder_schedule": hparams["encoder_schedule"],
            "head_schedule": hparams["head_schedule"],
        },
    )
    return FineTuningBrain(
        modules={"model": model},
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=checkpointer,
    )


def fit(loop: FineTuningBrain, simulation: Simulation) -> None:
    model: EmotionModel = loop.modules.model
    make = partial(SimulatedWaveforms, simulation, model.specifications)
    train = DataLoader(
        make(seed=1), batch_size=4, sampler=loop.hparams.sampler, collate_fn=Waveforms.batch
    )
    fixed = [make(seed=2)[index] for index in range(4)]
    valid = DataLoader(fixed, batch_size=3, collate_fn=Waveforms.batch)
    loop.fit(loop.hparams.epoch_counter, train, valid)


def test_encoder_and_head_learn_together(
    model: EmotionModel, simulation: Simulation, tmp_path: Path
) -> None:
    """Until few frames are wrong; the frozen convolutions stay; both learning rates are logged."""
    before = copy.deepcopy(model.state_dict())
    loop = brain(model, tmp_path, num_epochs=10)
    fit(loop, simulation)
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert len(log) == 10 and "encoder_lr" in log[0] and "head_lr" in log[0]
    frame_errors = [float(line.split("valid frame_error: ")[1].split(",")[0]) for line in log]
    assert min(frame_errors) < 0.1 < frame_errors[0]
    emotion_errors = [float(line.split("valid eder: ")[1].split(",")[0]) for line in log]
    assert min(emotion_errors) < 0.1  # the all-neutral one is about a half
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "head.classify.weight" in changed
    assert any(name.startswith("frontend.model.encoder") for name in changed)
    assert not any(".feature_extractor." in name for name in changed)


def test_a_resumed_run_ends_in_the_same_weights(
    model: EmotionModel, simulation: Simulation, tmp_path: Path
) -> None:
    twin = copy.deepcopy(model)
    fit(brain(model, tmp_path / "whole", 3, keep_best_by="frame_error"), simulation)
    for num_epochs in (1, 3):  # stopped after the first
        again = copy.deepcopy(twin)
        fit(brain(again, tmp_path / "halves", num_epochs, keep_best_by="frame_error"), simulation)
    for (name, expected), found in zip(
        model.state_dict().items(), again.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=name)


def test_loss_and_errors_do_not_see_the_padding(
    model: EmotionModel, simulation: Simulation, tmp_path: Path
) -> None:
    """The loss of a batch is the mean over its frames of what each recording has alone."""
    loop = brain(model.eval(), tmp_path, 1)
    examples = [SimulatedWaveforms(simulation, model.specifications, seed=3)[i] for i in range(3)]
    assert len({len(example.waveforms) for example in examples}) > 1
    with torch.no_grad():
        loop.on_stage_start(Stage.VALID)
        losses, counts = [], []
        for example in examples:
            alone = Waveforms.batch([example])
            losses.append(loop.compute_objectives(
                loop.compute_forward(alone, Stage.VALID), alone, Stage.VALID))  # fmt: skip
            counts.append(model.frontend.num_frames(len(example.waveforms)))
        scored = list(loop.emotion_errors)
        loop.on_stage_start(Stage.VALID)
        batch = Waveforms.batch(examples)
        together = loop.compute_objectives(
            loop.compute_forward(batch, Stage.VALID), batch, Stage.VALID
        )
    weights = torch.tensor(counts, dtype=torch.float32)
    torch.testing.assert_close(together, (torch.stack(losses) * weights).sum() / weights.sum())
    assert loop.emotion_errors == scored


def test_targets_are_as_many_as_the_cells_of_what_is_heard(simulation: Simulation) -> None:
    specifications = EmotionModel.from_pretrained("timnet-mfcc").specifications
    augmented = SimulatedWaveforms(
        simulation, specifications, seed=4, augmentation=Augmentation(speed=1.3)
    )
    for index in range(6):
        example = augmented[index]
        assert len(example.targets) == specifications.grid.num_frames(len(example.waveforms))
        assert example.waveforms.dtype == torch.float32
