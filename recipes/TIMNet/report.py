"""Report on every finished run below a folder, beside the numbers of the paper.

    python report.py results/ [--output report/]

Writes report.md, and its figures beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

from figures import (
    CURVES,
    EMBEDDINGS,
    FEWEST,
    Curves,
    draw_curves,
    draw_embeddings,
    perplexity,
    read_curves,
    read_embeddings,
    svg,
)
from paper import CORPORA, PAIRS, TABLE_2, TABLE_3
from runs import VARIANTS, CrossCorpus, CrossValidation, Refusal, read_runs
from tables import (
    ABLATIONS,
    SHOWN,
    ablation_table,
    both,
    cross_corpus_tables,
    full_groups,
    numbers,
    partners,
    runs_table,
    single_corpus_table,
    title_of,
)

from sed.files import whole_file
from sed.scoring.tables import Table

Content = TypeVar("Content")

INTRODUCTION = """\
# TIM-Net: our numbers beside the paper's

The paper is Ye et al. (2023), *Temporal Modeling Matters*. Ours are means over folds, then over
seeds; ± is the standard deviation of a sample over seeds, and is missing where there is one seed.
The last column of a table names the runs its row comes from, as the table at the end numbers them.

- `*`: ten folds over recordings, the network of the last epoch, test folds that nothing else saw.
  A speaker stands on both sides of every fold, so this is no result on new speakers.
- `**`, LEAKING: the same folds, and the epoch is chosen on the fold that is then tested. This
  number is too high by its making; it is here because the literature has it.
- speaker-independent: no speaker on both sides, the network of the last epoch. The paper has none.
- Features `code` are those of the authors' program, from which the published numbers come (frames
  of 93 ms every 23 ms); `paper` are those of its text (50 ms every 12.5 ms).
