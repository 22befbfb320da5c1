"""One network for several corpora: the study of da Silva et al., one experiment of it.

::

    corpora ─ speech of each part ─ augmented copies ─ block, attention, layers ─ UA and WA of each
                                                                                └─ diarization, EDER
"""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from sed.cards import model_card
from sed.corpora import Utterance
from sed.corpora.balance import copies
from sed.corpora.splits import PARTS
from sed.corpora.stored import StoredClip, stored_clips, stored_copies
from sed.files import whole_file
from sed.hub import WEIGHTS
from sed.model import EmotionModel
from sed.scoring import uar, war
from sed.training.checks import Checked, check_same
from sed.training.experiment import RECORD, RESULTS, card_rows, judge
from sed.training.ranges import check_whole
from sed.training.settings import load_settings, overrides_of, resolved
from sed.training.speech import augmentation, find_utterances
from sed.training.utterance_fitting import Epoch, Network, UtteranceFitting, fit_utterances, hear

LAYERS = ("unified", "multi-task")
"""One linear layer for all corpora, or one for each."""


def run_multicorpus(text: str, changes: Mapping[str, Any], run_opts: Any) -> Path:
    """Train one network on some corpora and test it on each; what is done is not done again.

    Parameters
    ----------
    text : str
        From `sed.training.settings.read_settings`.
    changes : mapping
        Settings that have another value.
    run_opts : mapping
        ``device``, ``precision`` and ``debug`` of SpeechBrain's.

    Returns
    -------
    Path
        The output folder: ``results.json``, ``epochs.csv`` and ``model``, which diarizes.

    Raises
    ------
    OSError, ValueError
        If a setting is wrong, a corpus missing, lacks a class or has nobody to learn from, before
        anything slow happens; or if a file cannot be read or written.
    """
    hparams, record = _recorded(text, changes, run_opts)
    output, precision = Path(hparams["output_folder"]), run_opts["precision"] or "fp32"
    fitting, parts, model = prepare(hparams, run_opts)
    if _is_done(output, record):
        print(f"{output} is done")
        return output
    (output / RESULTS).unlink(missing_ok=True)
    with whole_file(output / RECORD) as stream:
        stream.write(record)
    started = time.perf_counter()
    clips = {part: _clips(hparams, parts[part], part) for part in PARTS if parts[part]}
    clips["train"] = _balanced(hparams, clips["train"])
    network = Network(
        model,
        _classes(hparams, parts),
        multi_task=hparams["layers"] == "multi-task",
        device=run_opts["device"] or ("cuda" if torch.cuda.is_available() else "cpu"),
        precision=precision,
    )
    epochs = _fit(hparams, network, clips, fitting, quiet=run_opts["noprogressbar"])
    heard = hear(network, clips.get("test", []), fitting.batch_size)
    results = {
        "task": hparams["task"],
        **{name: hparams[name] for name in ("corpora", "block", "pooling", "layers", "seed")},
        "precision": precision,
        "device": network.device,
        "num_train": dict(Counter(clip.utterance.corpus for clip in clips["train"])),
        "num_epochs": len(epochs),
        "seconds": round(time.perf_counter() - started, 1),
        "targets": {corpus: _rates(pairs) for corpus, pairs in heard.items()},
    }
    _write_epochs(output / "epochs.csv", epochs)
    _export(hparams, network, output / "model", results)
    if hparams["num_test"]:
        results["diarization"], _ = judge(hparams, run_opts, parts)
    with whole_file(output / RESULTS) as stream:
        json.dump(results, stream, indent=2)
        stream.write("\n")
    for corpus, rates in results["targets"].items():
        print(f"{corpus}: WA {rates['wa']:.1%}, UA {rates['ua']:.1%} of {rates['num']} utterances")
    print(f"wrote {output / RESULTS}")
    return output


