"""An experiment: settings in; a trained model, its scores and everything that led there out.

::

    settings ─ speech of each part ─ model ─ training ─ best weights as a folder ─ scores
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import speechbrain as sb
import torch
from speechbrain.utils.epoch_loop import EpochCounter
from torch.utils.data import DataLoader

from sed.corpora import Utterance
from sed.encoders import Encoder
from sed.files import whole_file
from sed.hub import WEIGHTS
from sed.model import EmotionModel
from sed.pipeline import Pipeline
from sed.training.batches import EpochBatches
from sed.training.brain import EmotionBrain
from sed.training.calibration import calibrate
from sed.training.checkpoints import WholeCheckpointer
from sed.training.checks import (
    Checked,
    check_data,
    check_learning,
    check_room,
    check_same,
    check_settings,
    room_of,
)
from sed.training.evaluation import evaluate
from sed.training.exports import EXPERIMENT, export_model
from sed.training.logs import EpochLog
from sed.training.processes import num_processes, rank
from sed.training.schedules import WarmupCosine
from sed.training.settings import load_settings, overrides_of, resolved
from sed.training.speech import augmentation, find_utterances, judged_recordings, simulation
from sed.training.waveforms import SimulatedWaveforms, Waveforms
from sed.vad import vad_named

Scores = dict[str, dict[str, float]]
"""Error rates of each set of recordings."""

RESULTS, RECORD = "results.json", "hyperparams.yaml"


def run_once(text: str, changes: Mapping[str, Any], run_opts: Any) -> Path:
    """Train and judge with one seed; what is done already is not done again.

    Returns
    -------
    Path
        Folder of the experiment, whose ``results.json`` holds the scores.
    """
    ready = _ready(text, changes, run_opts)
    hparams, parts, output = ready.hparams, ready.parts, ready.output
    if ready.is_done:
        if rank() == 0:
            print(f"{output} is done; --test_only judges it again")
        return output
    if ready.model is not None:
        sb.create_experiment_directory(str(output))
        if rank() == 0:
            # Of fewer epochs; a longer training that is interrupted is not done.
            (output / RESULTS).unlink(missing_ok=True)
            (output / RECORD).write_text(ready.record, encoding="utf-8")
        train(hparams, run_opts, ready.model, parts)
    if rank() == 0:
        scores, folder = judge(hparams, run_opts, parts)
        with whole_file(folder / RESULTS) as stream:
            stream.write(json.dumps(scores, indent=2) + "\n")
        if ready.model is not None and Path(hparams["judged"]) == output / "model":
            export_model(output, output / "model", results=card_rows(scores))
    return output


def check_once(text: str, changes: Mapping[str, Any], run_opts: Any) -> Checked:
    """Refuse what `run_once` would refuse; nothing is trained, and nothing written."""
    ready = _ready(text, changes, run_opts)
    room = 0 if ready.model is None else room_of(ready.model, ready.hparams)
    return Checked((ready.output / RESULTS,), ready.is_done, room)


@dataclass(frozen=True)
class _Ready:
    """An experiment before anything slow happens.

    Parameters
    ----------
    hparams : dict
    parts : dict of str to list of Utterance
    model : EmotionModel, optional
        What is to be trained, if anything is.
    record : str
        What it is remembered by.
    is_done : bool
    """

    hparams: dict[str, Any]
    parts: dict[str, list[Utterance]]
    model: EmotionModel | None
    record: str
    is_done: bool

    @property
    def output(self) -> Path:
        """Folder of the experiment."""
        return Path(self.hparams["output_folder"])


def _ready(text: str, changes: Mapping[str, Any], run_opts: Any) -> _Ready:
    """Everything that can be known early.

    Raises
    ------
    OSError, ValueError
        If something can be known to fail.
    """
    overrides, test_only = overrides_of(changes), run_opts["test_only"]
    hparams = load_settings(text, overrides)
    output, record = Path(hparams["output_folder"]), resolved(text, overrides)
    check_settings(hparams, run_opts)
    parts = find_utterances(hparams) if hparams["num_test"] or not test_only else {}
    check_data(hparams, parts, test_only=test_only)
    if test_only:
        return _Ready(hparams, parts, None, record, is_done=False)
    recorded = output / RECORD
    written = (output / "model" / WEIGHTS, output / RESULTS, recorded)
    if all(path.is_file() for path in written) and recorded.read_text("utf-8") == record:
        return _Ready(hparams, parts, None, record, is_done=True)
    check_same(recorded, record)
    torch.manual_seed(hparams["seed"])
    model = make_model(hparams)
    check_learning(hparams, model)
    check_room(output, room_of(model, hparams))
    return _Ready(hparams, parts, model, record, is_done=False)


def make_model(hparams: Mapping[str, Any]) -> EmotionModel:
    """A model that has learned nothing yet, or a head on an encoder that has.

    Parameters
    ----------
    hparams : mapping
        ``frontend`` holds the arguments of a front-end of `sed.model.EmotionModel`, or the
        ``source`` of a published encoder with those of `sed.encoders.Encoder.from_pretrained`.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    classes, head, window = (hparams[name] for name in ("classes", "head", "window"))
    frontend = dict(hparams["frontend"])
    try:
        if "source" in frontend:
            encoder = Encoder.from_pretrained(frontend.pop("source"), **frontend)
            return EmotionModel.from_encoder(encoder, classes=classes, head=head, window=window)
        return EmotionModel(classes=classes, frontend=frontend, head=head, window=window)
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"frontend, head and window make no model: {reason}") from error


