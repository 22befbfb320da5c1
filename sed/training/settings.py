"""Settings of an experiment: a HyperPyYAML file, the file that it changes, and the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

EXTENDS = "extends"


def read_settings(path: str | Path) -> str:
    """Text of a settings file, with that of the file that it extends.

    ::

        train.yaml           hubert-large.yaml           what counts
        seed: 78             extends: train.yaml         seed: 78
        frontend:            frontend:                   frontend:
          source: wavlm        source: hubert              source: hubert

    A key replaces the other file's key of that name as a whole.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OSError
        If a file is missing.
    ValueError
        If one is no YAML mapping, or extends itself.
    """
    text, writer = StringIO(), YAML()
    writer.width = 1000
    writer.dump(_merged(Path(path), ()), text)
    return text.getvalue()


def _merged(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """Settings of a file that extends others, and is extended by those in `extending`."""
    try:
        with open(path, encoding="utf-8") as stream:
            settings: Any = YAML().load(stream)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds no settings")
    if EXTENDS not in settings:
        return settings
    other = settings.pop(EXTENDS)
    if not isinstance(other, str):
        raise ValueError(f"{path}: extends names one file, not {other!r}")
    if path.resolve() in extending:
        raise ValueError(f"{path} extends a file that extends it; let one stand on its own")
    merged = _merged(path.parent / other, (*extending, path.resolve()))
    merged.update(settings)
    return merged


def load_settings(text: str, overrides: str = "") -> dict[str, Any]:
    """Settings as objects.

    Parameters
    ----------
    text : str
        From `read_settings`; what its tags name is made, so it must be your own.
    overrides : str
        YAML of changes; values within a mapping are changed one by one.

    Raises
    ------
    ValueError
        If a setting does not exist, has no value, or cannot be made.

    Examples
    --------
    >>> load_settings("{rate: 0.1, twice: !ref <rate> * 2}", "rate: 0.2")
    {'rate': 0.2, 'twice': 0.4}
    """
    try:
        check_names(YAML().load(text), yaml.safe_load(overrides) or {})
        settings: dict[str, Any] = load_hyperpyyaml(text, overrides)
    except (ImportError, LookupError, TypeError, ValueError, YAMLError, yaml.YAMLError) as error:
        raise ValueError(f"settings: {' '.join(str(error).split())}") from error
    return settings


def check_names(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    """Refuse changes of what there is not, with the names that come nearest.

    Raises
    ------
    ValueError
    """
    for name in changes:
        if name not in settings:
            near = get_close_matches(name, settings, n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"there is no {name!r}{hint}")


def overrides_of(changes: Mapping[str, Any]) -> str:
    """Changes as YAML that every reader understands alike: a speaker 08 stays a text."""
    return json.dumps(dict(changes), default=str)


def resolved(text: str, overrides: str = "") -> str:
    """Settings as text, references and changes filled in: what an experiment is remembered by."""
    filled: str = resolve_references(StringIO(text), overrides).getvalue()
    return filled
