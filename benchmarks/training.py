"""Fine-tuning WavLM-large: SpeechBrain's step against `sed`'s, and whether the data keeps up.

    python benchmarks/training.py [--batches 8] [--clip 2.5 4.5] [--device cuda] [--check]

Claims: with the settings of recipes/ZaionEmotionDataset a step (forward, loss, backward, both
optimisers) is not slower than that of SpeechBrain's recipe; in bfloat16, and with recordings of
about the same length side by side, at least 1.5 times as much audio is learned from in the same
time; simulating the recordings in one process never keeps the model waiting.

SpeechBrain's recipe is no part of its package: `PublishedStep` does what it does with SpeechBrain's
own parts, in SpeechBrain's loop, which ours runs in too. Both start from the same random weights
and learn from the same recordings, which are simulated from noise; no layer is dropped at random,
so that all steps cost the same. The systems take turns, batch by batch, so what slows the machine
down slows all of them. The exit status is 1 where a claim does not hold; with `--check` everything
is tried out in small, and the figures mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.integrations.huggingface.wavlm import WavLM
from speechbrain.nnet.activations import Softmax
from speechbrain.nnet.linear import Linear
from speechbrain.nnet.losses import nll_loss
from speechbrain.nnet.pooling import Pooling1d
from speechbrain.processing.features import InputNormalization
from torch import Tensor
from torch.utils.data import DataLoader
from wavlm_large import save_encoder

from sed.corpora import Utterance
from sed.corpora.augmentation import Augmentation
from sed.corpora.simulation import LOUDNESS, Simulation
from sed.corpora.stored import StoredClip
from sed.model import EmotionModel
from sed.training.batches import EpochBatches
from sed.training.brain import EmotionBrain
from sed.training.checkpoints import WholeCheckpointer
from sed.training.experiment import make_model
from sed.training.logs import EpochLog
from sed.training.settings import load_settings, read_settings
from sed.training.waveforms import SimulatedWaveforms, Waveforms

SAMPLE_RATE = 16_000
RECIPE = Path(__file__).resolve().parents[1] / "recipes/ZaionEmotionDataset/emotion_diarization"
GROUP = 32
PUBLISHED = {"activation_dropout": 0.0, "feat_proj_dropout": 0.1, "layerdrop": 0.0}
"""Settings of microsoft/wavlm-large that are not the defaults, but for the layers dropped, 0.1."""


class PublishedStep(sb.Brain):
    """SpeechBrain's ZaionEmotionDataset recipe: what a training step computes."""

    def init_optimizers(self) -> None:
        """Two, with the published learning rates."""
        self.optimizers_dict = {
            "wav2vec2": torch.optim.Adam(self.modules.wav2vec2.parameters(), lr=1e-5),
            "model": torch.optim.Adam(self.modules.output_mlp.parameters(), lr=1e-4),
        }

    def compute_forward(self, batch: PaddedBatch, stage: sb.Stage) -> Tensor:
        """Log-posteriors; the encoder is not told where the padding begins."""
        waveforms, lengths = batch.to(self.device).sig
        features = self.modules.wav2vec2(self.modules.input_norm(waveforms, lengths))
        logits = self.modules.output_mlp(self.modules.avg_pool(features))
        return self.modules.log_softmax(logits)

    def compute_objectives(self, found: Tensor, batch: PaddedBatch, stage: sb.Stage) -> Tensor:
        """Mean over all frames, those of the padding as the first class."""
        targets, _ = batch.emo_encoded
        return nll_loss(found, targets)


def published_modules(folder: Path) -> dict[str, torch.nn.Module]:
    """Network of SpeechBrain's recipe on the encoder in a folder."""
    encoder = WavLM(str(folder), f"{folder}-cache", output_norm=True, freeze_feature_extractor=True)
    encoder.model.feature_extractor._freeze_parameters()  # as the recipe does, too
    return {
        "input_norm": InputNormalization(norm_type="sentence", std_norm=False),
        "wav2vec2": encoder,
        "avg_pool": Pooling1d("avg", kernel_size=1, stride=1, ceil_mode=True),
        "output_mlp": Linear(input_size=1024, n_neurons=4, bias=False),
        "log_softmax": Softmax(apply_log=True),
    }


@dataclass
class System:
    """What learns, what from, and how long its steps took."""

    name: str
    brain: sb.Brain
    batches: list[Any]
    seconds: list[float] = field(default_factory=list)

    def step(self, number: int) -> None:
        """Learn from a batch; the loss that `fit_batch` returns is there when all is done."""
        start = time.perf_counter()
        self.brain.fit_batch(self.batches[number])
        self.seconds.append(time.perf_counter() - start)


