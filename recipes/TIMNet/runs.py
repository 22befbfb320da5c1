"""Finished runs of this recipe, read from their folders and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = "results.json"

VARIANTS = {
    "timnet": "TIM-Net",
    "tcn": "TCN",
    "without-backward": "without backward direction",
    "without-multi-scale": "without multi-scale fusion",
    "without-dynamic-fusion": "without dynamic fusion",
}
"""The network and its ablations, by the names of the settings."""

PROTOCOLS = {"utterance": ("*", "**"), "speaker": ("speaker-independent",)}
"""How a cross-validation is judged, by how its folds are split."""

FEATURES = ("code", "paper")


class Refusal(NamedTuple):
    """A file that did not go in: where it lies below the folder of all runs, and why."""

    path: Path
    reason: str


class Rates(NamedTuple):
    """UAR and WAR as fractions, each one per fold or one per seed."""

    uar: tuple[float, ...]
    war: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What every run says of itself.

    Parameters
    ----------
    folder : Path
        Relative to the folder of all runs.
    number : int
        Its name in the report.
    features : {"code", "paper"}
    variant : str
        One of `VARIANTS`.
    num_epochs : int
    precision, device : str
    seconds : float
        Wall time.
    """

    folder: Path
    number: int
    features: str
    variant: str
    num_epochs: int
    precision: str
    device: str
    seconds: float

    @property
    def settings(self) -> tuple[str, int, str]:
        """What must be the same in runs that are averaged or compared."""
        return self.features, self.num_epochs, self.precision


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossValidation(Run):
    """Training and test on the folds of one corpus, with one seed."""

    corpus: str
    split: str
    seed: int
    num_recordings: int
    num_folds: int
    protocols: Mapping[str, Rates]

    @property
    def data(self) -> tuple[str, int, int]:
        """What was trained and tested on."""
        return self.corpus, self.num_recordings, self.num_folds

    @property
    def contents(self) -> Iterator[tuple[object, ...]]:
        """What no second run may be."""
        yield self.variant, *self.settings, self.split, *self.data, self.seed


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossCorpus(Run):
    """Training on one corpus and test on others, with several seeds."""

    source: str
    seeds: tuple[int, ...]
    targets: Mapping[str, Rates]

    @property
    def contents(self) -> Iterator[tuple[object, ...]]:
        """What no second run may hold."""
        for target in self.targets:
            for seed in self.seeds:
                yield self.variant, *self.settings, self.source, target, seed


def read_runs(folder: str | Path) -> tuple[list[CrossValidation | CrossCorpus], list[Refusal]]:
    """Every finished run below a folder, ordered by path, and the files that are none.

    A run that is there twice would count twice; the second one is refused.

    Raises
    ------
    ValueError
        If there is no such folder, or no run in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name the one that the runs were written to")
    runs: list[CrossValidation | CrossCorpus] = []
    refused = []
    known: dict[tuple[object, ...], Path] = {}
    paths = sorted(folder.rglob(RESULTS))
    for path in paths:
        inner = path.relative_to(folder)
        try:
            run = replace(read_run(path), folder=inner.parent, number=len(runs) + 1)
            again = [known[content] for content in run.contents if content in known]
            if again:
                raise ValueError(f"the same corpus, seed and settings as {again[0]}")
        except ValueError as error:
            refused.append(Refusal(inner, str(error)))
            continue
        known |= dict.fromkeys(run.contents, inner)
        runs.append(run)
    if not paths:
        raise ValueError(f"{folder} holds no {RESULTS}; a run leaves one when it is finished")
    return runs, refused


def read_run(path: Path) -> CrossValidation | CrossCorpus:
    """One run.

    Raises
    ------
    ValueError
        If the file is damaged or says something impossible; the message does not name the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, no object")
    common: dict[str, Any] = {
        "folder": path.parent,
        "number": 0,
        "features": _word(content, "features", FEATURES),
        "variant": _word(content, "variant", tuple(VARIANTS)),
        "num_epochs": _count(content, "num_epochs"),
        "precision": _word(content, "precision"),
        "device": _word(content, "device"),
        "seconds": _seconds(content, "seconds"),
    }
    if _word(content, "task", ("cross-validation", "cross-corpus")) == "cross-corpus":
        source, seeds = _word(content, "source"), _seeds(content)
        targets = _rates(content, "targets", len(seeds))
        if source in targets:
            raise ValueError(f"targets hold the source {source!r}")
        return CrossCorpus(**common, source=source, seeds=seeds, targets=targets)
    split, num_folds = _word(content, "split", tuple(PROTOCOLS)), _count(content, "num_folds")
    protocols = _rates(content, "protocols", num_folds)
    if odd := [name for name in protocols if name not in PROTOCOLS[split]]:
        raise ValueError(f"split by {split}, and judged by the protocol {odd[0]!r}")
    return CrossValidation(
        **common,
        corpus=_word(content, "corpus"),
        split=split,
        seed=_count(content, "seed", least=0),
        num_recordings=_count(content, "num_recordings"),
        num_folds=num_folds,
        protocols=protocols,
    )


def _value(content: Mapping[str, Any], name: str) -> Any:
    if name not in content:
        raise ValueError(f"has no {name}")
    return content[name]


def _word(content: Mapping[str, Any], name: str, known: Sequence[str] = ()) -> str:
    value = _value(content, name)
    if not isinstance(value, str) or not value or (known and value not in known):
        raise ValueError(f"{name} is {value!r}, not {' or '.join(known) or 'a name'}")
    return value


def _count(content: Mapping[str, Any], name: str, least: int = 1) -> int:
    value = _value(content, name)
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, no whole number from {least} on")
    return value


def _seconds(content: Mapping[str, Any], name: str) -> float:
    value = _value(content, name)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}, no time")
    return float(value)


def _seeds(content: Mapping[str, Any]) -> tuple[int, ...]:
    value = _value(content, "seeds")
    whole = isinstance(value, list) and value and all(type(seed) is int for seed in value)
    if not whole or len(set(value)) < len(value):
        raise ValueError(f"seeds is {value!r}, no list of different whole numbers")
    return tuple(value)


def _rates(content: Mapping[str, Any], name: str, num_each: int) -> dict[str, Rates]:
    """UAR and WAR of each protocol or target."""
    value = _value(content, name)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{name} is {value!r}, no object with numbers")
    found = {}
    for key, rates in value.items():
        if not isinstance(rates, dict):
            raise ValueError(f"{name} {key!r} is {rates!r}, no object with uar and war")
        found[key] = Rates(*(_fractions(rates, each, num_each, key) for each in ("uar", "war")))
    return found


def _fractions(rates: Mapping[str, Any], name: str, number: int, where: str) -> tuple[float, ...]:
    value = rates.get(name)
    if not isinstance(value, list) or len(value) != number:
        raise ValueError(f"{name} of {where!r} is no list of {number} numbers")
    for rate in value:
        if type(rate) not in (int, float) or not 0 <= rate <= 1:
            raise ValueError(f"{name} of {where!r} holds {rate!r}, no fraction from 0 to 1")
    return tuple(map(float, value))
