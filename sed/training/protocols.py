"""TIM-Net as its paper tests it: cross-validation in three protocols, and from corpus to corpus."""

from __future__ import annotations

import json
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
from sed.training.checks import Checked, check_same
from sed.training.crossvalidation import fit_folds
from sed.training.curves import write_curves, write_predictions
from sed.training.folds import Fold, folds
from sed.training.passes import has_compiler
from sed.training.processes import num_processes
from sed.training.ranges import check_whole
from sed.training.settings import load_settings, resolved
from sed.training.together import Fitted, Fitting
from sed.training.utterances import Cepstra, cepstra, front_end

LAST, BEST, SPEAKERS = "*", "**", "speaker-independent"
"""Protocols: the last epoch on an untouched fold; the best epoch as the test fold itself chooses
it, which leaks; the last epoch on speakers that nothing was learned from."""

TASKS = ("cross-validation", "cross-corpus")

RESULTS = "results.json"

OPTIONS = {"device", "precision", "debug", "debug_epochs", "debug_persistently", "noprogressbar"}
"""SpeechBrain's options that mean something here."""


def run_protocol(text: str, changes: Mapping[str, Any], run_opts: Any) -> Path:
    """Train and test what settings say; what is done already is not done again.

    Parameters
    ----------
    text : str
        From `sed.training.settings.read_settings`.
    changes : mapping
        Settings that have another value.
    run_opts : mapping
        SpeechBrain's, of which `OPTIONS` can be chosen.

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
    hparams, settings, record = _prepared(text, changes, run_opts)
    place: dict[str, Any] = {
        "device": run_opts["device"] or ("cuda" if torch.cuda.is_available() else "cpu")
    }
    place |= {name: hparams[name] for name in ("num_together", "compiled")}
    for source, folder in _folders(hparams).items():
        if _is_done(folder, record):
            print(f"{folder} is done")
        elif source is None:
            _cross_validation(hparams, settings, record, place)
        else:
            _cross_corpus(hparams, settings, source, record, place)
    return Path(hparams["output_folder"])


def check_protocol(text: str, changes: Mapping[str, Any], run_opts: Any) -> Checked:
    """Refuse what `run_protocol` would refuse; nothing is trained, and nothing written."""
    hparams, _, record = _prepared(text, changes, run_opts)
    folders = _folders(hparams)
    is_done = all([_is_done(folder, record) for folder in folders.values()])
    if None in folders:
        _dealt(hparams, find_recordings(hparams, hparams["corpus"]))
    else:
        for name in hparams["corpora"]:
            find_recordings(hparams, name)
    return Checked(tuple(folder / RESULTS for folder in folders.values()), is_done)


def _prepared(
    text: str, changes: Mapping[str, Any], run_opts: Any
) -> tuple[dict[str, Any], Fitting, str]:
    """Settings, how networks are trained by them, and what the experiment is remembered by."""
    if run_opts["debug"]:
        changes = {**changes, "num_epochs": run_opts["debug_epochs"]}
    overrides = yaml.safe_dump(dict(changes)) if changes else ""
    hparams = load_settings(text, overrides)
    _check_options(run_opts)
    _check_settings(hparams)
    given = {key.name: hparams[key.name] for key in fields(Fitting) if key.name in hparams}
    settings = Fitting(**given, precision=run_opts["precision"] or "fp32")
    hparams["quiet"] = run_opts["noprogressbar"]
    return hparams, settings, resolved(text, overrides) + f"precision: {settings.precision}\n"


def _folders(hparams: Mapping[str, Any]) -> dict[str | None, Path]:
    """Where results go: those of a cross-validation, or of each corpus that is learned from."""
    output = Path(hparams["output_folder"])
    if hparams["task"] == "cross-validation":
        return {None: output}
    return {source: output / source for source in hparams["sources"] or hparams["corpora"]}


def _check_options(run_opts: Any) -> None:
    """Refuse options that would do nothing.

    Raises
    ------
    ValueError
    """
    if odd := set(run_opts["overridden_args"]) - OPTIONS:
        raise ValueError(f"--{min(odd)} means nothing here; leave it out")
    if num_processes() > 1:
        raise ValueError("networks train together in one process; start it without torchrun")


def _check_settings(hparams: Mapping[str, Any]) -> None:
    """Refuse what makes no sense and is not refused by `Fitting`, `folds` or the corpora.

    Raises
    ------
    ValueError
    """
    if hparams["task"] not in TASKS:
        raise ValueError(f"task is {hparams['task']!r}; known are {', '.join(TASKS)}")
    front_end(hparams["features"])
    _check_kind("relabelled", hparams["relabelled"], dict)
    check_whole("seed", hparams["seed"], least=0)
    if hparams["num_together"] is not None:
        check_whole("num_together", hparams["num_together"])
    if hparams["compiled"] not in (None, True, False):
        raise ValueError(f"compiled is {hparams['compiled']!r}, neither true nor false")
    if hparams["compiled"] and not has_compiler():
        raise ValueError(
            "compiled is true, and there is no C++ compiler, or a space in torch's path; "
            "--compiled=false"
        )
    if hparams["task"] == "cross-validation":
        if hparams["classes"] is not None:
            _check_kind("classes", hparams["classes"], list)
        for name in ("num_samples", "num_folds"):
            check_whole(name, hparams[name])
        return
    for name in ("classes", "corpora"):
        _check_kind(name, hparams[name], list)
    known, sources = hparams["corpora"], hparams["sources"] or hparams["corpora"]
    _check_kind("sources", sources, list)
    if len(known) < 2 or len(set(known)) < len(known):
        raise ValueError(f"corpora is {known!r}; it takes two at least, each of them once")
    if odd := sorted(set(sources) - set(known)):
        raise ValueError(f"sources holds {odd[0]!r}, which is not among the corpora")
    _check_kind("num_samples", hparams["num_samples"], dict)
    for name in sources:
        check_whole(f"num_samples of {name}", hparams["num_samples"].get(name))
    check_whole("num_runs", hparams["num_runs"])


def _check_kind(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind) or value == []:
        words = "list such as [a, b]" if kind is list else "mapping such as {a: b}"
        raise ValueError(f"{name} is {value!r}, no {words}")


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
    bar = tqdm(utterances, desc="features", mininterval=1, leave=False, disable=hparams["quiet"])
    return cepstra(
        utterances,
        classes=classes,
        features=hparams["features"],
        num_samples=num_samples,
        progress=bar,
    )


def _dealt(hparams: Mapping[str, Any], recordings: Sequence[Utterance]) -> list[Fold]:
    """The folds of a cross-validation."""
    return folds(
        [utterance.speaker for utterance in recordings],
        by=hparams["split"],
        seed=hparams["seed"],
        num_folds=hparams["num_folds"],
    )


def _cross_validation(
    hparams: Mapping[str, Any], settings: Fitting, record: str, place: dict[str, Any]
) -> None:
    """Train and test a network for each fold of a corpus."""
    output, name = Path(hparams["output_folder"]), hparams["corpus"]
    recordings = find_recordings(hparams, name)
    dealt = _dealt(hparams, recordings)
    _begin(output, record)
    data = _read(hparams, recordings, hparams["num_samples"])
    title = f"{name}, {len(dealt)} folds"
    found = _fit(data, dealt, settings, output, place, title, quiet=hparams["quiet"])
    said = [utterance.emotion for utterance in recordings]
    protocols = (
        {SPEAKERS: "last"} if hparams["split"] == "speaker" else {LAST: "last", BEST: "best"}
    )
    scores = {
        protocol: _scores(said, dealt, data.classes, [getattr(fold, which) for fold in found])
        for protocol, which in protocols.items()
    }
    write_curves(output / "curves.csv", found)
    write_predictions(output / "predictions.csv", data, dealt, found)
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
            "seconds": round(sum(fold.seconds for fold in found), 3),
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
    parts = {name: find_recordings(hparams, name) for name in hparams["corpora"]}
    recordings = [utterance for part in parts.values() for utterance in part]
    corpora = np.array([utterance.corpus for utterance in recordings])
    train, test = np.flatnonzero(corpora == source), np.flatnonzero(corpora != source)
    seeds = list(range(hparams["seed"], hparams["seed"] + hparams["num_runs"]))
    dealt = [Fold(seed, train, test) for seed in seeds]
    _begin(output, record)
    data = _read(hparams, recordings, hparams["num_samples"][source])
    title = f"{source} to others, {len(seeds)} seeds"
    found = _fit(data, dealt, settings, output, place, title, quiet=hparams["quiet"])
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
    write_curves(output / "curves.csv", found)
    _write_results(
        output,
        {
            "task": hparams["task"],
            "source": source,
            **_facts(hparams, settings, place),
            "seeds": seeds,
            "seconds": round(sum(fold.seconds for fold in found), 3),
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
        If it was begun with others, or for more epochs.
    """
    recorded = output / "hyperparams.yaml"
    check_same(recorded, record)
    if not recorded.is_file():
        return False
    before = recorded.read_text(encoding="utf-8")
    if (output / RESULTS).is_file() and before == record:
        return True
    num_epochs, most = (load_settings(text)["num_epochs"] for text in (record, before))
    if num_epochs < most:
        raise ValueError(
            f"{output} began with num_epochs {most}, and goes on to no fewer; name another "
            "--output_folder, or remove this one"
        )
    return False


