"""The command line: one small file per command."""

from __future__ import annotations

import typer

from sed.cli.diarize import diarize

app = typer.Typer(
    name="sed",
    help="Speech emotion diarization: which emotion appears when in a recording.",
    epilog="Every other line is handed to the system's stream editor, so sed 's/a/b/' still works.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _about() -> None:
    """Speech emotion diarization: which emotion appears when in a recording."""


app.command()(diarize)
