"""`sed models`: which models are here, fetching others, their cards, and other forms of them."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from sed.cli.errors import EXPECTED, FAILED, describe, naming, one_line_errors, report
from sed.cli.tables import print_table

EPILOG = """
A NAME is that of an embedded model, a folder, or OWNER/NAME on the Hugging Face hub.

Exit status: 0 all well, 1 some models were not downloaded, 2 wrong use.

Examples:

  sed models

  sed models download speechbrain/emotion-diarization-wavlm-large

  sed models show timnet-mfcc

  sed models convert speechbrain/emotion-diarization-wavlm-large wavlm-large/

  sed models convert results/timnet-mfcc/1 my-model/

  sed models export wavlm-large/ wavlm-large-onnx/
"""

_PLACES = {"sed": "", "onnx": ", ONNX", "speechbrain": ", SpeechBrain"}
_UNKNOWN = "–"

Model = TypeVar("Model")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Embedded, cached, or a folder.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Cache of the hub, if not the usual one (see HF_HOME)."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]

models = typer.Typer(
    help="List models, download them for offline use, show their cards, export and convert them.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@models.callback()
def _list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@dataclass(frozen=True)
class Listed:
    """A model of the list.

    Parameters
    ----------
    name, where, revision : str
        `where` is "embedded" or "cached"; only what is cached has a revision.
    kind : {"sed", "onnx", "speechbrain"}
        See `sed.hub.Kind`.
    frontend, head : str
        Names of its config; empty where that does not tell.
    classes : tuple of str
    size : int
        Bytes.
    folder : str
    """

    name: str
    where: str
    revision: str
    kind: str
    frontend: str
    head: str
    classes: tuple[str, ...]
    size: int
    folder: str


@models.command("list")
def list_models(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print names only, one a line.")
    ] = False,
    cache_dir: CacheDir = None,
    debug: Debug = False,
) -> None:
    """List the embedded models and those in the cache."""
    with one_line_errors(debug=debug):
        found = find_models(cache_dir)
        if json:
            typer.echo(json_format.dumps({"models": [asdict(model) for model in found]}, indent=2))
        elif quiet:
            for name in dict.fromkeys(model.name for model in found):
                typer.echo(name)
        else:
            _print_table(found)


@models.command("download")
def download_models(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="OWNER/NAME on the hub.")],
    revision: Annotated[
        str | None, typer.Option(metavar="NAME", help="Branch, tag or commit; main by default.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="By default HF_TOKEN, or that of hf auth login."),
    ] = None,
    cache_dir: CacheDir = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only: no progress, no folder.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Fetch models, or what is new in them, from the hub, and print their folders.

    From then on they load without a network.
    """
    from sed.hub import download

    failed = False
    with one_line_errors(debug=debug):
        for name in names:
            try:
                folder = download(
                    name, revision=revision, token=token, cache_dir=cache_dir, quiet=quiet
                )
            except EXPECTED as error:
                report(describe(error), debug=debug)
                failed = True
            else:
                if not quiet:
                    typer.echo(folder)
    raise typer.Exit(FAILED if failed else 0)


@models.command("show")
def show_model(name: Name, debug: Debug = False) -> None:
    """Show the card of a model: what it is, what it was made from, how good it is."""
    from sed.cards import card_of
    from sed.hub import locate

    with one_line_errors(debug=debug):
        card = card_of(locate(name, local_files_only=True), name)
        if sys.stdout.isatty():
            _print_card(card)
        else:
            typer.echo(card, nl=False)


@models.command("export")
def export_model(name: Name, folder: Folder, debug: Debug = False) -> None:
    """Write a model as ONNX, which other runtimes read too; needs the extra onnx."""
    with one_line_errors(debug=debug):
        _check_empty(folder)
        from sed.model import EmotionModel
        from sed.onnx import export

        model, card = _with_card(name, EmotionModel.from_pretrained)
        with naming(folder):
            export(model, folder, card=card)
        typer.echo(folder)


