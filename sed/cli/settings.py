"""Settings of a command from a TOML file; the command line wins over it."""

from __future__ import annotations

import dataclasses
import inspect
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from sed.cli.errors import WRONG_USE, describe, report

TABLES = ("decoding", "speech")
"""Tables that go to the dataclasses of the same stage, beside the options of the command."""

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
}


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
        tables = {name: content.pop(name) for name in TABLES if name in content}
        defaults = _options(content, context.command)
        _check_tables(tables)
    except OSError as error:
        report(describe(error))
        raise typer.Exit(WRONG_USE) from None
    except ValueError as error:  # TOMLDecodeError is one
        report(f"{value}: {describe(error)}")
        raise typer.Exit(WRONG_USE) from None
    context.default_map = {**(context.default_map or {}), **defaults}
    context.obj = tables
    return value


def _options(content: Mapping[str, Any], command: Any) -> dict[str, Any]:
    """Settings of options, by their Python names.

    Raises
    ------
    ValueError
        If a key is no option or its value of another type.
    """
    options = {
        name.removeprefix("--"): option.name
        for option in command.params
        for name in option.opts
        if name.startswith("--") and option.name != "config"
    }
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    defaults = {}
    for key, value in content.items():
        name = options.get(key.replace("_", "-"))
        if name is None:
            known = ", ".join([*sorted(options), *(f"[{table}]" for table in TABLES)])
            raise ValueError(f"unknown setting {key!r}; known are {known}")
        accepted = typing.get_args(hints[name]) or (hints[name],)  # of float | None: both
        _check_kind(
            key, value, next((kind for kind in (bool, int, float) if kind in accepted), str)
        )
        defaults[name] = value
    return defaults


def _check_tables(tables: Mapping[str, Any]) -> None:
    """Refuse what the stages do not know.

    Raises
    ------
    ValueError
        If a table is none, or a key or value of it is none of its stage's.
    """
    from sed.decoding import Binarize, Decoding

    stages = {"decoding": Decoding, "speech": Binarize}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name} must be a table; write [{name}] and its settings below")
        fields = {field.name: field.default for field in dataclasses.fields(stages[name])}
        for key, value in table.items():
            if key not in fields:
                raise ValueError(
                    f"unknown setting {key!r} in [{name}]; known are {', '.join(fields)}"
                )
            if key == "threshold" and isinstance(value, dict):  # one for each emotion
                for emotion, number in value.items():
                    _check_kind(f"{name}.threshold.{emotion}", number, float)
            else:
                _check_kind(f"{name}.{key}", value, type(fields[key]))
        stages[name](**table)  # refuses values that make no sense


def _check_kind(key: str, value: object, kind: type) -> None:
    """Refuse a value of another type; a whole number is a number too.

    Raises
    ------
    ValueError
        If it is one.
    """
    is_flag = isinstance(value, bool)  # which Python counts as a number
    fits = isinstance(value, (int, kind) if kind is float else kind) and is_flag is (kind is bool)
    if not fits:
        raise ValueError(f"{key} is {value!r}, but must be {_KINDS[kind]}")
