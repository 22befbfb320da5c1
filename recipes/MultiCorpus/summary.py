"""Tables 2 to 5 of the multi-corpus study, from every finished experiment below a folder.

    python summary.py results/ [--output summary.md]

What is not there is left out of the tables, and the summary says how many experiments there are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sed.corpora import Corpus
from sed.files import whole_file
from sed.scoring.tables import Column, Table

MEASURES = {"wa": "WA", "ua": "UA"}
BLOCKS = {"lstm": "LSTM", "blstm": "BLSTM", "tdnn": "TDNN"}
POOLINGS = {"mean": "mean", "mean-variance": "mean and variance"}
LAYERS = {"unified": "unified", "multi-task": "multi-task"}

Configuration = tuple[str, str, str]
"""Block, pooling and layers."""

CONFIGURATIONS: tuple[Configuration, ...] = tuple(product(BLOCKS, POOLINGS, LAYERS))

Rates = dict[str, dict[tuple[str, ...], dict[Configuration, dict[str, float]]]]
"""By target, by corpora that were learned from, by configuration: WA and UA, means over seeds."""


@dataclass(frozen=True)
class Experiment:
    """What one experiment found.

    Parameters
    ----------
    corpora : tuple of str
        Learned from, ordered by name.
    configuration : tuple of str
        Block, pooling and layers.
    seed : int
    targets : mapping of str to mapping
        WA and UA of each corpus that was tested on.
    """

    corpora: tuple[str, ...]
    configuration: Configuration
    seed: int
    targets: Mapping[str, Mapping[str, float]]


def read(path: Path) -> Experiment | None:
    """One experiment; None where the file is of another kind.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.get("task") != "multi-corpus":
            return None
        configuration = found["block"], found["pooling"], found["layers"]
        if configuration not in CONFIGURATIONS:
            raise ValueError(f"no configuration of the study: {', '.join(configuration)}")
        targets = {
            name: {measure: float(rates[measure]) for measure in MEASURES}
            for name, rates in found["targets"].items()
        }
        corpora = tuple(sorted(found["corpora"]))
        return Experiment(corpora, configuration, int(found["seed"]), targets)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no result of an experiment: {error}") from None


def rates_of(experiments: Iterable[Experiment]) -> Rates:
    """Means over seeds."""
    values: dict[tuple[str, tuple[str, ...], Configuration], dict[int, Mapping[str, float]]]
    values = defaultdict(dict)
    for found in experiments:
        for target, rates in found.targets.items():
            values[target, found.corpora, found.configuration][found.seed] = rates
    means: Rates = {}
    for (target, corpora, configuration), seeds in sorted(values.items()):
        means.setdefault(target, {}).setdefault(corpora, {})[configuration] = {
            measure: statistics.fmean(rates[measure] for rates in seeds.values())
            for measure in MEASURES
        }
    return means


def winners(
    rates: Mapping[Configuration, Mapping[str, float]], measure: str
) -> list[Configuration]:
    """The best configuration, or those that are equally good."""
    most = max(found[measure] for found in rates.values())
    return [name for name, found in rates.items() if found[measure] == most]


def results_table(rates: Rates) -> Table:
    """Every experiment, a row for each corpus that it was tested on."""
    rows = [
        (target, "+".join(corpora), *_names(configuration), *found.values())
        for target, combinations in rates.items()
        for corpora, configurations in combinations.items()
        for configuration, found in configurations.items()
    ]
    return _table("results", ["test", "learned from", "block", "pooling", "layers"], rows, MEASURES)


def best_table(rates: Rates) -> Table:
    """Table 2: the best experiment for each corpus, and the best that learned from it alone."""
    rows = []
    for measure, title in MEASURES.items():
        for target, combinations in rates.items():
            found = [
                (values[measure], corpora, configuration)
                for corpora, configurations in combinations.items()
                for configuration, values in configurations.items()
            ]
            best, corpora, configuration = max(found)
            alone = [value for value, learned, _ in found if learned == (target,)]
            single = max(alone) if alone else None
            names = _names(configuration)
            rows.append((title, target, "+".join(corpora), *names, best, single))
    columns = ["by", "test", "learned from", "block", "pooling", "layers"]
    return _table("best", columns, rows, {"best": "best", "alone": "best alone"})


def cases(rates: Rates, measure: str) -> tuple[dict[Configuration, float], int]:
    """How often each configuration was best, over targets and what was learned from.

    Ties are shared. A case in which not all configurations were tried does not count.
    """
    wins, number = dict.fromkeys(CONFIGURATIONS, 0.0), 0
    for combinations in rates.values():
        for configurations in combinations.values():
            if len(configurations) < len(CONFIGURATIONS):
                continue
            number += 1
            best = winners(configurations, measure)
            for configuration in best:
                wins[configuration] += 1 / len(best)
    return wins, number


