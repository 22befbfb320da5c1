"""What a command line of a training does: one run or several, a trial or for good."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import speechbrain as sb
from speechbrain.utils.distributed import get_local_rank

from sed.processors import set_threads
from sed.training.arguments import Arguments, parse_arguments
from sed.training.checks import check_device
from sed.training.engines import one_line
from sed.training.grid import run_grid
from sed.training.kinds import TRAINING, kind_of
from sed.training.processes import gathered, rank
from sed.training.seeds import summarize
from sed.training.settings import load_settings, overrides_of

INTERRUPTED = "interrupted; start it again to go on from the last checkpoint"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line of a recipe says; what is wrong with it is one line."""
    try:
        if not run(sys.argv[1:] if arguments is None else arguments):
            sys.exit(1)
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {one_line(error)}")
    except KeyboardInterrupt:
        print(f"train.py: {INTERRUPTED}", file=sys.stderr)
        sys.exit(130)


def run(arguments: Sequence[str]) -> bool:
    """Train and judge a model, one for each of several seeds, or one for each point of a grid.

    Parameters
    ----------
    arguments : sequence of str
        The settings file, then options: ``--seeds 5``, those of SpeechBrain (such as
        ``--device=cuda:0``, ``--precision=bf16``, ``--test_only``) and changes of settings
        (``--batch_size=4``). Names may be written with hyphens. With ``--debug`` a few steps are
        tried, and nothing is kept. ``--grid`` runs all combinations of the file's ``grid``, see
        `sed.training.combinations.Grid`: ``--jobs 2`` at a time, with ``--engine ray`` on a
        cluster; ``--dry_run`` lists them.

    Returns
    -------
    bool
        Whether all went well; experiments of a grid may fail alone.

    Raises
    ------
    ValueError
        If a setting is wrong, or a corpus missing or incomplete, before anything slow happens.
    OSError
        If a file cannot be read or written.
    """
    given = parse_arguments(arguments)
    set_threads()
    check_device(given.run_opts)
    if given.grid is not None and get_local_rank() is not None:
        raise ValueError("--grid runs experiments in processes of their own; leave torchrun out")
    sb.utils.distributed.ddp_init_group(given.run_opts)
    if not given.is_trial:
        return _run(given)
    with TemporaryDirectory() as own:
        [folder, *_] = gathered([own])  # the first process's, for all of them
        went_well = _run(replace(given, changes={**given.changes, "output_folder": folder}))
    if rank() == 0:
        print("that was a trial; nothing was kept")
    return went_well


def _run(given: Arguments) -> bool:
    if given.grid is not None:
        return run_grid(given, given.grid)
    run_seeds(given)
    return True


def run_seeds(given: Arguments) -> None:
    """Train and judge with each seed, in a folder of its own; summarize where there are several."""
    settings = load_settings(given.text, overrides_of(given.changes))
    kind = kind_of(settings)
    if given.num_seeds > 1 and "num_runs" in settings:
        raise ValueError(f"--seeds {given.num_seeds}: here --num_runs says how many there are")
    if given.num_seeds == 1:
        kind.run(given.text, given.changes, given.run_opts)
        return
    first, folders = int(settings["seed"]), []
    for seed in range(first, first + given.num_seeds):
        changes = {**given.changes, "seed": seed}
        if "output_folder" in changes:
            changes["output_folder"] = str(Path(changes["output_folder"]) / str(seed))
        folders.append(kind.run(given.text, changes, given.run_opts))
    if rank() == 0 and kind is TRAINING:  # that of a paper has a report in the place of a summary
        summarize(folders)
