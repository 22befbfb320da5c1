"""Trainings small enough for tests: tones for emotions, tiny models, and the brain around them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml
from running import EMBEDDED, ZED
from speechbrain.nnet.schedulers import NewBobScheduler
from speechbrain.utils.epoch_loop import EpochCounter
from tiny_encoders import BASE
from torch.utils.data import DataLoader

from sed.corpora import Utterance
from sed.corpora.simulation import FOUR_SEQUENCES, Clip, Simulation
from sed.model import EmotionModel
from sed.training.batches import EpochBatches
from sed.training.brain import EmotionBrain
from sed.training.checkpoints import WholeCheckpointer
from sed.training.logs import EpochLog
from sed.training.schedules import WarmupCosine
from sed.training.settings import load_settings, read_settings
from sed.training.waveforms import SimulatedWaveforms, Waveforms

CLASSES = ["neutral", "happy", "sad"]
RATE = 16_000
KINDS = ["encoder", "cepstra"]
ENCODER = {
    **BASE,
    "num_hidden_layers": 1,
    **dict.fromkeys(("layerdrop", "hidden_dropout", "attention_dropout"), 0.0),
    **dict.fromkeys(("activation_dropout", "feat_proj_dropout"), 0.0),
}
ARGMAX = {"path": "argmax", "min_duration_on": 0.0, "min_duration_off": 0.0}


def tones(seconds: float = 0.5) -> dict[str, np.ndarray]:
    """Noise for neutral, a low and a high tone for the emotions."""
    num_samples = round(seconds * RATE)
    time = np.arange(num_samples) / RATE
    sounds = {
        "neutral": np.random.default_rng(0).standard_normal(num_samples),
        "happy": np.sin(2 * np.pi * 300 * time),
        "sad": np.sin(2 * np.pi * 2000 * time),
    }
    return {emotion: (0.05 * samples).astype(np.float32) for emotion, samples in sounds.items()}


def tiny_simulation(seconds: float = 0.5, **sequences: float) -> Simulation:
    """Recordings of one to three tones, or of other sequences."""
    clips = [
        Clip(Utterance(emotion, Path(f"{emotion}.wav"), "a", "toy", emotion), samples)
        for emotion, samples in tones(seconds).items()
    ]
    return Simulation(
        clips, classes=CLASSES, sample_rate=RATE, sequences=sequences or FOUR_SEQUENCES
    )


def untrained(kind: str, *, dropout: float = 0.0) -> EmotionModel:
    """An encoder under a linear layer, or cepstra under a TIM-Net; always the same weights."""
    frontend: dict[str, Any]
    if kind == "encoder":
        config = {**ENCODER, "hidden_dropout": dropout}
        frontend = {"name": "wavlm", "config": config, "trainable": "transformer"}
        head: dict[str, Any] = {"name": "linear", "bias": False}
    else:
        sizes = {"sample_rate": RATE, "hop": 320, "window_length": 512, "fft_size": 512}
        frontend = {"name": "mfcc", **sizes, "normalization": 2.0}
        head = {"name": "timnet", "channels": 8, "num_blocks": 3, "dropout": dropout}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EmotionModel(classes=CLASSES, frontend=frontend, head=head, window=20.0)


def settings(kind: str, **changes: Any) -> dict[str, Any]:
    """What the brain is told: NewBob and two optimisers, or all that the small model uses."""
    shared = {"decoding": ARGMAX, "loss": {}, "seed": 1, "keep_best_by": "frame_error"}
    if kind == "encoder":
        own = {
            "encoder_opt_class": partial(torch.optim.Adam, lr=1e-3),
            "head_opt_class": partial(torch.optim.Adam, lr=1e-2),
            "encoder_schedule": NewBobScheduler(1e-3, annealing_factor=0.9),
            "head_schedule": NewBobScheduler(1e-2, annealing_factor=0.8),
            "tempo": 1.0,
            "average_decay": None,
        }
    else:
        own = {
            "head_opt_class": partial(torch.optim.AdamW, lr=1.0),
            "head_schedule": WarmupCosine(0.02, warmup_steps=2, num_steps=24),
            "tempo": 1.25,
            "average_decay": 0.8,
        }
    return {**shared, **own, **changes}


def make_brain(
    model: EmotionModel,
    folder: Path,
    hparams: dict[str, Any],
    *,
    num_epochs: int = 1,
    num_batches: int = 2,
    batch_size: int = 4,
    **run_opts: Any,
) -> EmotionBrain:
    """A brain, and the counter of its epochs in ``hparams.counter``."""
    counter = EpochCounter(num_epochs)
    recoverables = {"model": model, "counter": counter}
    for name, value in hparams.items():
        if isinstance(value, NewBobScheduler):
            recoverables[name] = value
    return EmotionBrain(
        model,
        batches=EpochBatches(num_batches, batch_size),
        log=EpochLog(folder, tensorboard=False),
        hparams={**hparams, "counter": counter},
        run_opts={"device": "cpu", "noprogressbar": True, **run_opts},
        checkpointer=WholeCheckpointer(folder / "save", recoverables),
    )


def fit(brain: EmotionBrain, simulation: Simulation) -> None:
    """Train on fresh recordings, and judge by four fixed ones."""
    examples = SimulatedWaveforms(simulation, brain.model.specifications, seed=1)
    judged = SimulatedWaveforms(simulation, brain.model.specifications, seed=2)
    fixed: Any = [judged.numbered(index) for index in range(4)]
    brain.fit(
        brain.hparams.counter,
        DataLoader(examples, batch_sampler=brain.batches, collate_fn=Waveforms.batch),
        DataLoader(fixed, batch_size=3, collate_fn=Waveforms.batch),
    )


EXPERIMENTS = {
    "encoder": f"""\