def train(
    hparams: Mapping[str, Any],
    run_opts: Any,
    model: EmotionModel,
    parts: Mapping[str, list[Utterance]],
) -> None:
    """Train a model and write its best weights as a folder that `from_pretrained` reads."""
    output = Path(hparams["output_folder"])
    counter = EpochCounter(hparams["num_epochs"])
    recoverables = {"model": model, "counter": counter}
    for name in ("encoder_schedule", "head_schedule"):
        if name in hparams and not isinstance(hparams[name], WarmupCosine):
            recoverables[name] = hparams[name]
    checkpointer = WholeCheckpointer(output / "save", recoverables)
    batches, train_data, valid_data = make_loaders(hparams, model, parts)
    if rank() == 0:
        description = {"model": model.content, "decoding": hparams["decoding"]}
        description |= {"training": training_facts(hparams), "best": hparams["keep_best_by"]}
        (output / EXPERIMENT).write_text(json.dumps(description, indent=2), encoding="utf-8")
    brain = EmotionBrain(
        model,
        batches=batches,
        log=EpochLog(output, tensorboard=hparams["tensorboard"]),
        hparams=dict(hparams),
        run_opts=run_opts,
        checkpointer=checkpointer,
    )
    with fitting(brain):
        brain.fit(counter, train_data, valid_data)
    if rank() == 0:
        calibrate(hparams, parts, brain.device)
        export_model(output, output / "model")
        print(f"wrote {output / 'model'}")


def make_loaders(
    hparams: Mapping[str, Any], model: EmotionModel, parts: Mapping[str, list[Utterance]]
) -> tuple[EpochBatches, DataLoader, DataLoader]:
    """Fresh training recordings in every epoch, and fixed validation recordings."""
    with _first_process_first():
        drawn = {
            part: simulation(hparams, parts[part], part=part, quiet=rank() > 0)
            for part in ("train", "valid")
        }
    examples = SimulatedWaveforms(
        drawn["train"],
        model.specifications,
        seed=hparams["seed"],
        augmentation=augmentation(hparams),
    )
    batches = EpochBatches(
        hparams["steps_per_epoch"],
        hparams["batch_size"],
        length_of=examples.length_of,
        group=hparams["sorted_batches"],
        rank=rank(),
        num_processes=num_processes(),
    )
    judged = SimulatedWaveforms(drawn["valid"], model.specifications, seed=hparams["valid_seed"])
    fixed = [
        judged.numbered(index) for index in range(rank(), hparams["num_valid"], num_processes())
    ]
    return (
        batches,
        DataLoader(
            examples,
            batch_sampler=batches,
            collate_fn=Waveforms.batch,
            num_workers=hparams["num_workers"],
            pin_memory=torch.cuda.is_available(),
        ),
        DataLoader(cast(Any, fixed), batch_size=hparams["batch_size"], collate_fn=Waveforms.batch),
    )


