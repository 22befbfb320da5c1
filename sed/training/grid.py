"""The experiments of a grid: checked one and all, then run; what is done is not done again.

::

    combinations ─ folders ─ checks ─ engine: processes or Ray ─ results.json in every folder
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from sed.cluster import load_ray
from sed.files import whole_file
from sed.training.arguments import Arguments, with_mappings
from sed.training.checks import Checked, check_room
from sed.training.combinations import Grid, folder_name
from sed.training.engines import LOG, Job, Outcomes, one_line, run_locally
from sed.training.experiment import RECORD
from sed.training.kinds import TRAINING, Kind, kind_of
from sed.training.ray_engine import run_on_ray
from sed.training.seeds import summarize
from sed.training.settings import load_settings, overrides_of

GRID = "grid.json"
"""Which settings each folder has."""


@dataclass(frozen=True)
class Experiment:
    """A combination, perhaps with one of several seeds.

    Parameters
    ----------
    name : str
        Of its folder, below that of the grid.
    combination : dict
        The settings that are its own.
    job : Job
    kind : Kind
    checked : Checked
    """

    name: str
    combination: dict[str, Any]
    job: Job
    kind: Kind
    checked: Checked

    @property
    def state(self) -> str:
        """``done``, ``begun`` or ``to do``, as its folder says."""
        if self.checked.is_done:
            return "done"
        begun = any((path.parent / RECORD).is_file() for path in self.checked.results)
        return "begun" if begun else "to do"


def run_grid(given: Arguments, grid: Grid) -> bool:
    """Run every combination, with every seed; one that fails does not stop the others.

    Parameters
    ----------
    given : Arguments
    grid : Grid

    Returns
    -------
    bool
        Whether all are done.

    Raises
    ------
    OSError, ValueError
        If a combination cannot work, before anything runs.
    KeyboardInterrupt
        After Ctrl-C, once the experiments that were running have ended.
    """
    if grid.engine == "ray":
        load_ray()
    output, experiments = plan(given, grid)
    judges = given.run_opts["test_only"]
    if grid.dry_run:
        _print_states(output, {each.name: each.state for each in experiments}, {})
        return True
    pending = {each.name: each for each in experiments if judges or not each.checked.is_done}
    with whole_file(output / GRID) as stream:
        settings = {each.name: each.combination for each in experiments}
        json.dump(settings, stream, indent=2, default=str)
        stream.write("\n")
    reasons: dict[str, str | None] = {}
    num_done = len(experiments) - len(pending)
    bar = tqdm(total=len(experiments), initial=num_done, unit="experiment", disable=grid.quiet)
    try:
        with bar, closing(_outcomes(grid, given.run_opts, pending.values())) as outcomes:
            for job, reason in outcomes:
                missing = [path for path in pending[job.name].checked.results if not path.exists()]
                if reason is None and missing and not judges:
                    reason = f"{missing[0]} is not here; do all machines share this folder?"
                reasons[job.name] = reason
                if reason is not None:
                    bar.write(f"failed: {job.name}: {reason}", file=sys.stderr)
                bar.update()
    except KeyboardInterrupt:
        num_done += list(reasons.values()).count(None)
        print(f"{num_done} of {len(experiments)} experiments are done", file=sys.stderr)
        raise
    failures = {name: reason for name, reason in reasons.items() if reason is not None}
    if given.num_seeds > 1:
        _summarize(experiments, failures)
    states = {each.name: "failed" if each.name in failures else "done" for each in experiments}
    _print_states(output, states, failures)
    return not failures


def plan(given: Arguments, grid: Grid) -> tuple[Path, list[Experiment]]:
    """The grid's folder, and its experiments, none of which is known to fail.

    Raises
    ------
    OSError, ValueError
        If one is, or two would have the same folder, or the disk is too small for them together.
    """
    if given.num_seeds > 1 and "seed" in grid.settings:
        raise ValueError(f"--seeds {given.num_seeds}: the grid has values of seed already")
    outputs: dict[Path, None] = {}
    experiments: list[Experiment] = []
    folders = set[str]()
    bar = tqdm(grid.combinations, desc="checking", leave=False, disable=grid.quiet)
    for combination in bar:
        name = folder_name(combination)
        if name.casefold() in folders:  # some systems do not tell Small from small
            raise ValueError(f"grid: two combinations would have the folder {name}")
        folders.add(name.casefold())
        try:
            for output, experiment in _planned(given, name, combination):
                outputs[output] = None
                experiments.append(experiment)
        except (OSError, ValueError) as error:
            raise ValueError(f"{name}: {one_line(error)}") from error
    output, *others = outputs
    if others:
        raise ValueError(
            f"output_folder is {output} and {others[0]}; name one, below which all experiments go"
        )
    needed = sum(
        max(0, each.checked.room - _size(each.job.output))
        for each in experiments
        if not each.checked.is_done
    )
    check_room(output, needed)
    return output, experiments


def _planned(
    given: Arguments, name: str, combination: Mapping[str, Any]
) -> Iterator[tuple[Path, Experiment]]:
    """Experiments of a combination, one for each seed, and the grid's folder by their settings."""
    changes = {**given.changes, **combination}
    text, run_opts = with_mappings(given.text, changes), given.run_opts
    settings = load_settings(text, overrides_of(changes))
    if given.num_seeds > 1 and "num_runs" in settings:
        raise ValueError(f"--seeds {given.num_seeds}: here num_runs says how many there are")
    first = int(settings["seed"]) if given.num_seeds > 1 else 0
    for number in range(given.num_seeds):
        own, place = dict(combination), name
        if given.num_seeds > 1:
            own["seed"] = first + number
            place = f"{name}/{own['seed']}"
            settings = load_settings(text, overrides_of({**changes, **own}))
        kind, output = kind_of(settings), Path(settings["output_folder"])
        all_changes = {**changes, **own, "output_folder": str(output / place)}
        checked = kind.check(text, all_changes, run_opts)
        job = Job(place, text, all_changes, pickle.dumps(run_opts), output / place, Path.cwd())
        yield output, Experiment(place, own, job, kind, checked)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _outcomes(grid: Grid, run_opts: Any, experiments: Iterable[Experiment]) -> Outcomes:
    """What becomes of experiments, as soon as it is known."""
    jobs = [each.job for each in experiments]
    if grid.engine == "ray":
        with_gpus = not str(run_opts["device"] or "cuda").startswith("cpu")
        return run_on_ray(
            jobs, num_together=grid.num_jobs, address=grid.address, with_gpus=with_gpus
        )
    num_together = max(1, min(grid.num_jobs or 1, len(jobs)))
    num_threads = max(1, torch.get_num_threads() // num_together)
    return run_locally(jobs, num_together=num_together, num_threads=num_threads)


def _summarize(experiments: Sequence[Experiment], failures: Mapping[str, str]) -> None:
    """Mean and deviation of each combination whose seeds are all done."""
    for folder in dict.fromkeys(each.job.output.parent for each in experiments):
        seeds = [each for each in experiments if each.job.output.parent == folder]
        whole = not failures.keys() & {each.name for each in seeds}
        if whole and seeds[0].kind is TRAINING:
            summarize([each.job.output for each in seeds])


def _print_states(output: Path, states: Mapping[str, str], failures: Mapping[str, str]) -> None:
    """Print a line for each experiment, and how many are in which state."""
    for name, state in states.items():
        reason = f": {failures[name]}; see {output / name / LOG}" if name in failures else ""
        print(f"{state:<6}  {name}{reason}")
    counts = dict.fromkeys(states.values(), 0)
    for state in states.values():
        counts[state] += 1
    numbers = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"{output}: {numbers}")