@models.command("convert")
def convert_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Embedded, cached, a folder, or the output folder of sed train."
        ),
    ],
    folder: Folder,
    debug: Debug = False,
) -> None:
    """Write a model, such as a checkpoint of SpeechBrain, as a folder of this package.

    Of a training, finished or not, that is the best model so far.
    """
    with one_line_errors(debug=debug):
        _check_empty(folder)
        from sed.model import EmotionModel
        from sed.training.exports import export_model as export_experiment
        from sed.training.exports import is_experiment

        if is_experiment(name):
            with naming(folder):
                export_experiment(name, folder)
        else:
            model, card = _with_card(name, EmotionModel.from_pretrained)
            with naming(folder):
                model.save_pretrained(folder, card=card)
        typer.echo(folder)


def _with_card(name: str, load: Callable[[Path], Model]) -> tuple[Model, str | None]:
    """A model, and its card if it is one of this package and so keeps it."""
    from sed.cards import card_of
    from sed.hub import kind_of, locate

    source = locate(name)
    return load(source), card_of(source, name) if kind_of(source) == "sed" else None


def find_models(cache_dir: Path | None = None) -> list[Listed]:
    """Embedded models, then those in the cache.

    Parameters
    ----------
    cache_dir : Path, optional
        As for `sed.hub.locate`.

    Examples
    --------
    >>> [model.name for model in find_models() if model.where == "embedded"]
    ['timnet-mfcc']
    """
    from sed.hub import Kind, cached_models, embedded_models, locate

    def listed(name: str, where: str, revision: str, kind: Kind, folder: Path, size: int) -> Listed:
        frontend, head, classes = _describe(folder, kind)
        return Listed(name, where, revision, kind, frontend, head, classes, size, str(folder))

    found = []
    for name in embedded_models():
        folder = locate(name)
        size = sum(path.stat().st_size for path in folder.iterdir())
        found.append(listed(name, "embedded", "", "sed", folder, size))
    for model in cached_models(cache_dir):
        found.append(
            listed(model.name, "cached", model.revision, model.kind, model.folder, model.size)
        )
    return found


def _describe(folder: Path, kind: str) -> tuple[str, str, tuple[str, ...]]:
    """Front-end, head and classes, as far as they can be told without loading the model."""
    from sed.hub import read_config

    try:
        if kind == "speechbrain":
            from sed.interop.speechbrain import LABELS, encoder_source, read_classes

            return encoder_source(folder), "linear", tuple(read_classes(folder / LABELS))
        content = read_config(folder)
        model = content["model"]
        classes = tuple(map(str, content["specifications"]["classes"]))
        return str(model["frontend"]["name"]), str(model["head"]["name"]), classes
    except (LookupError, TypeError, *EXPECTED):  # whoever loads it is told what is wrong
        return "", "", ()


def _print_table(found: list[Listed]) -> None:
    """Table of models."""
    from rich.filesize import decimal

    from sed.cards import NAMES

    headings = ["name", "where", "front-end", "head", "classes", "size"]
    rows = []
    for model in found:
        name = model.name + (f" ({model.revision})" if model.revision not in ("", "main") else "")
        parts = (NAMES.get(part, part) or _UNKNOWN for part in (model.frontend, model.head))
        classes = ", ".join(model.classes) or _UNKNOWN
        rows.append([name, model.where + _PLACES[model.kind], *parts, classes, decimal(model.size)])
    print_table(headings, rows, right=["size"])


def _print_card(card: str) -> None:
    """Card on a terminal, without what only the hub reads and what a terminal would obey."""
    from rich.console import Console
    from rich.markdown import Markdown

    if card.startswith("---\n"):
        card = card.partition("\n---\n")[2] or card
    text = "".join(letter for letter in card if letter.isprintable() or letter in "\n\t")
    Console().print(Markdown(text))


def _check_empty(folder: Path) -> None:
    """Refuse a folder with something in it, such as another model.

    Raises
    ------
    ValueError
        If it is one, or a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; name a new one")
