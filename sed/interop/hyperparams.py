"""``hyperparams.yaml`` of SpeechBrain as data: nothing in it is made, called or included."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_SIZE = 256 * 1024
"""Bytes that a text file of a checkpoint may have; published ones have a few thousand."""

MAX_VALUES, MAX_CHAIN, MAX_TEXT = 10_000, 20, 4096
"""Values of a file, references that lead to one another, and characters that they add up to."""

_REFERENCE = re.compile(r"<([^<>]*)>")


def read_small(path: Path) -> str:
    """Text of a file that cannot be large.

    Raises
    ------
    ValueError
        If it is, or is no text.
    OSError
        If it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_SIZE:
        raise ValueError(f"{path} has {size} bytes, where a few thousand are expected")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: {error}") from None


@dataclass(frozen=True)
class Tagged:
    """A tag of the file with the plain data behind it.

    Parameters
    ----------
    tag : str
        Such as ``!new:torch.nn.Linear``.
    value : object
        Text, a list or a dict.
    """

    tag: str
    value: Any


@dataclass(frozen=True)
class Part:
    """A part of the model as the file describes it.

    Parameters
    ----------
    where : str
        File and key, for messages.
    kind : str
        Name of its class.
    given : dict
        Arguments of the class.
    """

    where: str
    kind: str
    given: dict[str, Any]

    def arguments(self, **defaults: Any) -> dict[str, Any]:
        """Arguments, each as given or else its default.

        Parameters
        ----------
        **defaults
            Every argument that is understood; its type is that of the default, any if that is None.

        Raises
        ------
        ValueError
            If another one is given, or one of another type.

        Examples
        --------
        >>> Part("hyperparams.yaml: layer", "Linear", {"size": 8}).arguments(size=0, bias=True)
        {'size': 8, 'bias': True}
        """
        for name, value in self.given.items():
            if name not in defaults:
                known = ", ".join(defaults)
                raise ValueError(f"{self.where}: {name!r} is not understood; known are {known}")
            wanted = type(defaults[name])
            if defaults[name] is not None and type(value) is not wanted:
                scalar = value is None or isinstance(value, str | int | float)
                shown = repr(value)[:50] if scalar else f"a {type(value).__name__}"
                raise ValueError(
                    f"{self.where}: {name} must be of type {wanted.__name__}, not {shown}"
                )
        return {**defaults, **self.given}


class Hyperparams:
    """Settings of a file in SpeechBrain's dialect of YAML.

    What ``!ref <key>`` refers to is looked up. Every other tag stays a word, see `Tagged`.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it is no such file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "hyperparams.yaml"
    >>> _ = path.write_text('''
    ... hub: owner/name
    ... encoder: !new:package.Encoder
    ...     source: !ref <hub>-large
    ... ''')
    >>> part = Hyperparams(path).part("encoder")
    >>> part.kind, part.given
    ('Encoder', {'source': 'owner/name-large'})
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = read_small(path)
        try:
            settings = yaml.load(text, Loader=_Loader)  # a SafeLoader
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(settings, dict):
            raise ValueError(f"{path} holds no settings by name")
        self._settings: dict[Any, Any] = settings
        self._found: dict[str, Any] = {}

    def part(self, *names: str) -> Part:
        """A part of the model: a value tagged ``!new:`` with the class and its arguments.

        Parameters
        ----------
        *names : str
            Keys it may stand under, among the ``modules`` or at the top.

        Raises
        ------
        ValueError
            If there is none.
        """
        modules = self._settings.get("modules")
        settings = {**self._settings, **(modules if isinstance(modules, dict) else {})}
        name = next((name for name in names if name in settings), None)
        if name is None:
            raise ValueError(f"{self.path} describes no {' or '.join(names)}")
        value = self._resolved(settings[name], ())
        given = (value.value or {}) if isinstance(value, Tagged) else None
        if not (isinstance(given, dict) and value.tag.startswith("!new:")):
            raise ValueError(f"{self.path}: {name} is no !new: object with named arguments")
        return Part(
            where=f"{self.path}: {name}",
            kind=value.tag.rpartition(":")[2].rpartition(".")[2],
            given={str(key): self._resolved(argument, ()) for key, argument in given.items()},
        )

    def _resolved(self, value: Any, chain: tuple[str, ...]) -> Any:
        """A value, or what it refers to; `chain` holds the keys that led here."""
        if not (isinstance(value, Tagged) and value.tag == "!ref" and isinstance(value.value, str)):
            return value
        whole = _REFERENCE.fullmatch(value.value)
        if whole:
            return self._looked_up(whole[1], chain)
        text = _REFERENCE.sub(lambda found: self._as_text(found[1], chain), value.value)
        if len(text) > MAX_TEXT:
            raise ValueError(f"{self.path}: {value.value[:50]!r} stands for {len(text)} characters")
        return text

    def _as_text(self, key: str, chain: tuple[str, ...]) -> str:
        """What a reference within a text stands for."""
        value = self._looked_up(key, chain)
        if not isinstance(value, str | int | float):
            raise ValueError(f"{self.path}: <{key}> stands within a text, and is none itself")
        return str(value)

    def _looked_up(self, key: str, chain: tuple[str, ...]) -> Any:
        """Value of a key, found once."""
        if key not in self._settings:
            raise ValueError(f"{self.path}: <{key}> refers to nothing at the top of the file")
        if len(chain) >= MAX_CHAIN:
            raise ValueError(f"{self.path}: the references from <{chain[0]}> on lead nowhere")
        if key not in self._found:
            self._found[key] = self._resolved(self._settings[key], (*chain, key))
        return self._found[key]


class _Loader(yaml.SafeLoader):
    """YAML to plain data, within bounds."""

    num_values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse a file with more values than anyone writes."""
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            raise yaml.YAMLError(f"more than {MAX_VALUES} values")
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merges, with which a few lines grow to gigabytes."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("merges (<<) are not read")


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> Tagged:
    """Plain data of a node with a tag that plain YAML does not know."""
    if tag.startswith("tag:yaml.org,2002:python"):
        raise yaml.YAMLError(f"{tag} asks for an object of Python, and none is made")
    if isinstance(node, yaml.ScalarNode):
        return Tagged(tag, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Tagged(tag, loader.construct_sequence(node, deep=True))
    return Tagged(tag, loader.construct_mapping(node, deep=True))


_Loader.add_multi_constructor("", _tagged)
