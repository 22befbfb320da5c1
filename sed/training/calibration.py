"""Temperature: posteriors as sure as the model is right on the validation recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sed.corpora import Utterance
from sed.files import whole_file
from sed.model import EmotionModel
from sed.training.exports import CALIBRATION, best_model, stored_temperature
from sed.training.speech import simulation
from sed.training.waveforms import SimulatedWaveforms, Waveforms

SHARPEST = 0.1
"""Temperatures lie between this and one over it: frames that are all right would have zero."""


def calibrate(
    hparams: Mapping[str, Any], parts: Mapping[str, list[Utterance]], device: str | torch.device
) -> None:
    """Fit the temperature of an experiment's best model and keep it beside the weights.

    What was fitted for that epoch already stays. Without ``calibrated``, what was kept is removed.

    Raises
    ------
    ValueError
        If the experiment has no whole checkpoint yet, or its files are damaged.
    OSError
        If the folder cannot be written.
    """
    output = Path(hparams["output_folder"])
    if not hparams["calibrated"]:
        (output / CALIBRATION).unlink(missing_ok=True)
        return
    model, _, meta = best_model(output)
    if stored_temperature(output, meta["epoch"]) is not None:
        return
    drawn = simulation(hparams, parts["valid"], part="valid", quiet=True)
    judged = SimulatedWaveforms(drawn, model.specifications, seed=hparams["valid_seed"])
    examples = (judged.numbered(index) for index in range(hparams["num_valid"]))
    temperature = fitted_temperature(*frames_of(model.to(device), examples))
    with whole_file(output / CALIBRATION) as stream:
        json.dump({"temperature": temperature, "epoch": meta["epoch"]}, stream)
    print(f"temperature {temperature:.3f}, fitted on the validation recordings")


@torch.inference_mode()
def frames_of(model: EmotionModel, examples: Iterable[Waveforms]) -> tuple[Tensor, Tensor]:
    """Frame logits and targets of recordings, each heard alone.

    Parameters
    ----------
    model : EmotionModel
        In evaluation mode.
    examples : iterable of Waveforms
        One recording each.

    Returns
    -------
    logits : (num_frames, num_classes) Tensor
        On the processor, the frames of all recordings in a row.
    targets : (num_frames,) Tensor of int
    """
    device = next(model.head.parameters()).device
    logits, targets = [], []
    for example in examples:
        [found] = model.logits(example.waveforms[None].to(device)).float().cpu()
        logits.append(found)
        targets.append(example.targets[: len(found)])  # an encoder gives none for the last cells
    return torch.cat(logits), torch.cat(targets)


def fitted_temperature(logits: Tensor, targets: Tensor) -> float:
    """Temperature ``T`` with the least cross-entropy of ``softmax(logits / T)``.

    The cross-entropy is convex in ``1 / T``, and its derivative there is the mean of
    ``sum_k p_k z_k - z_c``, where ``z`` are a frame's logits, ``p`` the posteriors and ``c`` the
    true class: the place where that changes its sign is halved in upon.

    Parameters
    ----------
    logits : (num_frames, num_classes) Tensor
    targets : (num_frames,) Tensor of int

    Returns
    -------
    float
        Between 0.1 and 10.

    References
    ----------
    Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.

    Examples
    --------
    Three frames of four are right, so the posterior should be 0.75, of logits 2 log 3 and 0.

    >>> logits = torch.tensor([[9.0, 1.0]]).log().expand(4, 2)
    >>> round(fitted_temperature(logits, torch.tensor([0, 0, 0, 1])), 6)
    2.0
    """
    logits = logits.double()
    true = logits.gather(1, targets[:, None])[:, 0]
    sharpness = torch.tensor([SHARPEST, 1.0 / SHARPEST], dtype=torch.float64).log()
    for _ in range(60):
        middle = sharpness.mean()
        posteriors = F.softmax(logits * middle.exp(), dim=-1)
        rises = bool(((posteriors * logits).sum(dim=-1) - true).mean() > 0.0)
        sharpness[int(rises)] = middle
    return float((-sharpness.mean()).exp())
