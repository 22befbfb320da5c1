"""Tables 1, 2 and 3 of the paper, from the runs there are."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from paper import PAIRS, TABLE_1, TABLE_2, TABLE_3
from runs import FEATURES, PROTOCOLS, VARIANTS, CrossCorpus, CrossValidation, Run

from sed.corpora.descriptor import Corpus
from sed.scoring.render import NOTHING
from sed.scoring.tables import Column, Table, Value

SHOWN = {"*": "`*`", "**": "`**`, LEAKING", "speaker-independent": "speaker-independent"}
"""Protocols as every table calls them."""

ABLATIONS = tuple(name for name in VARIANTS if name != "timnet")

Key = tuple[Any, ...]


def title_of(corpus: str) -> str:
    """Short title of a corpus, its name where the catalog does not know it.

    Examples
    --------
    >>> title_of("emodb"), title_of("calls")
    ('EmoDB', 'calls')
    """
    try:
        return Corpus.named(corpus).title.partition(":")[0]
    except ValueError:
        return corpus


def spread(fractions: Sequence[float]) -> str:
    """Mean in percent, with the standard deviation of a sample where there are several.

    Examples
    --------
    >>> spread([0.9]), spread([0.9, 0.92]), spread([])
    ('90.00', '91.00 ± 1.41', '–')
    """
    if not fractions:
        return NOTHING
    mean = f"{100 * statistics.fmean(fractions):.2f}"
    return f"{mean} ± {100 * statistics.stdev(fractions):.2f}" if len(fractions) > 1 else mean


def duration(seconds: float) -> str:
    """Wall time for people.

    Examples
    --------
    >>> duration(59.4), duration(1234.5), duration(7500)
    ('59 s', '21 min', '2 h 05 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def numbers(runs: Iterable[Run]) -> str:
    """Numbers of runs, neighbours drawn together."""
    return stretches(run.number for run in runs)


def stretches(numbers: Iterable[int]) -> str:
    """Whole numbers in order, neighbours drawn together.

    Examples
    --------
    >>> stretches([7, 1, 3, 2, 10, 9])
    '1-3, 7, 9-10'
    """
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def both(uar: float, war: float, sign: str = "") -> str:
    """UAR and WAR in percent, or with the sign ``+`` a difference in points.

    Examples
    --------
    >>> both(89.19, 90.28), both(-0.401, 0.5, "+")
    ('89.19 / 90.28', '-0.40 / +0.50')
    """
    return f"{uar:{sign}.2f} / {war:{sign}.2f}"


def full_groups(runs: Iterable[CrossValidation]) -> dict[Key, list[CrossValidation]]:
    """Runs of the full network that differ in their seed alone, ordered by features and corpus."""
    groups: dict[Key, list[CrossValidation]] = {}
    for run in runs:
        if run.variant == "timnet":
            groups.setdefault((run.settings, run.data, run.split), []).append(run)
    splits = list(PROTOCOLS)
    order = sorted(groups, key=lambda key: (_settings(key[0]), key[1], splits.index(key[2])))
    return {key: sorted(groups[key], key=lambda run: run.seed) for key in order}


def single_corpus_table(runs: Iterable[CrossValidation]) -> Table:
    """Table 1: the mean over folds, then over seeds, of every corpus and protocol."""
    rows = []
    for group in full_groups(runs).values():
        first = group[0]
        for protocol in PROTOCOLS[first.split]:
            having = [run for run in group if protocol in run.protocols]
            if not having:
                continue
            uar = [statistics.fmean(run.protocols[protocol].uar) for run in having]
            war = [statistics.fmean(run.protocols[protocol].war) for run in having]
            published = TABLE_1.get((first.corpus, protocol))
            rows.append(
                (
                    title_of(first.corpus),
                    SHOWN[protocol],
                    first.features,
                    spread(uar),
                    spread(war),
                    both(*published) if published else NOTHING,
                    _gap((uar, war), published),
                    len(having),
                    first.num_epochs,
                    first.num_folds,
                    first.num_recordings,
                    first.precision,
                    duration(statistics.fmean(run.seconds for run in having)),
                    numbers(having),
                )
            )
    columns = (
        Column("corpus"),
        Column("protocol"),
        Column("features"),
        Column("uar", "count", "UAR %"),
        Column("war", "count", "WAR %"),
        Column("paper", "count", "paper's UAR / WAR"),
        Column("difference", "count", "difference in points"),
        Column("seeds", "count"),
        Column("epochs", "count"),
        Column("folds", "count"),
        Column("recordings", "count"),
        Column("precision"),
        Column("seconds", "count", "wall time of a run"),
        Column("runs"),
    )
    return Table("table_1", "Single corpora", columns, tuple(rows))


def ablation_table(runs: Sequence[CrossValidation]) -> Table:
    """Table 3: every ablation beside the full network on the same corpora, folds and seeds."""
    rows = []
    for network in ABLATIONS:
        ablated = {run.settings for run in runs if run.variant == network}
        for settings in sorted(ablated, key=_settings):
            for protocol in SHOWN:
                pairs = partners(runs, network, settings, protocol)
                if pairs:
                    rows.append(_ablation(pairs, protocol))
    columns = (
        Column("network"),
        Column("protocol"),
        Column("features"),
        Column("corpora"),
        Column("seeds", "count"),
        Column("epochs", "count"),
        Column("precision"),
        Column("average", "count", "UAR / WAR %"),
        Column("full", "count", "TIM-Net on the same"),
        Column("difference", "count", "difference in points"),
        Column("paper", "count", "paper's UAR / WAR"),
        Column("paper_difference", "count", "paper's difference"),
        Column("runs"),
    )
    return Table("table_3", "Ablations", columns, tuple(rows))


def partners(
    runs: Iterable[CrossValidation], network: str, settings: Key, protocol: str
) -> list[tuple[CrossValidation, CrossValidation]]:
    """Runs of an ablation, each with the run of the full network that differs in nothing else."""
    chosen: dict[str, dict[Key, CrossValidation]] = {network: {}, "timnet": {}}
    for run in runs:
        if run.variant in chosen and run.settings == settings and protocol in run.protocols:
            chosen[run.variant][*run.data, run.seed] = run
    full = chosen["timnet"]
    return [(run, full[key]) for key, run in chosen[network].items() if key in full]


def _ablation(
    pairs: list[tuple[CrossValidation, CrossValidation]], protocol: str
) -> tuple[Value, ...]:
    """Row of an ablation under one protocol."""
    first = pairs[0][0]
    corpora = sorted({run.corpus for run, _ in pairs})
    ablated, full = (_average([pair[side] for pair in pairs], protocol) for side in (0, 1))
    has_paper = protocol == "**"  # whose mean the paper's averages are
    published = TABLE_3[first.variant]
    return (
        VARIANTS[first.variant],
        SHOWN[protocol],
        first.features,
        ", ".join(map(title_of, corpora)),
        len({run.seed for run, _ in pairs}),
        first.num_epochs,
        first.precision,
        both(*ablated),
        both(*full),
        both(*_minus(ablated, full), "+"),
        both(*published) if has_paper else NOTHING,
        both(*_minus(published, TABLE_3["timnet"]), "+") if has_paper else NOTHING,
        numbers(run for pair in pairs for run in pair),
    )


def _average(runs: list[CrossValidation], protocol: str) -> tuple[float, float]:
    """UAR and WAR in percent: over folds, seeds, then corpora, so that each corpus weighs alike."""
    corpora: dict[str, list[CrossValidation]] = {}
    for run in runs:
        corpora.setdefault(run.corpus, []).append(run)
    uar, war = (
        statistics.fmean(
            statistics.fmean(statistics.fmean(run.protocols[protocol][side]) for run in each)
            for each in corpora.values()
        )
        for side in (0, 1)
    )
    return 100 * uar, 100 * war


Cases = dict[tuple[str, str], dict[int, tuple[float, float]]]
"""UAR and WAR of every source and target by seed."""


def cross_corpus_tables(runs: Iterable[CrossCorpus]) -> tuple[Table, Table]:
    """Table 2, the average over the paper's pairs that are there; and every pair."""
    groups: dict[Key, list[CrossCorpus]] = {}
    for run in runs:
        groups.setdefault((run.settings, run.variant), []).append(run)
    averages, details = [], []
    for key in sorted(groups, key=lambda key: (_settings(key[0]), key[1])):
        group = groups[key]
        first, cases = group[0], _cases(group)
        within = {pair: cases[pair] for pair in PAIRS if pair in cases}
        seeds = set.intersection(*map(set, within.values())) if within else set()
        by_seed = [
            [statistics.fmean(case[seed][side] for case in within.values()) for seed in seeds]
            for side in (0, 1)
        ]
        published = TABLE_2.get(first.variant)
        averages.append(
            (
                VARIANTS[first.variant],
                first.features,
                f"{len(within)} of {len(PAIRS)}",
                len(seeds),
                first.num_epochs,
                first.precision,
                *map(spread, by_seed),
                *(f"{mean:.2f} ± {std:.2f}" for mean, std in published or ()),
                *(() if published else (NOTHING, NOTHING)),
                numbers(group),
            )
        )
        for (source, target), found in sorted(cases.items()):
            details.append(
                (
                    VARIANTS[first.variant],
                    first.features,
                    title_of(source),
                    title_of(target),
                    len(found),
                    first.num_epochs,
                    first.precision,
                    *(spread([rates[side] for rates in found.values()]) for side in (0, 1)),
                    numbers(run for run in group if run.source == source and target in run.targets),
                )
            )
    head = (Column("network"), Column("features"))
    middle = (Column("seeds", "count"), Column("epochs", "count"), Column("precision"))
    middle += (Column("uar", "count", "UAR %"), Column("war", "count", "WAR %"))
    paper = (Column("p_uar", "count", "paper's UAR %"), Column("p_war", "count", "paper's WAR %"))
    columns = (*head, Column("pairs", "count"), *middle, *paper, Column("runs"))
    ends = (Column("source", title="trained on"), Column("target", title="tested on"))
    return (
        Table("table_2", "Across corpora", columns, tuple(averages)),
        Table("pairs", "Every pair", (*head, *ends, *middle, Column("runs")), tuple(details)),
    )


def _cases(runs: Iterable[CrossCorpus]) -> Cases:
    cases: Cases = {}
    for run in runs:
        for target, rates in run.targets.items():
            found = zip(run.seeds, zip(*rates, strict=True), strict=True)
            cases.setdefault((run.source, target), {}).update(found)
    return cases


def runs_table(runs: Iterable[CrossValidation | CrossCorpus]) -> Table:
    """What went in."""
    rows = []
    for run in runs:
        if isinstance(run, CrossCorpus):
            what = f"{title_of(run.source)} to {', '.join(map(title_of, run.targets))}"
            seeds, num_recordings = stretches(run.seeds), None
        else:
            what = f"{title_of(run.corpus)}, split by {run.split}"
            seeds, num_recordings = str(run.seed), run.num_recordings
        rows.append(
            (
                run.number,
                f"`{run.folder.as_posix()}`",
                what,
                VARIANTS[run.variant],
                run.features,
                seeds,
                run.num_epochs,
                num_recordings,
                run.precision,
                run.device,
                f"{run.seconds:.1f}",
            )
        )
    columns = (
        Column("number", "count", "run"),
        Column("folder"),
        Column("corpora"),
        Column("network"),
        Column("features"),
        Column("seeds", "count", "seed"),
        Column("epochs", "count"),
        Column("recordings", "count"),
        Column("precision"),
        Column("device"),
        Column("seconds", "count"),
    )
    return Table("runs", "Runs", columns, tuple(rows))


def _gap(ours: tuple[list[float], list[float]], published: tuple[float, float] | None) -> str:
    """Ours less the paper's."""
    if published is None:
        return NOTHING
    uar, war = (100 * statistics.fmean(each) for each in ours)
    return both(*_minus((uar, war), published), "+")


def _minus(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return first[0] - second[0], first[1] - second[1]


def _settings(settings: Key) -> Key:
    """Order of settings: those of the published numbers first."""
    features, num_epochs, precision = settings
    return FEATURES.index(features), -num_epochs, precision != "fp32", precision
