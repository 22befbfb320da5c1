"""`sed prepare`: which corpora there are, and their manifests for training."""

from __future__ import annotations

import json as json_format
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sed.cli.errors import FAILED, describe, naming, one_line_errors, report
from sed.cli.tables import print_table

if TYPE_CHECKING:
    from sed.corpora import Corpus, Utterance
    from sed.corpora.manifests import Preparation
    from sed.corpora.splits import Choice

EPILOG = """
Exit status: 0 all well, 1 some recordings cannot be read (the manifests lack them), 2 wrong use.

Examples:

  sed prepare --list

  sed prepare emodb ravdess --data-folder corpora/ --output manifests/

  sed prepare emodb --data-folder corpora/ --output manifests/ --valid 0.2 --test 03,08

  sed prepare tess --data-folder corpora/ --output manifests/ --valid 0 --format lhotse
"""

SPLIT = "Split"
"""Panel of the help."""


class ManifestFormat(StrEnum):
    """What manifests are written as."""

    SPEECHBRAIN = "speechbrain"
    LHOTSE = "lhotse"
    CSV = "csv"


class SplitBy(StrEnum):
    """What stays in one part."""

    SPEAKER = "speaker"
    UTTERANCE = "utterance"


def prepare(
    corpora: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS...", help="Names of the list.", show_default=False),
    ] = None,
    data_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder that holds the corpora; only read."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where a folder for each corpus gets its manifests."),
    ] = None,
    format: Annotated[
        list[ManifestFormat] | None,
        typer.Option(
            "--format", help="speechbrain (JSON, the default); the option again for several."
        ),
    ] = None,
    split: Annotated[
        SplitBy,
        typer.Option(
            help="Keep speakers apart, or only recordings, as many papers do.",
            rich_help_panel=SPLIT,
        ),
    ] = SplitBy.SPEAKER,
    valid: Annotated[
        str,
        typer.Option(
            metavar="SHARE|SPEAKERS",
            help="To validate on: 0.1 of the recordings, or speakers with commas.",
            rich_help_panel=SPLIT,
        ),
    ] = "0.1",
    test: Annotated[
        str,
        typer.Option(
            metavar="SHARE|SPEAKERS", help="To test on, in the same way.", rich_help_panel=SPLIT
        ),
    ] = "0.1",
    seed: Annotated[
        int,
        typer.Option(metavar="NUMBER", help="Another one splits anew.", rich_help_panel=SPLIT),
    ] = 0,
    list_corpora: Annotated[
        bool, typer.Option("--list", help="Show the corpora that are known, and end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only: no progress, no counts.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Write manifests of corpora: what to train, validate and test on.

    No speaker stands in two parts unless asked for. What is up to date stays as it is.
    """
    with one_line_errors(debug=debug):
        if list_corpora:
            _print_list(json=json)
            return
        if json:
            raise ValueError("--json is that of the list; add --list")
        if not corpora:
            raise ValueError("no corpus is named; sed prepare --list shows those that are known")
        if data_folder is None or output is None:
            missing = "--data-folder" if data_folder is None else "--output"
            raise ValueError(f"{missing} FOLDER is missing; see sed prepare --help")
        from sed import __version__
        from sed.corpora import Corpus
        from sed.corpora.manifests import Preparation

        chosen = {corpus.label: corpus for corpus in map(Corpus.named, corpora)}
        plans = [
            Preparation.plan(
                corpus,
                data_folder,
                output,
                version=__version__,
                formats=list(
                    dict.fromkeys(name.value for name in format or [ManifestFormat.SPEECHBRAIN])
                ),
                by=split.value,
                valid=parse_choice(valid),
                test=parse_choice(test),
                seed=seed,
            )
            for corpus in chosen.values()
        ]
        failed = [_prepare_one(plan, quiet=quiet, debug=debug) for plan in plans]
    if any(failed):
        raise typer.Exit(FAILED)


def parse_choice(text: str) -> Choice:
    """Share of the recordings, or names of speakers.

    Raises
    ------
    ValueError
        If there is nothing.

    Examples
    --------
    >>> parse_choice("0.1"), parse_choice("0"), parse_choice("03,08"), parse_choice("01")
    (0.1, 0.0, ('03', '08'), ('01',))
    """
    if re.fullmatch(r"[01]|\d*\.\d+", text):  # speakers are often numbers, 01 for instance
        return float(text)
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("a part of the split is empty text; give a share, such as 0.1, or 0")
    return names


def _prepare_one(plan: Preparation, *, quiet: bool, debug: bool) -> bool:
    """Write the manifests of a corpus unless they are there; whether some recordings failed."""
    from sed.cli.progress import counting_bar

    corpus = plan.settings["corpus"]
    if plan.is_current():
        if not quiet:
            typer.echo(f"{corpus}: {plan.folder} is up to date")
        return False
    failed = False

    def tell(utterance: Utterance, error: Exception) -> None:
        nonlocal failed
        failed = True
        message, path = describe(error), str(utterance.path)
        report(message if path in message else f"{path}: {message}", debug=debug)

    with counting_bar(quiet=quiet) as progress:
        task = progress.add_task(corpus, total=plan.num_recordings)
        with naming(plan.folder):
            counts = plan.write(
                on_recording=lambda utterance: progress.advance(task), on_error=tell
            )
    if not quiet:
        parts = ", ".join(f"{count} {part}" for part, count in counts.items())
        typer.echo(f"{corpus}: {parts} in {plan.folder}")
    return failed


def _print_list(*, json: bool) -> None:
    """Print every corpus of the catalog, as a table or as JSON."""
    from sed.corpora import Corpus

    found = Corpus.all()
    if json:
        typer.echo(json_format.dumps({"corpora": list(map(_facts, found))}, indent=2))
        return
    headings = ("name", "language", "files", "speakers", "emotions", "licence")
    rows = (
        (
            facts["name"],
            facts["language"],
            facts["num_files"],
            facts["num_speakers"],
            ", ".join(facts["emotions"]),
            facts["licence"],
        )
        for facts in map(_facts, found)
    )
    print_table(headings, rows, right=("files", "speakers"))


def _facts(corpus: Corpus) -> dict[str, Any]:
    """What the list says of a corpus."""
    names = ("name", "title", "language", "num_files", "num_speakers", "licence", "homepage")
    return {
        **{name: getattr(corpus, name) for name in names},
        "emotions": sorted(set(corpus.emotions.values())),
    }
