"""Model cards: what a model is, what it was made from, how good it is, and how to use it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sed.files import whole_file
from sed.hub import CARD, CONFIG, WEIGHTS, kind_of, read_config

NAMES = {
    "attentive": "Temporal block and local attention",
    "hubert": "HuBERT",
    "linear": "Linear layer",
    "log-spectrum": "Log-spectrum",
    "mfcc": "MFCC",
    "timnet": "TIM-Net",
    "wav2vec2": "wav2vec 2.0",
    "wavlm": "WavLM",
}
"""Front-ends and heads as people write them, by their names in a config."""

_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format

_CARD = """\
---
{front_matter}
---

# {name}

Frame-wise emotions of speech: {classes}.

## Use

```bash
sed diarize call.wav --model {name_in_shell}
```

```python
from sed import Pipeline

pipeline = Pipeline.from_pretrained({name_in_python})
for segment, _, emotion in pipeline("call.wav").itertracks(yield_label=True):
    print(f"{{segment.start:.2f}} to {{segment.end:.2f}} s: {{emotion}}")
```

Command and library are those of speech-emotion-diarization. Nothing in this folder is executed.

## Specifications

{specifications}

## Decoding

{decoding}

## Training

{training}

## Results

{results}

## Intended use

Research on speech emotion diarization, and looking at recordings to find passages worth hearing. A
model hears how a voice sounds, not what a person feels. Not for decisions about people, and not for
employees' emotions, which the EU AI Act forbids to infer at work.
"""


def model_card(
    name: str,
    content: Mapping[str, Any],
    *,
    num_parameters: int | None,
    results: Sequence[Mapping[str, object]] | None = None,
    license: str | None = None,
) -> str:
    """Card of a model in Markdown, with the front matter that the hub reads.

    Parameters
    ----------
    name : str
        What `sed.hub.locate` takes.
    content : mapping
        That of the model's ``config.json``. Facts about the training, such as corpora and seed, may
        stand under ``training``.
    num_parameters : int or None
        None where they cannot be counted.
    results : sequence of mapping, optional
        Rows of a table: values by column, the same columns in each.
    license : str, optional
        Of the weights, as the hub spells it, such as ``cc-by-nc-4.0``.

    Raises
    ------
    ValueError
        If the content describes no model.

    Examples
    --------
    >>> from sed.hub import locate
    >>> card = model_card("mine", read_config(locate("timnet-mfcc")), num_parameters=250_000,
    ...     results=[{"corpus": "EmoDB", "EDER": "9.7 %"}, {"corpus": "EMOVO", "EDER": "40.7 %"}])
    >>> print(card[card.index("| corpus"):card.index("## Intended")].strip())
    | corpus | EDER |
    | --- | --- |
    | EmoDB | 9.7 % |
    | EMOVO | 40.7 % |
    """
    rows = [row.values() for row in results or ()]
    try:
        return _CARD.format(
            front_matter=_front_matter(content, license),
            name=name,
            name_in_shell=shlex.quote(name),
            name_in_python=json.dumps(name),
            classes=", ".join(content["specifications"]["classes"]),
            specifications=_table(("", ""), _specifications(content, num_parameters)),
            decoding=_settings(content.get("decoding"), "As `sed.Decoding` does by default."),
            training=_settings(content.get("training"), "What it learned from is not recorded."),
            results=_table(results[0], rows) if results else "How good it is has not been stated.",
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: its config describes no model ({error!r})") from None


def write_description(
    folder: Path,
    content: Mapping[str, Any],
    *,
    num_parameters: int,
    name: str | None = None,
    card: str | None = None,
) -> None:
    """Write what lies beside a model's weights: ``config.json`` and the card.

    Parameters
    ----------
    folder : Path
        Made if need be.
    content : mapping
        Of ``config.json``.
    num_parameters : int
    name : str, optional
        What the card calls the model; the folder's name by default.
    card : str, optional
        Text of the card; that of `model_card` by default.
    """
    if card is None:
        card = model_card(name or folder.resolve().name, content, num_parameters=num_parameters)
    for file, text in ((CONFIG, json.dumps(content, indent=2) + "\n"), (CARD, card)):
        with whole_file(folder / file) as stream:
            stream.write(text)


def card_of(folder: Path, name: str) -> str:
    """Card of a model's folder: the one that lies in it, or else a generated one.

    Parameters
    ----------
    folder : Path
    name : str
        What the model is known as.

    Raises
    ------
    ValueError
        If there is none and none can be made: only our own models describe themselves in a file.
    """
    path = folder / CARD
    if path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")
    if kind_of(folder) == "speechbrain":
        raise ValueError(f"{name} has no card; sed models convert {name} FOLDER writes one")
    weights = folder / WEIGHTS
    num_parameters = count_parameters(weights) if weights.is_file() else None
    return model_card(name, read_config(folder), num_parameters=num_parameters)


def count_parameters(path: Path) -> int:
    """Values in a safetensors file, from its header alone.

    Raises
    ------
    ValueError
        If it is no such file.

    Examples
    --------
    >>> from sed.hub import locate
    >>> count_parameters(locate("timnet-mfcc") / WEIGHTS) > 200_000
    True
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(min(length, _LARGEST_HEADER))
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        return sum(math.prod(tensor["shape"]) for tensor in tensors.values())
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path} is no safetensors file") from None