def judge(
    hparams: Mapping[str, Any], run_opts: Any, parts: Mapping[str, list[Utterance]]
) -> tuple[Scores, Path]:
    """Score a model on every set of recordings that the settings name.

    Returns
    -------
    dict of str to dict
        Error rates of each set.
    Path
        Where reports and diarizations are: the experiment's folder, or one in it for a model from
        elsewhere.
    """
    output, name = Path(hparams["output_folder"]), str(hparams["judged"])
    if Path(name) != output / "model":
        output = output / "judged" / _folder_name(name)
    pipeline = Pipeline.from_pretrained(
        hparams["judged"],
        device=run_opts["device"] or ("cuda" if torch.cuda.is_available() else "cpu"),
        vad=vad_named(hparams["judged_vad"]),
        decoding=hparams["judged_decoding"],
        dtype="float32",
    )
    scores: Scores = {}
    most = run_opts["debug_batches"] if run_opts["debug"] else None
    for kind, recordings in judged_recordings(hparams, parts).items():
        folder = output / "evaluation" / _folder_name(kind)
        found, calibration = evaluate(pipeline, islice(recordings, most), folder, name)
        scores[kind] = {
            "recordings": len(found.uris),
            "macro_eder": found.macro,
            "pooled_eder": found.pooled.eder,
            "false_alarm": found.pooled.false_alarm / found.pooled.total,
            "missed_emotion": found.pooled.missed_emotion / found.pooled.total,
            "confusion": found.pooled.confusion / found.pooled.total,
            "calibration_error": calibration.error,
            "all_neutral_macro_eder": found.baselines()["all neutral"].macro,
        }
    return scores, output


def _folder_name(name: str) -> str:
    """What a folder for a model or for a set of recordings is called.

    Examples
    --------
    >>> _folder_name("./models/mine"), _folder_name("simulated, noisy")
    ('models-mine', 'simulated-noisy')
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def card_rows(scores: Scores) -> list[dict[str, str]]:
    """Scores as the card of a model shows them.

    Examples
    --------
    >>> card_rows({"zed": {"recordings": 180, "macro_eder": 0.302}})
    [{'recordings': '180 zed', 'macro eder': '30.2 %'}]
    """
    return [
        {"recordings": f"{found['recordings']} {kind}"}
        | {
            measure.replace("_", " "): f"{rate:.1%}".replace("%", " %")
            for measure, rate in found.items()
            if measure != "recordings"
        }
        for kind, found in scores.items()
    ]


def training_facts(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """What the card of a model says of its training."""
    recordings = hparams["num_epochs"] * hparams["steps_per_epoch"] * hparams["batch_size"]
    left_out = hparams["left_out"]
    return {
        "corpora": ", ".join(name for name in hparams["corpora"] if name != left_out),
        **({} if left_out is None else {"left out": left_out}),
        "split by": hparams["split"],
        "epochs": hparams["num_epochs"],
        "simulated recordings": recordings * num_processes(),
        "seed": hparams["seed"],
    }


@contextmanager
def _first_process_first() -> Iterator[None]:
    """Let the first process do what the others then find done."""
    if rank() > 0:
        torch.distributed.barrier()
    yield
    if rank() == 0 and num_processes() > 1:
        torch.distributed.barrier()


@contextmanager
def fitting(brain: EmotionBrain) -> Iterator[None]:
    """What goes wrong in here is a defect, no wrong use; Ctrl-C ends it between two batches.

    Anywhere else Python may drop it: a KeyboardInterrupt that is raised while an object, such as
    the loader of an epoch that is over, is taken down goes nowhere. The second one comes at once.
    """
    process = os.getpid()  # those that load data go when this one does

    def interrupt(number: int, frame: Any) -> None:
        if os.getpid() == process:
            if brain.interrupted:
                raise KeyboardInterrupt
            brain.interrupted = True
            print("ending after this batch; Ctrl-C once more ends at once", file=sys.stderr)

    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    heard = heard and threading.current_thread() is threading.main_thread()
    if heard:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except ValueError as error:
        raise RuntimeError(f"the training failed: {error}") from error
    finally:
        if heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