def settings(folder: Path) -> dict[str, Any]:
    """Those of the recipe, with random weights."""
    changes = f"{{data_folder: none, frontend: {{source: {folder / 'encoder'}}}}}"
    return load_settings(read_settings(RECIPE / "hparams/train.yaml"), changes)


def make_simulation(folder: Path, clip: Sequence[float], classes: Sequence[str]) -> Simulation:
    """Recordings of clips that last so many seconds, each noise that swells and fades."""
    rng = np.random.default_rng(0)
    path, start, clips = folder / "clips.f32", 0, []
    with open(path, "wb") as stream:
        for number in range(128):
            emotion, speaker = classes[number % 4], f"speaker-{number // 4 % 4}"
            num_samples = round(rng.uniform(*clip) * SAMPLE_RATE)
            syllables = 1.0 + np.sin(np.arange(num_samples) * (2 * np.pi * 4 / SAMPLE_RATE))
            samples = LOUDNESS * syllables * rng.standard_normal(num_samples)
            stream.write(samples.astype(np.float32).tobytes())
            utterance = Utterance(f"clip-{number}", path, speaker, "noise", emotion)
            clips.append(StoredClip(utterance, path, start, num_samples))
            start += num_samples
    return Simulation(clips, classes=classes, sample_rate=SAMPLE_RATE)


