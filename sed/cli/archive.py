"""`sed diarize --parquet`: whole archives into a dataset that can be gone on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sed.cli.errors import FAILED, INTERRUPTED, report

if TYPE_CHECKING:
    from sed.archive.run import Summary
    from sed.archive.work import Work

PANEL = "Archives (what is done is not done again)"
"""Panel of the help."""

Parquet = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Parquet dataset to write or go on with; INPUT may then be manifests (.csv, .jsonl, "
        "...) and URIs such as s3://bucket/calls/.",
        rich_help_panel=PANEL,
    ),
]

Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Recordings at a time; by default one a core, with an encoder one in all, or on Ray "
        "one a machine or GPU.",
        rich_help_panel=PANEL,
    ),
]

Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Who works: local processes, or ray.",
        rich_help_panel=PANEL,
    ),
]

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster, such as auto; none starts one.",
        rich_help_panel=PANEL,
    ),
]

RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Try again what failed in an earlier run.",
        rich_help_panel=PANEL,
    ),
]

_INSTEAD = {
    "--rttm": "write a file of each with --out FOLDER --format rttm",
    "--json": "write a file of each with --out FOLDER --format json",
    "--plot": "draw those that you want with sed plot",
    "--html": "write pages of those that you want without --parquet",
    "--timeline": "print those that you want without --parquet",
}
"""Options of single recordings, and what to do in an archive."""


@dataclass(frozen=True)
class ArchiveOptions:
    """Options of archives as they are given; None and False where they are not.

    Parameters
    ----------
    parquet : Path, optional
    engine : str, optional
    jobs : int, optional
    address : str, optional
    retry_failed : bool
    """

    parquet: Path | None
    engine: str | None
    jobs: int | None
    address: str | None
    retry_failed: bool

    def check(self, inputs: Sequence[str], single: Mapping[str, object]) -> None:
        """Refuse options that do not go together.

        Parameters
        ----------
        inputs : sequence of str
        single : mapping of str to value
            Options of single recordings, see `_INSTEAD`; falsy where not given.

        Raises
        ------
        ValueError
            If options of archives are given without a dataset, or others with one.
        """
        given = {
            "--engine": self.engine is not None,
            "--jobs": self.jobs is not None,
            "--address": self.address is not None,
            "--retry-failed": self.retry_failed,
        }
        if self.parquet is None:
            for name, is_given in given.items():
                if is_given:
                    raise ValueError(f"{name} is one of archives; add --parquet FOLDER")
            return
        for name, value in single.items():
            if value:
                raise ValueError(f"{name} is not for archives; {_INSTEAD[name]}")
        if "-" in inputs:
            raise ValueError("- is standard input, no archive; leave out --parquet")


def diarize_into(inputs: Sequence[str], options: ArchiveOptions, work: Work, *, quiet: bool) -> int:
    """Diarize an archive, and say how far it is.

    Returns
    -------
    int
        Exit code: 0, 1 if some recordings failed, or 130 after Ctrl-C.

    Raises
    ------
    OSError, ValueError
        As `sed.archive.run.diarize_archive`.
    """
    from sed.archive.run import Crew, Summary, diarize_archive
    from sed.cli.progress import ArchiveProgress

    assert options.parquet is not None
    last = Summary()

    def tell(summary: Summary) -> None:
        nonlocal last
        last = summary
        progress.tell(summary)

    def say(line: str) -> None:
        with progress.paused():
            report(line)

    crew = Crew(options.engine or "local", options.jobs, options.address)
    try:
        with ArchiveProgress(quiet=quiet) as progress:
            summary = diarize_archive(
                inputs,
                options.parquet,
                work,
                crew=crew,
                retry_failed=options.retry_failed,
                on_progress=tell,
                on_line=say,
            )
    except KeyboardInterrupt:
        num_done = last.num_before + last.num_done
        report(f"interrupted; {num_done} recordings are done, and the same command goes on")
        return INTERRUPTED
    if not quiet:
        report(_said(summary, options.parquet))
    return FAILED if summary.num_failed or summary.num_missing else 0


def _said(summary: Summary, folder: Path) -> str:
    """Summary of a run in one line."""
    count = "1 recording" if summary.num_done == 1 else f"{summary.num_done} recordings"
    parts = [f"{folder}: {count}" + " more" * bool(summary.num_before)]
    if summary.num_failed:
        parts.append(f"{summary.num_failed} failed")
    if summary.num_before:
        parts.append(f"{summary.num_before} were done before")
    if summary.audio:
        hours = summary.audio / 3600
        parts.append(f"{hours:.1f} h of audio at {summary.speed:.0f} h per hour")
    return ", ".join(parts)
