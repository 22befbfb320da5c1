"""What a command line of a training does: one run or several, a trial or for good."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import speechbrain as sb

from sed.processors import set_threads
from sed.training.arguments import Arguments, parse_arguments
from sed.training.checks import check_device
from sed.training.experiment import run_once
from sed.training.multicorpus import run_multicorpus
from sed.training.processes import gathered, rank
from sed.training.protocols import run_protocol
from sed.training.seeds import summarize
from sed.training.settings import load_settings, overrides_of

INTERRUPTED = "interrupted; start it again to go on from the last checkpoint"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line of a recipe says; what is wrong with it is one line."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"train.py: {where}{error.strerror or error}")
    except ValueError as error:
        sys.exit(f"train.py: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print(f"train.py: {INTERRUPTED}", file=sys.stderr)
        sys.exit(130)


def run(arguments: Sequence[str]) -> None:
    """Train and judge a model, or one for each of several seeds.

    Parameters
    ----------
    arguments : sequence of str
        The settings file, then options: ``--seeds 5``, those of SpeechBrain (such as
        ``--device=cuda:0``, ``--precision=bf16``, ``--test_only``) and changes of settings
        (``--batch_size=4``). Names may be written with hyphens. With ``--debug`` a few steps are
        tried, and nothing is kept.

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
    sb.utils.distributed.ddp_init_group(given.run_opts)
    if not given.is_trial:
        run_seeds(given)
        return
    with TemporaryDirectory() as own:
        [folder, *_] = gathered([own])  # the first process's, for all of them
        run_seeds(replace(given, changes={**given.changes, "output_folder": folder}))
    if rank() == 0:
        print("that was a trial; nothing was kept")


def experiment_of(settings: Mapping[str, Any]) -> Callable[[str, Mapping[str, Any], Any], Path]:
    """What runs an experiment with such settings; those of a paper's study name their task."""
    if "task" not in settings:
        return run_once
    return run_multicorpus if settings["task"] == "multi-corpus" else run_protocol


def run_seeds(given: Arguments) -> None:
    """Train and judge with each seed, in a folder of its own; summarize where there are several."""
    settings = load_settings(given.text, overrides_of(given.changes))
    is_protocol = "task" in settings  # of a paper, whose report takes the place of a summary
    once = experiment_of(settings)
    if given.num_seeds > 1 and "num_runs" in settings:
        raise ValueError(f"--seeds {given.num_seeds}: here --num_runs says how many there are")
    if given.num_seeds == 1:
        once(given.text, given.changes, given.run_opts)
        return
    first, folders = int(settings["seed"]), []
    for seed in range(first, first + given.num_seeds):
        changes = {**given.changes, "seed": seed}
        if "output_folder" in changes:
            changes["output_folder"] = str(Path(changes["output_folder"]) / str(seed))
        folders.append(once(given.text, changes, given.run_opts))
    if rank() == 0 and not is_protocol:
        summarize(folders)
