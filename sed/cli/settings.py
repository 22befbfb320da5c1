"""Settings of a command from a TOML file; the command line wins over it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import typer

from sed.cli.errors import WRONG_USE, describe, report

TABLES = ("decoding", "speech")
"""Tables that go to the dataclasses of the same stage, beside the options of the command."""


def load_settings(
    context: typer.Context, parameter: typer.CallbackParam, value: Path | None
) -> Path | None:
    """Callback of ``--config``: make the file's values the defaults of the other options.

    ::

        vad = "energy"          # an option, spelled as on the command line
        [decoding]              # any field of sed.decoding.Decoding
        switch_penalty = 4.0
        [speech]                # any field of sed.decoding.Binarize
        min_duration_off = 0.5
    """
    if value is None:
        return None
    try:
        content = tomllib.loads(value.read_text(encoding="utf-8"))
        defaults = _defaults(content, context.command, value)
    except (OSError, ValueError) as error:  # TOMLDecodeError is a ValueError
        prefix = "" if isinstance(error, OSError) or str(value) in str(error) else f"{value}: "
        report(prefix + describe(error))
        raise typer.Exit(WRONG_USE) from None
    context.default_map = {**(context.default_map or {}), **defaults}
    context.obj = {table: content.get(table, {}) for table in TABLES}
    return value


def _defaults(content: dict[str, Any], command: Any, path: Path) -> dict[str, Any]:
    """Options among the settings, by their Python names.

    Raises
    ------
    ValueError
        If a key is no option and no table.
    """
    options = {
        name.removeprefix("--"): parameter.name
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--")
    }
    defaults = {}
    for key, value in content.items():
        if key in TABLES:
            if not isinstance(value, dict):
                raise ValueError(f"{path}: [{key}] must be a table")
            continue
        name = options.get(key.replace("_", "-"))
        if name is None:
            known = ", ".join([*sorted(options), *(f"[{table}]" for table in TABLES)])
            raise ValueError(f"{path}: unknown setting {key!r}; known are {known}")
        defaults[name] = value
    return defaults
