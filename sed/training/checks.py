"""What is refused before anything starts, in the place of an error after hours of training."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from speechbrain.utils.distributed import get_local_rank, infer_device

from sed.corpora import Utterance
from sed.corpora.simulation import Clip, Simulation
from sed.decoding import Decoding
from sed.hub import locate
from sed.model import EmotionModel
from sed.training.losses import summed_losses
from sed.training.processes import num_processes
from sed.training.speech import augmentation, conditions, corpus_utterances, drawing
from sed.vad import vad_named

MEASURES = ("frame_error", "eder", "loss")
"""What the best checkpoint can be chosen by."""


@dataclass(frozen=True)
class Checked:
    """An experiment that nothing speaks against.

    Parameters
    ----------
    results : tuple of Path
        Files that it ends with.
    is_done : bool
        Whether they are there already.
    room : int
        Bytes that it may come to need on its disk.
    """

    results: tuple[Path, ...]
    is_done: bool
    room: int = 0


def check_device(run_opts: Any) -> None:
    """Refuse a device that is not there, or cannot compute in the precision asked for.

    Raises
    ------
    ValueError
    """
    name = run_opts["device"] or infer_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device={name} is none; leave the option out, or name cpu") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"--device={name}: {torch.cuda.device_count()} GPUs are there; leave the option out, "
            "or name cpu"
        )
    number = get_local_rank()  # of a process of torchrun
    if number is not None and run_opts["distributed_backend"] != "gloo":
        if number >= torch.cuda.device_count():
            raise ValueError(
                f"process {number} finds {torch.cuda.device_count()} GPUs, and needs its own; "
                "--distributed-backend=gloo --device=cpu trains on processors"
            )
    if device.type == "cpu" and "fp16" in (run_opts["precision"], run_opts["eval_precision"]):
        raise ValueError("a processor does not train in fp16; --precision=bf16 may suit it")


def check_settings(hparams: Mapping[str, Any], run_opts: Any) -> None:
    """Refuse settings that would be found wrong after an epoch, or after the training.

    Raises
    ------
    ValueError
        If one makes no sense.
    OSError
        If a folder of sounds is missing.
    """
    least = {"num_epochs": 1, "steps_per_epoch": 1, "batch_size": 1, "sorted_batches": 1}
    least |= {"num_valid": num_processes(), "num_test": 0, "num_workers": 0, "seed": 0}
    for name, number in least.items():
        if type(hparams[name]) is not int or hparams[name] < number:
            raise ValueError(f"{name} is {hparams[name]!r}, no whole number from {number} on")
    for name in ("corpora", "classes"):
        if not isinstance(hparams[name], list):
            raise ValueError(f"{name} is {hparams[name]!r}, no list such as [a, b]")
    steps, factor = hparams["steps_per_epoch"], run_opts["grad_accumulation_factor"]
    if "grad_accumulation_factor" not in run_opts.overridden_args:  # as SpeechBrain chooses
        factor = hparams.get("grad_accumulation_factor", factor)
    if steps % factor:
        raise ValueError(f"steps_per_epoch {steps} is no multiple of grad_accumulation_factor")
    if hparams["keep_best_by"] not in MEASURES:
        known = ", ".join(MEASURES)
        raise ValueError(f"keep_best_by is {hparams['keep_best_by']!r}; it can be {known}")
    for name in ("vad", "judged_vad"):
        vad_named(hparams[name])
    for name in ("decoding", "judged_decoding"):
        with _settings_of(name):
            Decoding(**hparams[name])
    with _settings_of("loss"):
        logits = torch.zeros(1, 1, len(hparams["classes"]))
        summed_losses(logits, torch.zeros(1, 1, dtype=torch.long), **hparams["loss"])
    if type(hparams["calibrated"]) is not bool:
        raise ValueError(f"calibrated is {hparams['calibrated']!r}, neither true nor false")
    with _settings_of("augmentation"):
        changes = augmentation(hparams)
    with _settings_of("judged_conditions"):
        judged = conditions(hparams)
        for change in judged.values():  # as it will be, on a second of sound
            change(np.ones(16_000, np.float32), 16_000, np.random.default_rng(0))
    if changes is None and not judged and (hparams["noise_folder"] or hparams["room_folder"]):
        raise ValueError("noise_folder and room_folder are of no use where augmentation is null")


def check_data(
    hparams: Mapping[str, Any], parts: Mapping[str, list[Utterance]], *, test_only: bool
) -> None:
    """Refuse to train without something to learn from and be judged on.

    Raises
    ------
    ValueError
    """
    needed = [] if test_only else ["train", "valid"]
    if hparams["num_test"]:
        needed.append(hparams["judged_part"])
    for part in needed:
        if not parts.get(part):
            raise ValueError(f"nobody is left to {part} on; change the settings of the split")
        with _settings_of(f"recordings to {part} on"):  # drawn from, as far as that takes no audio
            Simulation(
                (Clip(utterance, np.empty(0, np.float32)) for utterance in parts[part]),
                classes=hparams["classes"],
                sample_rate=hparams["sample_rate"],
                **drawing(hparams, part),
            )
    if hparams["test_corpus"]:
        corpus_utterances(hparams, hparams["test_corpus"])
    own = Path(hparams["output_folder"]) / "model"
    if test_only or Path(hparams["judged"]) != own:
        locate(hparams["judged"])


def check_learning(hparams: Mapping[str, Any], model: EmotionModel) -> None:
    """Refuse a model whose parts lack an optimiser, or one that cannot be made.

    Raises
    ------
    ValueError
    """
    for name, part in (("encoder", model.frontend), ("head", model.head)):
        learning = [weight for weight in part.parameters() if weight.requires_grad]
        for setting in (f"{name}_opt_class", f"{name}_schedule"):
            if learning and setting not in hparams:
                raise ValueError(f"there is something to learn for the {name}, but no {setting}")
        if learning:
            with _settings_of(f"{name}_opt_class"):
                hparams[f"{name}_opt_class"](learning[:1])


@contextmanager
def _settings_of(name: str) -> Iterator[None]:
    """Turn what wrong names and types cause into one line that names the setting."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: {' '.join(str(error).split())}") from error


