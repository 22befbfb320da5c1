"""Train speech emotion diarization on simulated recordings and evaluate it on ZED.

    python train.py hparams/train.yaml --data_folder=FOLDER

Run it again to go on after an interruption. Wang et al. (2023), section 5.
"""

from __future__ import annotations

import sys
from pathlib import Path

import speechbrain as sb
from data import find_utterances, read_clips
from evaluate import evaluate
from hyperpyyaml import load_hyperpyyaml
from torch.utils.data import DataLoader

from sed.corpora.clips import Clip
from sed.corpora.simulation import Simulation
from sed.encoders import Encoder
from sed.model import EmotionModel
from sed.training.checkpoints import WholeCheckpointer
from sed.training.data import EpochSampler
from sed.training.finetuning import FineTuningBrain
from sed.training.waveforms import SimulatedWaveforms, Waveforms


def make_model(hparams: dict) -> EmotionModel:
    """A head that has learned nothing on an encoder that has, or on a small one for trying out."""
    if hparams["encoder_source"]:
        encoder = Encoder.from_pretrained(hparams["encoder_source"], **hparams["encoder"])
    else:
        encoder = Encoder(**hparams["encoder"])
    return EmotionModel.from_encoder(
        encoder, classes=hparams["classes"], head=hparams["head"], window=hparams["window"]
    )


def loaders(
    hparams: dict, model: EmotionModel, clips: dict[str, list[Clip]]
) -> tuple[DataLoader, DataLoader]:
    """Fresh training recordings in every epoch, fixed validation recordings."""
    examples = {
        part: SimulatedWaveforms(
            Simulation(
                clips[part],
                classes=hparams["classes"],
                sample_rate=hparams["sample_rate"],
                sequences=hparams["sequences"],
            ),
            model.specifications,
            seed=seed,
        )
        for part, seed in (("train", hparams["seed"]), ("valid", hparams["valid_seed"]))
    }
    hparams["sampler"] = EpochSampler(hparams["steps_per_epoch"] * hparams["batch_size"])
    fixed = [examples["valid"][index] for index in range(hparams["num_valid"])]
    options = {"batch_size": hparams["batch_size"], "collate_fn": Waveforms.batch}
    return (
        DataLoader(
            examples["train"],
            sampler=hparams["sampler"],
            num_workers=hparams["num_workers"],
            **options,
        ),
        DataLoader(fixed, **options),
    )


def main() -> None:
    """Train, write the best weights as a folder that `from_pretrained` reads, and judge them."""
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    with open(hparams_file) as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    try:  # before anything slow
        utterances = find_utterances(hparams)
        model = make_model(hparams)
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    sb.create_experiment_directory(hparams["output_folder"], hparams_file, overrides)
    train, valid = loaders(hparams, model, read_clips(hparams, utterances))
    checkpointer = WholeCheckpointer(
        hparams["save_folder"],
        {
            "model": model,
            "counter": hparams["epoch_counter"],
            "encoder_schedule": hparams["encoder_schedule"],
            "head_schedule": hparams["head_schedule"],
        },
    )
    brain = FineTuningBrain(
        modules={"model": model}, hparams=hparams, run_opts=run_opts, checkpointer=checkpointer
    )
    brain.fit(hparams["epoch_counter"], train, valid)
    checkpointer.recover_if_possible(min_key=hparams["keep_best_by"])
    folder = Path(hparams["output_folder"]) / "model"
    model.eval().save_pretrained(folder, decoding=hparams["decoding"], name=str(folder))
    print(f"wrote {folder}")
    evaluate(hparams, utterances["test"])


if __name__ == "__main__":
    main()
