"""The command line of a training: a settings file, changes of settings, options of SpeechBrain."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from typing import Any, NoReturn

import speechbrain as sb
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sed.training.combinations import ENGINES, Grid, split_grid
from sed.training.settings import read_settings

OPTIONS = ("seeds", "grid", "jobs", "engine", "address", "dry_run")
"""Options of our own; all others are settings, or SpeechBrain's."""


@dataclass(frozen=True)
class Arguments:
    """What a command line says.

    Parameters
    ----------
    text : str
        Settings, see `sed.training.settings.read_settings`.
    changes : dict
        Settings that have another value than in the file.
    run_opts : mapping
        Options of SpeechBrain.
    num_seeds : int
        Trainings that differ in their seed alone.
    is_trial : bool
        Whether a few steps are tried and nothing is kept: ``--debug``.
    grid : Grid, optional
        Settings whose combinations are run, and how.
    """

    text: str
    changes: dict[str, Any]
    run_opts: Any
    num_seeds: int
    is_trial: bool
    grid: Grid | None = None


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong, in the place of a usage of forty lines and an exit."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse_arguments(arguments: Sequence[str]) -> Arguments:
    """Read a command line: the settings file first, then options in any order.

    Parameters
    ----------
    arguments : sequence of str
        Names may be written with hyphens, and values behind a space or ``=``. The values of
        settings are YAML, those of folders text.

    Raises
    ------
    OSError
        If the settings file cannot be read.
    ValueError
        If there is none, or no such option, or one has no such value; or if a grid is given without
        ``--grid``, or ``--grid`` without a grid.
    """
    if {"-h", "--help"} & set(arguments):
        sb.parse_arguments(["--help"])
    if not arguments or arguments[0].startswith("-"):
        raise ValueError("name a settings file first, such as hparams/train.yaml, then options")
    path, *options = map(_with_underscores, arguments)
    text, values = split_grid(read_settings(path))
    # Settings are ours to read: SpeechBrain would take --test for its --test_only, and cut values
    # at every "=".
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    settings = YAML().load(text)
    if odd := settings.keys() & set(OPTIONS):
        raise ValueError(f"{path}: {min(odd)} is an option; give the setting another name")
    for name in settings:
        parser.add_argument(f"--{name}", type=_value_of(name))
    for name, kind in (("seeds", int), ("jobs", int), ("address", str)):
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--engine", choices=ENGINES)
    for name in ("grid", "dry_run"):
        parser.add_argument(f"--{name}", action="store_true")
    chosen, rest = parser.parse_known_args(options)
    changes = vars(chosen)
    own = {name: changes.pop(name) for name in OPTIONS if name in changes}
    num_seeds = own.pop("seeds", 1)
    if num_seeds < 1:
        raise ValueError(f"--seeds {num_seeds}: train with one seed at least")
    quiet = "--noprogressbar" in rest
    if "grid" in own:
        rest.append("--noprogressbar")  # what an experiment prints goes into a file
    is_trial = "--debug" in rest and "--debug_persistently" not in rest
    if is_trial:  # SpeechBrain would put the checkpoints where they are not found afterwards
        rest.append("--debug_persistently")
    run_opts = _run_options(rest, list(settings))
    grid = _grid(own, path, values, quiet=quiet)
    if grid is not None and (fixed := grid.settings & changes.keys()):
        raise ValueError(f"--{min(fixed)}: the grid has values of it; leave the option out")
    return Arguments(with_mappings(text, changes), changes, run_opts, num_seeds, is_trial, grid)


def _grid(
    given: dict[str, Any], path: str, values: list[dict[str, list[Any]]] | None, *, quiet: bool
) -> Grid | None:
    """What is said of a grid, None where nothing is.

    Raises
    ------
    ValueError
        If it is said without ``--grid``, or there is none.
    """
    if given.pop("grid", False):
        if values is None:
            raise ValueError(f"--grid: {path} has no grid; list values of settings under grid:")
        if "jobs" in given:
            given["num_jobs"] = given.pop("jobs")
        return Grid(values, quiet=quiet, **given)
    if given:
        raise ValueError(f"--{min(given)} means nothing without --grid")
    if values is not None:
        num = len(Grid(values).combinations)
        raise ValueError(f"{path} holds a grid; run its {num} experiments with --grid")
    return None


def _value_of(name: str) -> Callable[[str], Any]:
    """What reads the text of a setting."""

    def value(text: str) -> Any:
        if name.endswith("_folder"):
            return None if text in ("", "null", "~") else text
        try:
            # YAML 1.2, in which 1e-4 is a number
            return YAML(typ="safe").load(text)
        except YAMLError:
            raise argparse.ArgumentTypeError(f"{text!r} is no YAML") from None

    return value


def with_mappings(text: str, changes: dict[str, Any]) -> str:
    r"""Settings in which what is to become a mapping is one already: HyperPyYAML wants it so.

    Examples
    --------
    >>> with_mappings("valid: 0.1\ntest: 0.2\n", {"valid": {"emodb": ["03"]}})
    'valid: {}\ntest: 0.2\n'
    """
    settings, stream, writer = YAML().load(text), StringIO(), YAML()
    for name, value in changes.items():
        if isinstance(value, dict) and not isinstance(settings[name], dict):
            settings[name] = {}
    writer.width = 1000
    writer.dump(settings, stream)
    return stream.getvalue()


def _run_options(options: list[str], names: list[str]) -> Any:
    """Options of SpeechBrain; it would also take beginnings of their names, and then ignore them.

    Raises
    ------
    ValueError
        If one does not exist, or has no such value.
    """
    said = StringIO()
    try:
        with contextlib.redirect_stderr(said):
            _, run_opts, unknown = sb.parse_arguments(["settings", *options])
    except SystemExit:
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise ValueError(f"{reason[:1].lower()}{reason[1:]}") from None
    known = run_opts.keys()
    for option in options:
        name = option.removeprefix("--").partition("=")[0]
        if option.startswith("--") and name not in known:
            near = get_close_matches(name, [*names, *known, *OPTIONS], n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"there is no setting or option {name!r}{hint}")
    if unknown:
        raise ValueError(f"{unknown!r} belongs to no option; write --name=value")
    return run_opts


def _with_underscores(argument: str) -> str:
    """An option as SpeechBrain spells it.

    Examples
    --------
    >>> _with_underscores("--data-folder=my-corpora"), _with_underscores("hubert-large.yaml")
    ('--data_folder=my-corpora', 'hubert-large.yaml')
    """
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.removeprefix("--").partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"