def _begin(output: Path, record: str) -> None:
    """Make the folder and say in it what is done there; results of fewer epochs go."""
    (output / RESULTS).unlink(missing_ok=True)
    with whole_file(output / "hyperparams.yaml") as stream:
        stream.write(record)


def _fit(
    data: Cepstra,
    dealt: Sequence[Fold],
    settings: Fitting,
    output: Path,
    place: Mapping[str, Any],
    title: str,
    *,
    quiet: bool,
) -> list[Fitted]:
    """Train with a bar that counts epochs of single networks."""
    total = len(dealt) * settings.num_epochs
    with tqdm(total=total, desc=title, unit="epoch", mininterval=1, disable=quiet) as bar:

        def tell(num_networks: int, num_epochs: int) -> None:
            bar.update(num_networks * num_epochs)

        return fit_folds(data, dealt, settings, folder=output, tell=tell, **place)


def _scores(
    said: Sequence[str], dealt: Sequence[Fold], classes: Sequence[str], heard: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    """UAR and WAR of each fold."""
    pairs = [
        ([said[index] for index in fold.test], [classes[place] for place in places])
        for fold, places in zip(dealt, heard, strict=True)
    ]
    return {"uar": [uar(*pair) for pair in pairs], "war": [war(*pair) for pair in pairs]}


def _write_results(output: Path, results: Mapping[str, Any]) -> None:
    with whole_file(output / RESULTS) as stream:
        json.dump(results, stream, indent=2)
        stream.write("\n")
    print(f"wrote {output / RESULTS}")