def configuration_table(rates: Rates) -> Table:
    """Table 3: share of cases in which each configuration was best."""
    rows = []
    for measure, title in MEASURES.items():
        wins, number = cases(rates, measure)
        if number:
            rows += [
                (title, number, *_names(configuration), won / number)
                for configuration, won in wins.items()
            ]
    columns = ["by", "cases", "block", "pooling", "layers"]
    return _table("configurations", columns, rows, {"share": "best in"})


def parameter_table(rates: Rates) -> Table:
    """Table 4: the same for each choice by itself."""
    rows = []
    for measure, title in MEASURES.items():
        wins, number = cases(rates, measure)
        for place, names in enumerate((BLOCKS, POOLINGS, LAYERS)):
            for name, shown in names.items():
                won = sum(value for key, value in wins.items() if key[place] == name)
                if number:
                    rows.append((title, ("block", "pooling", "layers")[place], shown, won / number))
    return _table("parameters", ["by", "choice", "taken"], rows, {"share": "best in"})


def corpora_table(rates: Rates) -> Table:
    """Table 5: how often a corpus was in the best mixture for another one.

    For each target and configuration the best mixture is found; a mixture that was not tried with
    a configuration is not compared.
    """
    names = sorted({name for found in rates.values() for corpora in found for name in corpora})
    rows = []
    for measure, title in MEASURES.items():
        for target, combinations in rates.items():
            present, number = dict.fromkeys(names, 0.0), 0
            for configuration in CONFIGURATIONS:
                tried = {
                    corpora: found[configuration][measure]
                    for corpora, found in combinations.items()
                    if configuration in found
                }
                if len(tried) < 2:
                    continue
                number += 1
                best = [corpora for corpora, value in tried.items() if value == max(tried.values())]
                for corpora in best:
                    for name in corpora:
                        present[name] += 1 / len(best)
            if number:
                shares = (None if name == target else present[name] / number for name in names)
                rows.append((title, target, number, *shares))
    return _table("corpora", ["by", "test", "cases"], rows, {name: name for name in names})


def _names(configuration: Configuration) -> tuple[str, str, str]:
    """A configuration for people."""
    block, pooling, layers = configuration
    return BLOCKS[block], POOLINGS[pooling], LAYERS[layers]


def _table(
    name: str, texts: Sequence[str], rows: Iterable[tuple[object, ...]], rates: Mapping[str, str]
) -> Table:
    """Table of texts, and of rates behind them."""
    columns = (
        *(Column(text, "count" if text == "cases" else "text") for text in texts),
        *(Column(key, "rate", title) for key, title in rates.items()),
    )
    return Table(name, name, columns, tuple(rows))  # type: ignore[arg-type]


def summary(experiments: Sequence[Experiment]) -> str:
    """Everything as Markdown."""
    rates = rates_of(experiments)
    targets = ", ".join(Corpus.named(name).title.partition(":")[0] for name in rates)
    seeds = sorted({found.seed for found in experiments})
    number = f"{len(experiments)} experiment{'s' * (len(experiments) > 1)}"
    parts = [
        "# One network for several corpora",
        f"{number}, tested on {targets}; seeds {', '.join(map(str, seeds))}. "
        "WA is the share of utterances that are right, UA the mean over classes. Tables are "
        "numbered as in da Silva et al.; the paper's own numbers are on other corpora and splits.",
    ]
    for title, table in (
        ("Best for each corpus (Table 2)", best_table(rates)),
        ("Best configuration (Table 3)", configuration_table(rates)),
        ("Each choice by itself (Table 4)", parameter_table(rates)),
        ("Which corpora help which (Table 5)", corpora_table(rates)),
        ("All results", results_table(rates)),
    ):
        nothing = "Not enough experiments: each case needs all twelve configurations."
        parts.append(f"## {title}\n\n{table if table.rows else nothing}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the summary; a damaged result is named, left out, and makes the exit code 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="folder of the experiments")
    parser.add_argument("--output", type=Path, help="Markdown file; printed by default")
    options = parser.parse_args()
    experiments, damaged = [], False
    for path in sorted(options.results.rglob("results.json")):
        try:
            found = read(path)
        except (OSError, ValueError) as error:
            print(f"summary.py: {error}", file=sys.stderr)
            damaged = True
            continue
        experiments += [found] if found else []
    if not experiments:
        sys.exit(f"summary.py: {options.results} holds no finished experiment")
    text = summary(experiments)
    if options.output:
        try:
            with whole_file(options.output) as stream:
                stream.write(text)
        except OSError as error:
            sys.exit(f"summary.py: {options.output}: {error.strerror}")
    else:
        print(text, end="")
    sys.exit(int(damaged))


if __name__ == "__main__":
    main()