extends: {ZED}/hparams/debug.yaml
frontend:
  name: wavlm
  config: {json.dumps(ENCODER)}
  output_norm: true
  trainable: transformer
encoder_opt_class: !name:torch.optim.SGD {{lr: 0.1, momentum: 0.9}}
head_opt_class: !name:torch.optim.SGD {{lr: 0.1, momentum: 0.9}}
""",
    "cepstra": f"""\
extends: {EMBEDDED}/hparams/timnet-mfcc.yaml
head: {{name: timnet, channels: 8, num_blocks: 3, dropout: 0.0}}
learning_rate: 0.1
head_opt_class: !name:torch.optim.SGD {{lr: 1.0, momentum: 0.9}}
augmentation: null
""",
}
"""The recipes' settings, with tiny models and without chance; SGD, which a gradient of almost zero
moves by almost nothing."""


def tiny_experiment(
    kind: str, folder: Path, **changes: Any
) -> tuple[dict[str, Any], dict[str, list[Utterance]]]:
    """Settings of an experiment in a folder, and the utterances that are written beside it."""
    parts: dict[str, list[Utterance]] = {"train": [], "valid": []}
    for part, utterances in parts.items():
        for number, (emotion, samples) in enumerate(tones(0.6).items()):
            path = folder / "corpus" / f"{part}-{emotion}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples[: len(samples) - 1111 * number], RATE)
            utterances.append(Utterance(path.stem, path, part, "toy", emotion))
    (folder / "settings.yaml").write_text(EXPERIMENTS[kind], encoding="utf-8")
    shared = {
        **{"data_folder": str(folder), "output_folder": str(folder / "out")},
        **{"speech_folder": str(folder / "speech"), "corpora": ["toy"], "vad": "none"},
        **{"num_epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "sorted_batches": 2},
        **{"num_valid": 5, "num_workers": 0, "tensorboard": False, "decoding": ARGMAX},
        **{"tempo": 1.0, "average_decay": None, "keep_best_by": "loss"},
        **{"calibrated": False},
    }
    overrides = yaml.safe_dump({**shared, **changes})
    return load_settings(read_settings(folder / "settings.yaml"), overrides), parts


def logged(folder: Path, name: str) -> list[float]:
    """A number of each epoch, as ``train_log.txt`` has it."""
    lines = (folder / "train_log.txt").read_text(encoding="utf-8").splitlines()
    return [float(line.split(f"{name}: ")[1].split(",")[0].split(" ")[0]) for line in lines]


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Of weights, relative to their norm."""
    assert found.keys() == expected.keys()
    ours, theirs = (
        torch.cat([tensor.flatten().double() for tensor in weights.values()])
        for weights in (found, expected)
    )
    return float((ours - theirs).norm() / theirs.norm())