"""

ABLATION_NOTE = f"""\
Each row compares an ablation with the full network on the same corpora, folds and seeds; every
corpus weighs alike. The paper's averages are over six corpora, {both(*TABLE_3["timnet"])} % for the
full network. They stand beside `**` alone: the WAR among them is the mean of its `**` results.
"""

CROSS_CORPUS_NOTE = """\
Trained on one corpus and tested on another, five emotions that all share; guessing has a UAR of
20 %. For each seed the average over pairs is taken first, then mean and standard deviation over
the seeds that all pairs have. Only pairs of the paper's five corpora are in the average.
"""

CURVES_NOTE = """\
The line is the mean over folds, the band one standard deviation of the folds to either side.
"""

EMBEDDINGS_NOTE = """\
t-SNE of what the classifier of one fold's network sees of its test recordings at the last epoch.
Only who is near whom means something; axes and distances between groups do not.
"""


def write_report(folder: Path, output: Path) -> list[Refusal]:
    """Read every run below a folder, and write figures first and ``report.md`` last.

    Returns
    -------
    list of Refusal
        Files that were left out.

    Raises
    ------
    ValueError
        If there is no run, or a package is missing; nothing is written then.
    OSError
        If the output cannot be written.
    """
    for package, extra in (("sklearn", "train"), ("matplotlib", "plot")):
        if importlib.util.find_spec(package) is None:
            need = f"'speech-emotion-diarization[{extra}]'"
            raise ValueError(f"the figures need {package}: pip install {need}")
    runs, refused = read_runs(folder)
    if not runs:
        lines = (f"{folder / path}: {reason}" for path, reason in refused)
        raise ValueError(f"nothing to report on: {'; '.join(lines)}")
    single = [run for run in runs if isinstance(run, CrossValidation)]
    across = [run for run in runs if isinstance(run, CrossCorpus)]
    drawn = Figures(folder, single)
    refused += drawn.refused
    missing = [*missing_runs(single, across), *drawn.missing]
    left_out = [f"- `{path}`: {reason}.\n" for path, reason in refused]
    parts = [
        INTRODUCTION,
        _section("Single corpora (Table 1)", "", _texts(single_corpus_table(single))),
        _section("Ablations (Table 3)", ABLATION_NOTE, _texts(ablation_table(single))),
        _section(
            "Across corpora (Table 2)", CROSS_CORPUS_NOTE, _texts(*cross_corpus_tables(across))
        ),
        _section("Learning curves (Figure 2)", CURVES_NOTE, drawn.curves),
        _section("What the classifier sees (Figure 3)", EMBEDDINGS_NOTE, drawn.embeddings),
        _section("Missing", "", ["".join(f"- {line}\n" for line in missing)]),
        _section("Left out", "", ["".join(left_out)]),
        _section("Runs", "", _texts(runs_table(runs))),
    ]
    for name, text in drawn.files.items():
        with whole_file(output / name) as stream:
            stream.write(text)
    with whole_file(output / "report.md") as stream:
        stream.write("\n".join(parts))
    return refused


class Figures:
    """Figures of the full network as text, drawn before anything is written.

    Attributes
    ----------
    files : dict of str to str
        SVG by its file name.
    curves, embeddings : list of str
        Their places in the report.
    missing : list of str
        What was not there to be drawn.
    refused : list of Refusal
        Damaged files.
    """

    def __init__(self, folder: Path, runs: Sequence[CrossValidation]) -> None:
        self._folder = folder
        self.files: dict[str, str] = {}
        self.missing: list[str] = []
        self.refused: list[Refusal] = []
        groups = full_groups(runs).values()
        self.curves = [*filter(None, map(self._curves, groups))]
        self.embeddings = [*filter(None, map(self._embeddings, groups))]

    def _curves(self, group: Sequence[CrossValidation]) -> str:
        """All folds of all seeds."""
        read = {run: self._read(read_curves, CURVES, run) for run in group}
        found = {run: curves for run, curves in read.items() if curves is not None}
        if not found:
            return ""
        curves = Curves.joined(list(found.values()))
        title = f"{_name(group)}: {len(curves.values)} folds of {len(found)} seed"
        title += "s" * (len(found) > 1)
        text = f"{title} (runs: {numbers(found)})"
        return self._add("curves", group, svg(draw_curves(curves, title)), text)

    def _embeddings(self, group: Sequence[CrossValidation]) -> str:
        """One fold of the first seed that has it."""
        for run in group:
            embeddings = self._read(read_embeddings, EMBEDDINGS, run)
            if embeddings is not None:
                break
        else:
            return ""
        title = f"{_name(group)}, fold {embeddings.fold}"
        number = len(embeddings.values)
        text = f"{title} of run {run.number}: {number} recordings, "
        text += f"perplexity {perplexity(number):.1f}, WAR {100 * embeddings.war:.2f} %"
        return self._add("tsne", group, svg(draw_embeddings(embeddings, title)), text)

    def _read(
        self,
        read: Callable[[Path, CrossValidation], Content | None],
        name: str,
        run: CrossValidation,
    ) -> Content | None:
        """What a run left beside its results, None where that cannot be drawn."""
        path = run.folder / name
        try:
            content = read(self._folder / path, run)
        except FileNotFoundError:
            self.missing.append(f"`{path}`.")
            return None
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.refused.append(Refusal(path, reason or "cannot be read"))
            return None
        if content is None:
            reason = f"fewer than {FEWEST} recordings that differ in the first fold"
            self.missing.append(f"A map of `{path}`: {reason}, or no result of the last epoch.")
        return content

    def _add(self, kind: str, group: Sequence[CrossValidation], text: str, title: str) -> str:
        first = group[0]
        words = (first.corpus, first.split, *first.settings, *first.data[1:])
        name = "-".join(re.sub(r"\W+", "-", str(word)) for word in (kind, *words)) + ".svg"
        self.files[name] = text
        return f"![{title}]({name})\n\n{title}.\n"


def missing_runs(single: Sequence[CrossValidation], across: Sequence[CrossCorpus]) -> Iterator[str]:
    """What the paper's tables have and the runs have not, with the features of its numbers."""
    full = [run for run in single if run.variant == "timnet" and run.features == "code"]
    for protocol, shown in SHOWN.items():
        there = {run.corpus for run in full if protocol in run.protocols}
        if absent := [title_of(corpus) for corpus in CORPORA if corpus not in there]:
            yield f"Table 1, {shown}: {', '.join(absent)}."
    for network in ABLATIONS:
        if not any(run.variant == network for run in single):
            yield f"Table 3: {VARIANTS[network]}."
    cases = product(ABLATIONS, {run.settings for run in single}, SHOWN)
    compared = {run for case in cases for run, _ in partners(single, *case)}
    alone = [run for run in single if run.variant != "timnet" and run not in compared]
    for run in alone:
        yield (
            f"Table 3: a full network of the same corpus, folds, seed and settings as run "
            f"{run.number}, which is therefore in no average."
        )
    for network in TABLE_2:
        trained = [run for run in across if run.variant == network and run.features == "code"]
        tested = {(run.source, target) for run in trained for target in run.targets}
        left = [pair for pair in PAIRS if pair not in tested]
        ends: dict[str, list[str]] = {}
        for source, target in left:
            ends.setdefault(title_of(source), []).append(title_of(target))
        pairs = "; ".join(f"{source} to {', '.join(titles)}" for source, titles in ends.items())
        if left:
            which = pairs if len(left) < len(PAIRS) else "all"
            yield f"Table 2, {VARIANTS[network]}, {len(left)} of {len(PAIRS)} pairs: {which}."


def _name(group: Sequence[CrossValidation]) -> str:
    """Title of what runs share that differ in their seed alone."""
    first = group[0]
    name = f"{title_of(first.corpus)}, split by {first.split}"
    return name if first.features == "code" else f"{name}, features of the paper's text"


def _section(heading: str, note: str, bodies: Sequence[str]) -> str:
    """Heading, note and bodies; a word in the place of nothing."""
    bodies = [body for body in bodies if body]
    content = [note, *bodies] if note and bodies else bodies or ["None.\n"]
    return "\n".join([f"## {heading}\n", *content])


def _texts(*tables: Table) -> list[str]:
    """Tables that have a row, as Markdown."""
    return [f"{table}\n" for table in tables if table.rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report; name every file that was left out, and then end with exit code 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="folder of the runs, searched to any depth")
    parser.add_argument("--output", type=Path, default=Path("report"), help="default: report")
    options = parser.parse_args(arguments)
    try:
        refused = write_report(options.results, options.output)
    except (ValueError, OSError) as error:
        sys.exit(f"report.py: {error}")
    print(f"wrote {options.output / 'report.md'}")
    for path, reason in refused:
        print(f"report.py: left out {options.results / path}: {reason}", file=sys.stderr)
    if refused:
        sys.exit(1)


if __name__ == "__main__":
    main()
