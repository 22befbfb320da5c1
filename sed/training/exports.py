"""From the folder of an experiment to that of a model; that takes no SpeechBrain."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from sed.cards import model_card
from sed.heads import divide_logits
from sed.model import EmotionModel

EXPERIMENT = "experiment.json"
"""File that says which model an experiment trains; nothing in it is executed."""

CALIBRATION = "calibration.json"
"""File with the temperature of the best epoch, and its number."""

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

    Where a temperature was fitted for that epoch, the model's logits are divided by it.

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
    model, description, meta = best_model(experiment)
    training, decoding = description["training"], description["decoding"]
    facts = training | {
        "epoch kept": f"{meta['epoch']} of {training['epochs']}, by {description['best']}",
        "validation EDER": f"{meta['eder']:.3f}",
    }
    temperature = stored_temperature(experiment, meta["epoch"])
    if temperature is not None:
        divide_logits(model.head, temperature)
        facts["temperature"] = f"{temperature:.3f}, by which the logits are divided"
    content = {**model.content, "decoding": decoding, "training": facts}
    num_parameters = sum(tensor.numel() for tensor in model.state_dict().values())
    card = model_card(name or str(folder), content, num_parameters=num_parameters, results=results)
    model.save_pretrained(folder, decoding=decoding, card=card)


def best_model(experiment: Path) -> tuple[EmotionModel, dict[str, Any], dict[str, Any]]:
    """Best model of an experiment as it was validated, and what its files say.

    Returns
    -------
    EmotionModel
        Ready for inference.
    dict
        The experiment, as ``experiment.json`` describes it.
    dict
        The epoch that was best: its number and what was found in the validation.

    Raises
    ------
    ValueError
        If there is no such experiment, it has no whole checkpoint yet, or its files are damaged.
    """
    path = experiment / EXPERIMENT
    if not is_experiment(experiment):
        raise ValueError(f"{experiment} is no folder of an experiment: it holds no {EXPERIMENT}")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        measure, _, _ = (description[key] for key in ("best", "training", "decoding"))
        model = EmotionModel(**description["model"]["model"])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} describes no experiment: {error!r}") from None
    checkpoint, meta = best_checkpoint(experiment / "save", measure)
    load_checkpoint(model, checkpoint)
    return model.eval(), description, meta


def stored_temperature(experiment: Path, epoch: int) -> float | None:
    """Temperature that was fitted for an epoch; None where there is none, or of another epoch.

    Raises
    ------
    ValueError
        If the file holds none.
    """
    path = experiment / CALIBRATION
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        temperature, fitted = float(content["temperature"]), int(content["epoch"])
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no temperature: {error!r}; remove it") from None
    if not 0.0 < temperature < math.inf:
        raise ValueError(f"{path}: {temperature} is no temperature; remove it")
    return temperature if fitted == epoch else None


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
