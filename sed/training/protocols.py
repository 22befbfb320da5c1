"""TIM-Net as its paper tests it: cross-validation in three protocols, and from corpus to corpus."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

from sed.corpora import Corpus, Utterance, relabelled
from sed.files import whole_file
from sed.scoring import uar, war
from sed.training.checks import check_same
from sed.training.crossvalidation import MEASURES, Fitted, Fitting, fit_folds
from sed.training.folds import Fold, folds
from sed.training.settings import load_settings, resolved
from sed.training.utterances import Cepstra, cepstra

LAST, BEST, SPEAKERS = "*", "**", "speaker-independent"
"""Protocols: the last epoch on an untouched fold; the best epoch as the test fold itself chooses
it, which leaks; the last epoch on speakers that nothing was learned from."""

TASKS = ("cross-validation", "cross-corpus")

RESULTS = "results.json"


def run_protocol(text: str, changes: Mapping[str, Any], run_opts: Any) -> Path:
    """Train and test what settings say; what is done already is not done again.

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
        The output folder, which holds ``results.json`` and ``curves.csv``, and ``embeddings.npz``
        and ``predictions.csv`` of a cross-validation. From corpus to corpus, each that is learned
        from has a folder in it.

    Raises
    ------
    OSError, ValueError
        If a setting is wrong, a corpus missing, or a file cannot be read or written.
    """
    overrides = yaml.safe_dump(dict(changes)) if changes else ""
    hparams = load_settings(text, overrides)
    if hparams["task"] not in TASKS:
        raise ValueError(f"task is {hparams['task']!r}; known are {', '.join(TASKS)}")
    settings = _fitting(hparams, run_opts)
    place: dict[str, Any] = {
        "device": run_opts["device"] or ("cuda" if torch.cuda.is_available() else "cpu")
    }
    place |= {name: hparams[name] for name in ("num_together", "compiled")}
    record = resolved(text, overrides) + f"precision: {settings.precision}\n"
    if hparams["task"] == "cross-corpus":
        sources = hparams["sources"] or hparams["corpora"]
        if odd := set(sources) - set(hparams["corpora"]):
            raise ValueError(f"sources holds {min(odd)}, which is not among the corpora")
        for source in sources:
            _cross_corpus(hparams, settings, source, record, place)
    else:
        _cross_validation(hparams, settings, record, place)
    return Path(hparams["output_folder"])


def _fitting(hparams: Mapping[str, Any], run_opts: Any) -> Fitting:
    """How networks are trained.

    Raises
    ------
    ValueError
        If a setting makes no sense.
    """
    given = {key.name: hparams[key.name] for key in fields(Fitting) if key.name in hparams}
    given["precision"] = run_opts["precision"] or "fp32"
    if run_opts["debug"]:
        given["num_epochs"] = run_opts["debug_epochs"]
    settings = Fitting(**given)
    for name in ("num_epochs", "batch_size", "channels", "num_blocks", "judge_every"):
        if type(given.get(name, 1)) is not int or given.get(name, 1) < 1:
            raise ValueError(f"{name} is {given[name]!r}, no whole number from 1 on")
    return settings


def find_recordings(hparams: Mapping[str, Any], name: str) -> list[Utterance]:
    """Recordings of a corpus that count, under the emotions that they count as.

    Raises
    ------
    ValueError
        If the corpus is missing or incomplete, or lacks a class.
    """
    corpus = Corpus.named(name)
    folder = corpus.find(hparams["data_folder"])
    known = relabelled(
        corpus.utterances(folder, complete=hparams["complete_corpora"]), hparams["relabelled"]
    )
    classes = hparams["classes"] or {utterance.emotion for utterance in known}
    if lacking := set(classes) - {utterance.emotion for utterance in known}:
        raise ValueError(f"{name} has no recording that is {min(lacking)}; change classes")
    return [utterance for utterance in known if utterance.emotion in classes]


def _read(hparams: Mapping[str, Any], utterances: Sequence[Utterance], num_samples: int) -> Cepstra:
    classes = hparams["classes"] or sorted({utterance.emotion for utterance in utterances})
    bar = tqdm(utterances, desc="features", mininterval=1.0, leave=False)
    return cepstra(
        utterances,
        classes=classes,
        features=hparams["features"],
        num_samples=num_samples,
        progress=bar,
    )


def _cross_validation(
    hparams: Mapping[str, Any], settings: Fitting, record: str, place: dict[str, Any]
) -> None:
    """Train and test a network for each fold of a corpus."""
    output, name = Path(hparams["output_folder"]), hparams["corpus"]
    if _is_done(output, record):
        return
    recordings = find_recordings(hparams, name)
    speakers = [utterance.speaker for utterance in recordings]
    dealt = folds(
        speakers, by=hparams["split"], seed=hparams["seed"], num_folds=hparams["num_folds"]
    )
    _begin(output, record)
    data = _read(hparams, recordings, hparams["num_samples"])
    found, seconds = _fit(data, dealt, settings, output, place, desc=f"{name}, {len(dealt)} folds")
    said = [utterance.emotion for utterance in recordings]
    protocols = (
        {SPEAKERS: "last"} if hparams["split"] == "speaker" else {LAST: "last", BEST: "best"}
    )
    scores = {
        protocol: _scores(said, dealt, data.classes, [getattr(fold, which) for fold in found])
        for protocol, which in protocols.items()
    }
    _write_curves(output / "curves.csv", found)
    _write_predictions(output / "predictions.csv", data, dealt, found)
    with open(output / "embeddings.npz", "wb") as stream:
        order = np.concatenate([fold.test for fold in dealt])
        np.savez_compressed(
            stream,
            embeddings=np.concatenate([fold.embeddings for fold in found]),
            uris=np.array([recordings[index].uri for index in order]),
            emotions=np.array([said[index] for index in order]),
            folds=np.repeat(np.arange(len(dealt)), [len(fold.test) for fold in dealt]),
        )
    _write_results(
        output,
        {
            "task": hparams["task"],
            "corpus": name,
            "split": hparams["split"],
            **_facts(hparams, settings, place),
            "seed": hparams["seed"],
            "num_recordings": len(recordings),
            "num_folds": len(dealt),
            "seconds": seconds,
            "protocols": scores,
        },
    )
    for protocol, measures in scores.items():
        rates = "/".join(f"{100 * np.mean(values):.2f}" for values in measures.values())
        print(f"{name} {protocol}{' (leaking)' * (protocol == BEST)}: UAR/WAR {rates}")


def _cross_corpus(
    hparams: Mapping[str, Any], settings: Fitting, source: str, record: str, place: dict[str, Any]
) -> None:
    """Train networks that differ in their seed on one corpus, and test them on the others."""
    output = Path(hparams["output_folder"]) / source
    if _is_done(output, record):
        return
    parts = {name: find_recordings(hparams, name) for name in hparams["corpora"]}
    recordings = [utterance for part in parts.values() for utterance in part]
    corpora = np.array([utterance.corpus for utterance in recordings])
    train, test = np.flatnonzero(corpora == source), np.flatnonzero(corpora != source)
    seeds = list(range(hparams["seed"], hparams["seed"] + hparams["num_runs"]))
    dealt = [Fold(seed, train, test) for seed in seeds]
    _begin(output, record)
    data = _read(hparams, recordings, hparams["num_samples"][source])
    title = f"{source} to others, {len(seeds)} seeds"
    found, seconds = _fit(data, dealt, settings, output, place, desc=title)
    said = [utterance.emotion for utterance in recordings]
    targets = {}
    for name in parts:
        if name == source:
            continue
        there = corpora[test] == name
        tested = [Fold(fold.seed, fold.train, fold.test[there]) for fold in dealt]
        heard = [fold.last[there] for fold in found]
        targets[name] = _scores(said, tested, data.classes, heard)
        rates = "/".join(f"{100 * np.mean(values):.2f}" for values in targets[name].values())
        print(f"{source} to {name}: UAR/WAR {rates}")
    _write_curves(output / "curves.csv", found)
    _write_results(
        output,
        {
            "task": hparams["task"],
            "source": source,
            **_facts(hparams, settings, place),
            "seeds": seeds,
            "seconds": seconds,
            "targets": targets,
        },
    )


def _facts(
    hparams: Mapping[str, Any], settings: Fitting, place: Mapping[str, Any]
) -> dict[str, Any]:
    """What every result says of how it came about."""
    return {
        "features": hparams["features"],
        "variant": settings.variant,
        "num_epochs": settings.num_epochs,
        "precision": settings.precision,
        "device": place["device"],
    }


def _is_done(output: Path, record: str) -> bool:
    """Whether a folder holds the results of these very settings.

    Raises
    ------
    ValueError
        If it was begun with others.
    """
    recorded = output / "hyperparams.yaml"
    check_same(recorded, record)
    if (output / RESULTS).is_file() and recorded.read_text(encoding="utf-8") == record:
        print(f"{output} is done")
        return True
    return False


def _begin(output: Path, record: str) -> None:
    """Make the folder and say in it what is done there."""
    with whole_file(output / "hyperparams.yaml") as stream:
        stream.write(record)


def _fit(
    data: Cepstra,
    dealt: Sequence[Fold],
    settings: Fitting,
    output: Path,
    place: Mapping[str, Any],
    *,
    desc: str,
) -> tuple[list[Fitted], float]:
    """Train with a bar that counts epochs of single networks; seconds of all sittings together."""
    clock = output / "seconds.txt"
    before = float(clock.read_text()) if clock.is_file() else 0.0
    started = time.perf_counter()
    with tqdm(
        total=len(dealt) * settings.num_epochs, desc=desc, unit="epoch", mininterval=1
    ) as bar:

        def tell(num_networks: int, num_epochs: int) -> None:
            bar.update(num_networks * num_epochs)

        try:
            found = fit_folds(data, dealt, settings, folder=output, tell=tell, **place)
        finally:
            seconds = before + time.perf_counter() - started
            clock.write_text(f"{seconds:.1f}\n", encoding="utf-8")
    return found, round(seconds, 1)


def _scores(
    said: Sequence[str], dealt: Sequence[Fold], classes: Sequence[str], heard: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    """UAR and WAR of each fold."""
    pairs = [
        ([said[index] for index in fold.test], [classes[place] for place in places])
        for fold, places in zip(dealt, heard, strict=True)
    ]
    return {"uar": [uar(*pair) for pair in pairs], "war": [war(*pair) for pair in pairs]}


def _write_curves(path: Path, found: Sequence[Fitted]) -> None:
    """Write losses and accuracies, a line for each epoch of each network."""
    with whole_file(path) as stream:
        stream.write(",".join(("fold", "epoch", *MEASURES)) + "\n")
        for fold, fitted in enumerate(found):
            for epoch, row in enumerate(fitted.curves, start=1):
                values = ["" if np.isnan(value) else f"{value:.6f}" for value in row]
                stream.write(",".join((str(fold), str(epoch), *values)) + "\n")


def _write_predictions(
    path: Path, data: Cepstra, dealt: Sequence[Fold], found: Sequence[Fitted]
) -> None:
    """Write what was heard in each recording while it was in the test fold."""
    with whole_file(path) as stream:
        stream.write("fold,uri,speaker,emotion,last,best\n")
        for number, (fold, fitted) in enumerate(zip(dealt, found, strict=True)):
            for index, last, best in zip(fold.test, fitted.last, fitted.best, strict=True):
                said = data.utterances[index]
                heard = data.classes[last], data.classes[best]
                row = (str(number), said.uri, said.speaker, said.emotion, *heard)
                stream.write(",".join(row) + "\n")


def _write_results(output: Path, results: Mapping[str, Any]) -> None:
    with whole_file(output / RESULTS) as stream:
        json.dump(results, stream, indent=2)
        stream.write("\n")
    print(f"wrote {output / RESULTS}")