def check_multicorpus(text: str, changes: Mapping[str, Any], run_opts: Any) -> Checked:
    """Refuse what `run_multicorpus` would refuse; nothing is trained, and nothing written."""
    hparams, record = _recorded(text, changes, run_opts)
    output = Path(hparams["output_folder"])
    prepare(hparams, run_opts)
    return Checked((output / RESULTS,), _is_done(output, record))


def _recorded(text: str, changes: Mapping[str, Any], run_opts: Any) -> tuple[dict[str, Any], str]:
    """Settings, and what the experiment is remembered by."""
    overrides = overrides_of(changes)
    precision = run_opts["precision"] or "fp32"
    record = resolved(text, overrides) + f"precision: {precision}\n"
    return load_settings(text, overrides), record


def _is_done(output: Path, record: str) -> bool:
    """Whether a folder holds the results of these very settings.

    Raises
    ------
    ValueError
        If it was begun with others.
    """
    recorded = output / RECORD
    check_same(recorded, record)
    written = (output / RESULTS, output / "model" / WEIGHTS, recorded)
    return all(path.is_file() for path in written) and recorded.read_text("utf-8") == record


def prepare(
    hparams: Mapping[str, Any], run_opts: Any
) -> tuple[UtteranceFitting, dict[str, list[Utterance]], EmotionModel]:
    """What can be known before a single recording is read.

    Returns
    -------
    UtteranceFitting
    dict of str to list of Utterance
        Of each part.
    EmotionModel
        Its initial weights.

    Raises
    ------
    ValueError
        If a setting makes no sense, a corpus is missing, lacks a class, or has nobody in a part
        that needs somebody.
    """
    if hparams["layers"] not in LAYERS:
        raise ValueError(f"layers is {hparams['layers']!r}; known are {', '.join(LAYERS)}")
    if run_opts["precision"] not in (None, "fp32", "bf16"):
        raise ValueError(f"networks are trained in fp32 or bf16, not {run_opts['precision']!r}")
    given = {key.name: hparams[key.name] for key in fields(UtteranceFitting)}
    for name in ("seed", "num_workers", "num_test", "reach"):
        check_whole(name, hparams[name], least=0)
    if run_opts["debug"]:
        given |= {"max_epochs": 1, "steps_per_epoch": run_opts["debug_batches"]}
    parts = find_utterances(hparams)
    for part in ("train", "valid"):
        if not parts[part]:
            raise ValueError(f"nobody is left to {part} on; change the settings of the split")
    classes = _classes(hparams, parts)
    names = ("block", "pooling", "reach")
    head = {"name": "attentive", **{name: hparams[name] for name in names}}
    own = hparams["classes"]
    if hparams["layers"] == "multi-task":
        task = hparams["diarizing"] or hparams["corpora"][0]
        if task not in classes:
            raise ValueError(f"diarizing is {task!r}, none of {', '.join(classes)}")
        head |= {"tasks": classes, "task": task}
        own = classes[task]
    torch.manual_seed(hparams["seed"])
    try:
        model = EmotionModel(
            classes=own, frontend=hparams["frontend"], head=head, window=hparams["window"]
        )
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"frontend, block and pooling make no model: {reason}") from error
    if model.specifications.sample_rate != hparams["sample_rate"]:
        raise ValueError(
            f"the front-end hears {model.specifications.sample_rate} Hz, and sample_rate is "
            f"{hparams['sample_rate']}"
        )
    return UtteranceFitting(**given), parts, model


def _classes(
    hparams: Mapping[str, Any], parts: Mapping[str, list[Utterance]]
) -> dict[str, list[str]]:
    """Classes of each corpus, in order.

    Raises
    ------
    ValueError
        If a corpus lacks one that all share, or has nobody to train on.
    """
    found = {}
    for corpus in hparams["corpora"]:
        there = {each.emotion for each in parts["train"] if each.corpus == corpus}
        if not there:
            raise ValueError(f"{corpus} has nobody to train on; change test, valid or corpora")
        lacking = [name for name in hparams["classes"] if name not in there]
        if lacking and hparams["layers"] == "unified":
            raise ValueError(
                f"{corpus} has no {lacking[0]} to train on, which one layer for all corpora needs; "
                "--layers=multi-task, or change classes"
            )
        found[corpus] = [name for name in hparams["classes"] if name in there]
        if len(found[corpus]) < 2:
            raise ValueError(f"{corpus} has but {', '.join(there)} to train on")
    return found


