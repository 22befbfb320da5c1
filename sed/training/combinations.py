"""The grid of a settings file: values of some settings, whose combinations are experiments."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import product
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sed.training.settings import check_names

GRID = "grid"

ENGINES = ("local", "ray")
"""What runs experiments: processes of this machine, or a cluster."""

_LONGEST = 120


@dataclass(frozen=True)
class Grid:
    """What a command line says of a grid.

    Parameters
    ----------
    values : list of dict of str to list
        Values of each setting; each mapping is a grid of its own, and all are run.
    num_jobs : int, optional
        Experiments at a time.
    engine : str
        One of `ENGINES`.
    address : str, optional
        Of a Ray cluster that is running.
    dry_run : bool
        Whether the experiments are but checked and listed.
    quiet : bool
        Whether there is no bar.

    Raises
    ------
    ValueError
        If they make no sense together.
    """

    values: list[dict[str, list[Any]]]
    num_jobs: int | None = None
    engine: str = "local"
    address: str | None = None
    dry_run: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.num_jobs is not None and self.num_jobs < 1:
            raise ValueError(f"--jobs {self.num_jobs}: run one experiment at a time at least")
        if self.address is not None and self.engine != "ray":
            raise ValueError("--address names a Ray cluster; add --engine=ray, or leave it out")

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of the values; those of the last setting change first.

        Examples
        --------
        >>> Grid([{"block": ["lstm", "tdnn"], "seed": [1, 2]}]).combinations[:2]
        [{'block': 'lstm', 'seed': 1}, {'block': 'lstm', 'seed': 2}]
        """
        return [
            dict(zip(values, chosen, strict=True))
            for values in self.values
            for chosen in product(*values.values())
        ]

    @property
    def settings(self) -> set[str]:
        """Names of all settings that have values."""
        return set().union(*self.values)


def split_grid(text: str) -> tuple[str, list[dict[str, list[Any]]] | None]:
    r"""Settings without their grid, and the grid's values, None where there is no grid.

    A file lists values of settings, or several such lists, which are grids side by side: what would
    make no sense together, or would be the same twice, then need not be in one of them.

    Parameters
    ----------
    text : str
        From `sed.training.settings.read_settings`.

    Raises
    ------
    ValueError
        If it is no mapping of settings to lists of values, or names another setting than there is.

    Examples
    --------
    >>> split_grid("seed: 1\nblock: lstm\ngrid:\n  block: [lstm, tdnn]\n")
    ('seed: 1\nblock: lstm\n', [{'block': ['lstm', 'tdnn']}])
    """
    settings = YAML().load(text)
    if GRID not in settings:
        return text, None
    found = _plain(settings.pop(GRID))
    grids = found if isinstance(found, list) and found else [found]
    for values in grids:
        _check(settings, values)
    return _written(settings), grids


def _check(settings: dict[str, Any], values: Any) -> None:
    """Refuse what is no mapping of settings that there are to values."""
    if not isinstance(values, dict) or not values:
        raise ValueError(f"grid is {values!r}, no mapping of settings to lists of values")
    try:
        check_names(settings, values)
    except ValueError as error:
        raise ValueError(f"grid: {error}") from None
    for name, choices in values.items():
        if name == "output_folder":
            raise ValueError("grid: each experiment has an output_folder already; leave it out")
        if not isinstance(choices, list) or not choices:
            raise ValueError(f"grid: {name} is {choices!r}, no list of values")


def _plain(value: Any) -> Any:
    """A value without comments and tags, as the command line could give it."""
    try:
        return YAML(typ="safe").load(_written({GRID: value}))[GRID]
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"grid: only plain values can be chosen from ({reason})") from None


def _written(settings: Mapping[str, Any]) -> str:
    stream, writer = StringIO(), YAML()
    writer.width = 1000
    writer.dump(settings, stream)
    return stream.getvalue()


def folder_name(combination: Mapping[str, Any]) -> str:
    """Name of a combination, and of its folder.

    What is long, or holds characters that a folder's name had better not, is shortened; a hash of
    all values then keeps it apart.

    Examples
    --------
    >>> folder_name({"corpora": ["emodb", "ravdess"], "block": "lstm", "augmentation": None})
    'corpora=emodb+ravdess,block=lstm,augmentation=null'
    >>> folder_name({"head": {"name": "linear", "bias": True}})
    'head=name-linear+bias-true'
    >>> folder_name({"source": "microsoft/wavlm-large"})
    'source=microsoft-wavlm-large~f21a82be'
    """
    name = ",".join(f"{key}={_spelled(value)}" for key, value in combination.items())
    safe = re.sub(r"[^\w.,=+-]+", "-", name, flags=re.ASCII)
    if safe == name and len(safe) <= _LONGEST:
        return safe
    content = json.dumps(dict(combination), sort_keys=True, default=str)
    return f"{safe[:_LONGEST]}~{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return "+".join(f"{key}-{_spelled(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "+".join(map(_spelled, value))
    return value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