def everything() -> Augmentation:
    """What recipes change by default, all at once, so the dearest."""
    rng = np.random.default_rng(0)
    room = rng.standard_normal(SAMPLE_RATE // 2) * np.exp(-np.arange(SAMPLE_RATE // 2) / 1000)
    return Augmentation(
        noises=[rng.standard_normal(10 * SAMPLE_RATE).astype(np.float32)],
        noise_probability=1.0,
        speed=1.1,
        rooms=[room.astype(np.float32)],
        room_probability=1.0,
    )


def padded(batch: Waveforms) -> PaddedBatch:
    """The same recordings as SpeechBrain's recipe gets them."""
    rows = zip(batch.waveforms, batch.targets, batch.lengths.tolist(), strict=True)
    return PaddedBatch(
        [
            {"id": str(number), "sig": row[:length], "emo_encoded": targets[targets >= 0]}
            for number, (row, targets, length) in enumerate(rows)
        ]
    )


def loader(
    examples: SimulatedWaveforms, batches: EpochBatches, num_workers: int
) -> DataLoader[Waveforms]:
    """Batches as the recipe loads them."""
    return DataLoader(
        examples, batch_sampler=batches, collate_fn=Waveforms.batch, num_workers=num_workers
    )


def audio_in(batches: Iterable[Waveforms]) -> float:
    """Seconds of audio, padding left out."""
    return sum(float(batch.lengths.sum()) for batch in batches) / SAMPLE_RATE


def padding_in(batches: list[Waveforms]) -> float:
    """Share of samples that are padding."""
    return 1.0 - audio_in(batches) * SAMPLE_RATE / sum(b.waveforms.numel() for b in batches)


def make_systems(
    options: argparse.Namespace, folder: Path, examples: SimulatedWaveforms, model: EmotionModel
) -> list[System]:
    """SpeechBrain's step and ours, each a model and its optimisers that compute in several ways."""
    hparams, modules = settings(folder), published_modules(folder / "encoder")
    count, size = options.batches, hparams["batch_size"]
    grouping = EpochBatches(count, size, length_of=examples.length_of, group=GROUP)
    drawn = list(loader(examples, EpochBatches(count, size), 0))
    grouped = list(loader(examples, grouping, 0))
    print(
        f"{count} batches of {size} recordings, {audio_in(drawn):.0f} s in all; padding is "
        f"{padding_in(drawn):.0%} of them as they are drawn, {padding_in(grouped):.0%} grouped\n"
    )
    systems, brains, optimizers = [], {}, {}
    for precision, dtype in (("fp32", "float32"), ("bf16", "bfloat16")):
        run_opts = {"device": options.device, "precision": precision}
        brains["theirs"] = PublishedStep(modules, run_opts=run_opts)
        brains["ours"] = EmotionBrain(
            model,
            batches=grouping,
            log=EpochLog(folder, tensorboard=False),
            hparams=hparams,
            run_opts=run_opts,
            checkpointer=WholeCheckpointer(folder / "save", {"model": model}),
        )
        for name, brain in brains.items():
            brain.on_fit_start()
            brain.optimizers_dict = optimizers.setdefault(name, brain.optimizers_dict)
        published = [padded(batch) for batch in drawn]
        systems += [
            System(f"SpeechBrain, {dtype}", brains["theirs"], published),
            System(f"sed, {dtype}", brains["ours"], drawn),
            System(f"sed, {dtype}, grouped", brains["ours"], grouped),
        ]
    return systems


@torch.inference_mode()
def largest_difference(theirs: PublishedStep, ours: EmotionBrain, example: Waveforms) -> float:
    """Of the posteriors of a recording that stands alone, so without padding, before training."""
    theirs.modules.eval()
    ours.modules.eval()
    theirs.modules.output_mlp.w.weight.copy_(ours.model.head.classify.weight)
    batch = Waveforms.batch([example])
    expected = theirs.compute_forward(padded(batch), sb.Stage.VALID).exp()
    logits, _ = ours.compute_forward(batch, sb.Stage.VALID)
    return float((logits.softmax(dim=-1) - expected).abs().max())


def take_turns(systems: list[System], num_batches: int) -> None:
    """Steps of all systems on each batch, after one that is not counted."""
    for system in systems:
        system.brain.modules.train()
        system.brain.on_stage_start(sb.Stage.TRAIN, 1)
        system.step(0)
        system.seconds.clear()
    for number in range(num_batches):
        for system in systems:
            system.step(number)


def loading_rate(examples: SimulatedWaveforms, num_batches: int, batch_size: int) -> float:
    """Seconds of audio per second that one process simulates, its start left out."""
    batches = iter(loader(examples, EpochBatches(num_batches + 1, batch_size), 1))
    next(batches)
    start = time.perf_counter()
    return audio_in(batches) / (time.perf_counter() - start)


def compare(options: argparse.Namespace, folder: Path) -> bool:
    """Measure and print everything, and say whether all claims hold."""
    save_encoder(folder / "encoder", options.layers, **PUBLISHED)
    model = make_model(settings(folder))
    simulation = make_simulation(folder, options.clip, model.specifications.classes)
    drawn = partial(SimulatedWaveforms, simulation, model.specifications, seed=0)
    systems = make_systems(options, folder, drawn(), model)
    difference = largest_difference(systems[0].brain, systems[1].brain, drawn()[0])
    take_turns(systems, options.batches)

    audio = audio_in(systems[1].batches)
    rates = {system.name: audio / sum(system.seconds) for system in systems}
    peer = rates["SpeechBrain, float32"]
    print(f"{'':24}{'s a step':>10}{'audio s/s':>11}{'ratio':>8}")
    for name, rate in rates.items():
        step = audio / options.batches / rate
        print(f"{name:24}{step:10.2f}{rate:11.2f}{rate / peer:7.2f}x")

    brain = systems[-1].brain
    systems.clear()  # SpeechBrain's side makes room for the optimisers of a fit
    size, augmented = brain.batches.batch_size, drawn(augmentation=everything())
    plain, dear = (loading_rate(made, options.loaded, size) for made in (drawn(), augmented))
    print(f"one process simulates {plain:.0f} s of audio in a second, {dear:.0f} s augmented\n")
    brain.fit([1], loader(augmented, brain.batches, 1), progressbar=False)
    waited = brain.train_statistics["waited_for_data"]

    step, best = rates["sed, float32"] / peer, rates["sed, bfloat16, grouped"] / peer
    data = dear / max(rates.values())
    claims = [
        ("both give the same posteriors", f"to {difference:.0e} (1e-03)", difference < 1e-3),
        ("a step of the recipe", f"{step:.2f} times as fast (1)", step >= 1),
        ("bfloat16, grouped by length", f"{best:.2f} times as fast (1.5)", best >= 1.5),
        ("simulating, augmented", f"{data:.0f} times as fast as learning (2)", data >= 2),
        ("a fit waits for its data", f"{waited:.1%} of the time (at most 5%)", waited <= 0.05),
    ]
    for what, figure, holds in claims:
        print(f"{'ok  ' if holds else 'FAIL'}  {what:36}{figure}")
    return all(holds for _, _, holds in claims)


def main() -> None:
    """Print the table and the claims."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--layers", type=int, default=24)
    clip = "seconds of the shortest and the longest clip; recordings have one to three"
    parser.add_argument("--clip", type=float, nargs=2, default=[2.5, 4.5], help=clip)
    parser.add_argument("--loaded", type=int, default=200, help="batches to time the loader on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--check", action="store_true", help="a small try")
    options = parser.parse_args()
    if options.check:
        options.layers, options.batches, options.clip, options.loaded = 2, 2, [0.5, 1.0], 20
    versions = (f"{name} {version(name)}" for name in ("torch", "speechbrain", "transformers"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.device}")
    print(", ".join(versions) + f"; WavLM-large, {options.layers} layers")
    with tempfile.TemporaryDirectory() as name:
        hold = compare(options, Path(name))
    sys.exit(not (hold or options.check))


if __name__ == "__main__":
    main()