def _clips(
    hparams: Mapping[str, Any], utterances: Sequence[Utterance], part: str
) -> list[StoredClip]:
    """Speech of a part; what cannot be read is left out with a line."""
    bar = tqdm(utterances, desc=f"speech to {part} on", mininterval=1.0)
    return stored_clips(
        utterances,
        hparams["speech_folder"],
        vad=hparams["vad"],
        sample_rate=hparams["sample_rate"],
        progress=bar,
        on_error=lambda utterance, error: bar.write(f"left out: {utterance.path}: {error}"),
    )


def _balanced(hparams: Mapping[str, Any], clips: list[StoredClip]) -> list[StoredClip]:
    """Clips, and augmented copies of those of smaller corpora."""
    change = augmentation(hparams)
    if change is None:
        return clips
    wanted = copies(Counter(clip.utterance.corpus for clip in clips))
    folders = [hparams["noise_folder"], hparams["room_folder"]]
    return stored_copies(
        clips,
        hparams["speech_folder"],
        copies=wanted,
        change=change,
        description=f"{change} {folders}",
        sample_rate=hparams["sample_rate"],
        seed=0,
        progress=lambda some: tqdm(list(some), desc="augmented copies", mininterval=1.0),
    )


def _fit(
    hparams: Mapping[str, Any],
    network: Network,
    clips: Mapping[str, list[StoredClip]],
    fitting: UtteranceFitting,
    *,
    quiet: bool,
) -> list[Epoch]:
    """Train with a bar of epochs, whose number nobody knows before."""
    with tqdm(desc="+".join(network.classes), unit="epoch", disable=quiet) as bar:

        def tell(number: int, epoch: Epoch) -> None:
            bar.set_postfix({name: f"{value:.3f}" for name, value in asdict(epoch).items()})
            bar.update()

        return fit_utterances(
            network,
            clips["train"],
            clips["valid"],
            fitting,
            seed=hparams["seed"],
            num_workers=hparams["num_workers"],
            tell=tell,
        )


def _rates(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """WA, which is WAR, UA, which is UAR, and the number of utterances."""
    said, heard = zip(*pairs, strict=True)
    return {"wa": war(said, heard), "ua": uar(said, heard), "num": len(pairs)}


def _write_epochs(path: Path, epochs: Sequence[Epoch]) -> None:
    with whole_file(path) as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["epoch", *(key.name for key in fields(Epoch))])
        rows.writerows([number, *astuple(epoch)] for number, epoch in enumerate(epochs, start=1))


def _export(
    hparams: Mapping[str, Any], network: Network, folder: Path, results: Mapping[str, Any]
) -> None:
    """Write the model with a card that says what it was trained on."""
    model = network.model.cpu().eval()
    facts = {
        "corpora": ", ".join(hparams["corpora"]),
        "layers": hparams["layers"],
        "utterances": sum(results["num_train"].values()),
        "epochs": results["num_epochs"],
        "seed": hparams["seed"],
    }
    content = {**model.content, "decoding": hparams["decoding"], "training": facts}
    number = sum(tensor.numel() for tensor in model.state_dict().values())
    rows = card_rows(
        {
            f"utterances of {corpus}": {
                "recordings": rates["num"],
                "WA": rates["wa"],
                "UA": rates["ua"],
            }
            for corpus, rates in results["targets"].items()
        }
    )
    card = model_card(str(folder), content, num_parameters=number, results=rows)
    model.save_pretrained(folder, decoding=hparams["decoding"], card=card)
