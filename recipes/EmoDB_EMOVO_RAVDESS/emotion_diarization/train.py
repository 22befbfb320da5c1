"""Train the embedded model: MFCC + TIM-Net on simulated recordings of acted emotional speech.

    python train.py hparams/timnet-mfcc.yaml --data_folder=FOLDER

Run it again to go on after an interruption.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import speechbrain as sb
import torch
from data import read_clips
from hyperpyyaml import load_hyperpyyaml
from torch.utils.data import DataLoader

from sed.audio import Recording, find_recordings
from sed.corpora.augmentation import Augmentation
from sed.corpora.simulation import FOUR_SEQUENCES, Clip, Simulation
from sed.training.brain import EmotionBrain
from sed.training.data import EpochSampler, Example, SimulatedExamples


def examples(
    hparams: dict,
    clips: Iterable[Clip],
    *,
    sequences: Mapping[str, float] = FOUR_SEQUENCES,
    augmentation: Augmentation | None = None,
) -> SimulatedExamples:
    """Examples drawn from clips, on the model's own features and frame grid."""
    model = hparams["model"]
    return SimulatedExamples(
        Simulation(
            clips,
            classes=hparams["classes"],
            sample_rate=hparams["sample_rate"],
            sequences=sequences,
        ),
        frontend=model.frontend.mfcc,
        normalization=model.frontend.normalization,
        grid=model.specifications.grid,
        classes=model.specifications.classes,
        neutral=model.specifications.neutral,
        seed=hparams["seed"],
        augmentation=augmentation,
        tempo=hparams["tempo"],
    )


def loaders(hparams: dict, clips: dict[str, list[Clip]]) -> tuple[DataLoader, DataLoader]:
    """Fresh training recordings in every epoch, fixed validation recordings."""
    noises = []
    if hparams["noise_folder"]:
        for path in find_recordings(hparams["noise_folder"]):
            noises.append(Recording.open(path).samples(hparams["sample_rate"]))
    train = examples(
        hparams,
        clips["train"],
        sequences=hparams["train_sequences"],
        augmentation=hparams["augmentation"](noises),
    )
    valid = examples(hparams, clips["valid"])
    fixed = [
        valid.example(recording, None)
        for recording in valid.simulation.draw_set(hparams["num_valid"], hparams["seed"])
    ]
    hparams["sampler"] = EpochSampler(hparams["steps_per_epoch"] * hparams["batch_size"])
    return (
        DataLoader(
            train,
            batch_size=hparams["batch_size"],
            sampler=hparams["sampler"],
            collate_fn=Example.batch,
            num_workers=hparams["num_workers"],
            worker_init_fn=lambda worker: torch.set_num_threads(1),
        ),
        DataLoader(fixed, batch_size=hparams["batch_size"], collate_fn=Example.batch),
    )


def main() -> None:
    """Train, then write the best weights as a folder that `from_pretrained` reads."""
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    with open(hparams_file) as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    sb.create_experiment_directory(hparams["output_folder"], hparams_file, overrides)
    model = hparams["model"]
    clips = read_clips(hparams, hparams["classes"], ["train", "valid"])
    train, valid = loaders(hparams, clips)
    brain = EmotionBrain(
        modules={"model": model},
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    hparams["checkpointer"].add_recoverable("average", brain.make_average())
    brain.fit(hparams["epoch_counter"], train, valid)
    hparams["checkpointer"].recover_if_possible(min_key="frame_error")
    model.head.load_state_dict(brain.average.module.state_dict())
    folder = Path(hparams["output_folder"]) / "model"
    model.eval().save_pretrained(folder, decoding=hparams["decoding"])
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
