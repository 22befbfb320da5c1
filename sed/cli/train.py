"""`sed train`: settings to a trained model and its scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from sed.cli.errors import FAILED, INTERRUPTED, one_line_errors, report

EPILOG = """
Every setting of the file is an option too, such as --batch-size 4; so is what SpeechBrain offers.

Exit status: 0 all well, 1 a training failed, 2 wrong use, 130 interrupted.

Examples:

  sed train hparams/train.yaml --data-folder corpora/

  sed train hparams/timnet-mfcc.yaml --data-folder corpora/ --noise-folder noises/ --seeds 3

  sed train hparams/train.yaml --data-folder corpora/ --test-only --judged timnet-mfcc

  sed train hparams/grid.yaml --data-folder corpora/ --grid --jobs 2

  torchrun --nproc-per-node 2 -m sed train hparams/train.yaml --data-folder corpora/
"""

SPEECHBRAIN = "Run options of SpeechBrain, some of them"
"""Panel of the help."""

GRIDS = "Grids: all combinations of the values that the file lists under grid"
"""Another one."""


def train(
    context: typer.Context,
    settings: Annotated[
        str,
        typer.Argument(
            metavar="SETTINGS",
            help="YAML file of the experiment, such as those of the recipes.",
            show_default=False,
        ),
    ],
    data_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder that holds the corpora; only read."),
    ] = None,
    output_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where checkpoints, logs, the model and its scores go, if not where the settings "
            "say. The same command goes on with what it finds there.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Train so often, each time with another seed; prints mean and standard deviation.",
        ),
    ] = None,
    test_only: Annotated[
        bool,
        typer.Option("--test-only", help="Judge the trained model again, or that of --judged."),
    ] = False,
    judged: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Judge another model: any that sed diarize takes."),
    ] = None,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="Run every combination, each in a folder of its own; what is done is skipped, "
            "what fails stops no other.",
            rich_help_panel=GRIDS,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Experiments at a time, which share the cores; one.",
            rich_help_panel=GRIDS,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="local: processes of this machine; ray: a cluster, which needs the extra cluster.",
            rich_help_panel=GRIDS,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a Ray cluster that is running; else Ray is started on this machine.",
            rich_help_panel=GRIDS,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check the experiments and list them, with what is done.",
            rich_help_panel=GRIDS,
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="cpu, cuda or cuda:1; a GPU where there is one.",
            rich_help_panel=SPEECHBRAIN,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="fp32, or bf16 or fp16, which are quicker on a GPU.",
            rich_help_panel=SPEECHBRAIN,
        ),
    ] = None,
    grad_accumulation_factor: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Batches for one step, where large ones do not fit.",
            rich_help_panel=SPEECHBRAIN,
        ),
    ] = None,
    noprogressbar: Annotated[
        bool,
        typer.Option(
            "--noprogressbar", help="No bars while it trains.", rich_help_panel=SPEECHBRAIN
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Try a few steps of everything; nothing is kept.",
            rich_help_panel=SPEECHBRAIN,
        ),
    ] = False,
) -> None:
    """Train a model on simulated recordings and judge it; needs the extra train.

    Started again, it goes on from its last checkpoint; what is done is not done again.
    """
    given = {name: value for name, value in context.params.items() if name != "settings"}
    options = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in given.items()
        if value is not None and value is not False
    ]
    with one_line_errors():
        run = _training()
        try:
            went_well = run([settings, *context.args, *options])
        except KeyboardInterrupt:
            report("interrupted; start it again to go on from the last checkpoint")
            raise typer.Exit(INTERRUPTED) from None
    if not went_well:
        raise typer.Exit(FAILED)


def _training() -> Callable[[Sequence[str]], bool]:
    """What runs an experiment.

    Raises
    ------
    ValueError
        If a package for it is missing.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # SpeechBrain warns, when loaded, of what is not needed here
    try:
        from sed.training.runs import run
    except ModuleNotFoundError as error:
        if (error.name or "sed").partition(".")[0] == "sed":
            raise
        raise ValueError(
            f"training needs {error.name}: pip install 'speech-emotion-diarization[train]'"
        ) from None
    finally:
        logging.disable(before)
    return run