def check_room(output: Path, room: int) -> None:
    """Refuse a folder that cannot be written, or whose disk is too small for the checkpoints.

    Parameters
    ----------
    output : Path
    room : int
        Bytes that are needed.

    Raises
    ------
    OSError
    """
    existing = next(folder for folder in (output, *output.parents) if folder.exists())
    if not existing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
    effective = os.access in os.supports_effective_ids
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(existing))
    if shutil.disk_usage(existing).free < room:
        raise OSError(
            errno.ENOSPC, f"checkpoints need {room / 1e9:.1f} GB, the disk has less", str(output)
        )


def room_of(model: EmotionModel, hparams: Mapping[str, Any]) -> int:
    """Bytes of the best checkpoint, the next one, and the folder of the model."""
    weights = sum(weight.numel() for weight in model.parameters())
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    copies = weights * (1 if hparams["average_decay"] is None else 2) + 2 * learning
    return 4 * (2 * copies + weights)


def check_same(path: Path, record: str) -> None:
    """Refuse to go on in a folder where an experiment with other settings began.

    Raises
    ------
    ValueError
    """
    if not path.is_file():
        return
    before, now = (
        {key.value: _value(node) for key, node in yaml.compose(text).value}
        for text in (path.read_text(encoding="utf-8"), record)
    )
    free = re.compile(
        r"num_epochs|num_workers|num_together|compiled|sources|tensorboard|calibrated|"
        r"(data|output|speech)_folder|judged.*|num_test|test_.*"
    )
    changed = [
        name
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not free.fullmatch(name)
    ]
    if changed:
        raise ValueError(
            f"{path.parent} began with another {', '.join(changed)}; name another "
            "--output_folder, or remove this one"
        )


def _value(node: yaml.Node) -> Any:
    r"""What a node says, however it is written.

    Examples
    --------
    >>> _value(yaml.compose("[1e-05, on]")) == _value(yaml.compose("- 1.0e-5\n- 'on'"))
    True
    """
    tag = node.tag if node.tag.startswith("!") else None
    if isinstance(node, yaml.MappingNode):
        return tag, {key.value: _value(item) for key, item in node.value}
    if isinstance(node, yaml.SequenceNode):
        return tag, [_value(item) for item in node.value]
    if tag or node.style:
        return tag, node.value
    with suppress(ValueError):
        return tag, float(node.value)
    return tag, node.value
