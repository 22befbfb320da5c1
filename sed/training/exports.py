"""From the folder of an experiment to that of a model; that takes no SpeechBrain."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from sed.cards import model_card
from sed.model import EmotionModel

EXPERIMENT = "experiment.json"
"""File that says which model an experiment trains; nothing in it is executed."""

WHOLE = "WHOLE"
"""File of a checkpoint that says that the others are whole."""

# What torch raises on files that are cut off (an OSError without a name), or hold something else.
_NO_WEIGHTS = (AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)

_DESCRIPTION = "CKPT.yaml"  # what SpeechBrain calls a checkpoint's description


def is_experiment(folder: str | Path) -> bool:
    """Whether a folder is the ``output_folder`` of a training.

    Examples
    --------
    >>> is_experiment(".")
    False
    """
    return (Path(folder) / EXPERIMENT).is_file()


def export_model(
    experiment: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    results: Sequence[Mapping[str, str]] | None = None,
) -> None:
    """Write the best model of an experiment, finished or not, as `from_pretrained` reads it.

    Parameters
    ----------
    experiment : str or Path
        The ``output_folder`` of a training.
    folder : str or Path
        Made if need be; config, weights and a card go there.
    name : str, optional
        What the card calls the model; the folder's path by default.
    results : sequence of mapping, optional
        Of the card, see `sed.cards.model_card`.

    Raises
    ------
    ValueError
        If there is no such experiment, it has no whole checkpoint yet, or its files are damaged.
    OSError
        If the folder cannot be written.
    """
    experiment, folder = Path(experiment), Path(folder)
    path = experiment / EXPERIMENT
    if not is_experiment(experiment):
        raise ValueError(f"{experiment} is no folder of an experiment: it holds no {EXPERIMENT}")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        measure, training = description["best"], description["training"]
        decoding = description["decoding"]
        model = EmotionModel(**description["model"]["model"])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} describes no experiment: {error!r}") from None
    checkpoint, meta = best_checkpoint(experiment / "save", measure)
    load_checkpoint(model, checkpoint)
    facts = training | {
        "epoch kept": f"{meta['epoch']} of {training['epochs']}, by {measure}",
        "validation EDER": f"{meta['eder']:.3f}",
    }
    content = {**model.content, "decoding": decoding, "training": facts}
    num_parameters = sum(tensor.numel() for tensor in model.state_dict().values())
    card = model_card(name or str(folder), content, num_parameters=num_parameters, results=results)
    model.eval().save_pretrained(folder, decoding=decoding, card=card)


def best_checkpoint(folder: Path, measure: str) -> tuple[Path, dict[str, Any]]:
    """Whole checkpoint with the least of a measure, and what it says of itself.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = []
    for mark in folder.glob(f"*/{WHOLE}"):
        meta = yaml.safe_load((mark.parent / _DESCRIPTION).read_text(encoding="utf-8"))
        if measure in meta:  # those within an epoch have not been judged
            found.append((meta[measure], mark.parent, meta))
    if not found:
        raise ValueError(f"{folder} holds no whole checkpoint; train for an epoch at least")
    _, path, meta = min(found, key=lambda entry: entry[0])
    return path, meta


def load_checkpoint(model: EmotionModel, path: Path) -> None:
    """Fill a model with the weights of a checkpoint: their moving average, where there is one.

    Raises
    ------
    ValueError
        If a file holds no weights, or those of another model; nothing in it is executed.
    """
    average = path / "average.ckpt"
    source = average if average.is_file() else path / "model.ckpt"
    try:
        weights = torch.load(source, map_location="cpu", weights_only=True)
        if source == average:
            weights.pop("n_averaged")
            weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
        model.load_state_dict(weights)
    except pickle.UnpicklingError:
        raise ValueError(f"{source} holds more than weights, and is not opened") from None
    except _NO_WEIGHTS as error:
        if isinstance(error, OSError) and error.filename:  # it cannot be read at all
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"{source} holds no weights of this model: {reason}") from None
