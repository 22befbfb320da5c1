"""Train the embedded model: MFCC + TIM-Net on simulated recordings of acted emotional speech.

    python train.py hparams/timnet-mfcc.yaml --data_folder=FOLDER

Run it again to go on after an interruption.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from torch.utils.data import DataLoader
from tqdm import tqdm

from sed.audio import Recording, find_recordings
from sed.corpora import Corpus
from sed.corpora.simulation import Clip, Simulation, load_clips
from sed.decoding import Binarize
from sed.training.brain import EmotionBrain
from sed.training.data import EpochSampler, Example, SimulatedExamples
from sed.vad import Silero


def read_clips(hparams: dict) -> dict[str, list[Clip]]:
    """Speech of every corpus, split by speakers into train, valid and test."""
    clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
    for name in hparams["corpora"]:
        utterances = [
            utterance
            for utterance in Corpus.named(name).utterances(Path(hparams["data_folder"]) / name)
            if utterance.emotion in hparams["classes"]
        ]
        found = load_clips(
            utterances,
            vad=Silero(),
            binarize=Binarize(),
            sample_rate=hparams["sample_rate"],
            progress=lambda items: tqdm(items, desc=f"speech of {name}"),  # noqa: B023
        )
        for clip in found:
            speaker = clip.utterance.speaker
            if speaker in hparams["test_speakers"][name]:
                clips["test"].append(clip)
            elif speaker in hparams["valid_speakers"][name]:
                clips["valid"].append(clip)
            else:
                clips["train"].append(clip)
    return clips


def examples(hparams: dict, clips: Iterable[Clip], **options) -> SimulatedExamples:
    """Examples drawn from clips, on the model's own features and frame grid."""
    model = hparams["model"]
    sequences = options.pop("sequences", None)
    simulation = Simulation(
        clips,
        classes=hparams["classes"],
        sample_rate=hparams["sample_rate"],
        **({"sequences": sequences} if sequences else {}),
    )
    return SimulatedExamples(
        simulation,
        frontend=model.frontend,
        normalization=model.normalization,
        grid=model.specifications.grid,
        classes=model.specifications.classes,
        neutral=model.specifications.neutral,
        seed=hparams["seed"],
        **options,
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
        tempo=hparams["tempo"],
    )
    valid = examples(hparams, clips["valid"])
    fixed = [
        valid.example(recording, None)
        for recording in valid.simulation.draw_set(hparams["num_valid"], hparams["seed"])
    ]
    hparams["sampler"] = EpochSampler(hparams["steps_per_epoch"] * hparams["batch_size"])
    workers = hparams["num_workers"]
    return (
        DataLoader(
            train,
            batch_size=hparams["batch_size"],
            sampler=hparams["sampler"],
            collate_fn=Example.batch,
            num_workers=workers,
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
    torch.manual_seed(hparams["seed"])
    model = hparams["model"]
    for parameter in (*model.head.classify.parameters(),):
        parameter.requires_grad_(True)
    clips = read_clips(hparams)
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
    model.eval().save_pretrained(folder)
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