def _front_matter(content: Mapping[str, Any], license: str | None) -> str:
    """What the hub sorts models by, in YAML, of which JSON is a part."""
    parts = [str(content["model"][part]["name"]) for part in ("frontend", "head")]
    facts: dict[str, object] = {
        "library_name": "speech-emotion-diarization",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-diarization", "speech", "emotion", *parts],
    }
    if license is not None:
        facts["license"] = license
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in facts.items())


def _specifications(
    content: Mapping[str, Any], num_parameters: int | None
) -> list[tuple[str, object]]:
    """Facts by what they are about."""
    specifications, model = content["specifications"], content["model"]
    rate, hop = specifications["sample_rate"], specifications["hop"]
    context, padding = specifications["context"], specifications.get("edge_padding", 0)
    around = "the whole input" if context is None else f"{context * hop / rate:g} s on each side"
    facts: list[tuple[str, object]] = [
        ("classes", ", ".join(specifications["classes"])),
        ("input", f"one channel, {rate / 1000:g} kHz"),
        ("frames", f"one every {1000 * hop / rate:g} ms"),
        ("a frame depends on", around),
        ("window", f"{specifications['window']:g} s of speech at once"),
        ("front-end", _part(model["frontend"])),
        ("head", _part(model["head"])),
    ]
    if padding:
        facts.append(("edge padding", f"{padding} samples on each side"))
    if num_parameters is not None:
        facts.append(("parameters", f"{num_parameters:,}"))
    return facts


def _part(config: Mapping[str, Any]) -> str:
    """A front-end or head with its settings; of an encoder's many, its size."""
    name = NAMES.get(config["name"], config["name"])
    network = config.get("config") or {}
    size = {key: network[key] for key in ("num_hidden_layers", "hidden_size") if key in network}
    elsewhere = ("name", "config", "sample_rate", "hop", "edge_padding")
    settings = size | {key: value for key, value in config.items() if key not in elsewhere}
    return f"{name} ({', '.join(map(_setting, settings.items()))})" if settings else name


def _setting(item: tuple[str, object]) -> str:
    """A setting within a sentence.

    Examples
    --------
    >>> _setting(("num_blocks", 7)), _setting(("bias", False)), _setting(("with_deviation", True))
    ('number of blocks 7', 'no bias', 'with deviation')
    """
    words, value = _words(item[0]), item[1]
    if isinstance(value, bool):
        return words if value else f"no {words.removeprefix('with ')}"
    return f"{words} {_told(value)}"


def _settings(settings: Mapping[str, object] | None, otherwise: str) -> str:
    """Table of settings, or what is said where there are none."""
    if not settings:
        return otherwise
    return _table(("", ""), [(_words(key), _told(value)) for key, value in settings.items()])


def _words(key: str) -> str:
    """Key of a config in words.

    Examples
    --------
    >>> _words("num_hidden_layers"), _words("with_deviation")
    ('number of hidden layers', 'with deviation')
    """
    return key.replace("num_", "number of ").replace("_", " ")


def _told(value: object) -> str:
    """Value of a config in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return str(value)


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Table of Markdown."""

    def line(cells: Iterable[object]) -> str:
        texts = (" ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
        return " ".join(["|", " | ".join(texts), "|"])

    columns = list(head)
    return "\n".join([line(columns), line("---" for _ in columns), *map(line, rows)])
