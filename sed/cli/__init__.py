"""The command line: one small file per command."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from sed.cli.diarize import EPILOG as DIARIZE_EPILOG
from sed.cli.diarize import diarize
from sed.cli.errors import INTERRUPTED, WRONG_USE, report
from sed.cli.label import EPILOG as LABEL_EPILOG
from sed.cli.label import label
from sed.cli.models import models
from sed.cli.plot import EPILOG as PLOT_EPILOG
from sed.cli.plot import plot
from sed.cli.prepare import EPILOG as PREPARE_EPILOG
from sed.cli.prepare import prepare
from sed.cli.score import EPILOG as SCORE_EPILOG
from sed.cli.score import score
from sed.cli.serve import EPILOG as SERVE_EPILOG
from sed.cli.serve import serve
from sed.cli.simulate import EPILOG as SIMULATE_EPILOG
from sed.cli.simulate import simulate
from sed.cli.stream import EPILOG as STREAM_EPILOG
from sed.cli.stream import stream
from sed.cli.train import EPILOG as TRAIN_EPILOG
from sed.cli.train import train

# The base of all errors in how a command is written; typer has it from click, or from its own
# copy of click, and exports only this child.
_UsageError: Any = typer.BadParameter.__mro__[1]


class OneLineUsage(TyperGroup):
    """Commands that answer wrong use with one line, as they do every other error."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command and leave with its exit code."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except _UsageError as error:
            command = error.ctx.command_path if error.ctx else "sed"
            message = " ".join(error.format_message().split()).rstrip(".")
            report(f"{message[:1].lower()}{message[1:]}; see {command} --help")
            code = WRONG_USE
        except typer.Abort:  # Ctrl-C outside of a command's own work
            code = INTERRUPTED
        sys.exit(code)


app = typer.Typer(
    name="sed",
    cls=OneLineUsage,
    help="Speech emotion diarization: which emotion appears when in a recording.",
    epilog="Every other line is handed to the system's stream editor, so sed 's/a/b/' still works.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _about() -> None:
    """Speech emotion diarization: which emotion appears when in a recording."""


app.command(epilog=DIARIZE_EPILOG)(diarize)
app.command(epilog=LABEL_EPILOG)(label)
app.add_typer(models, name="models")
app.command(epilog=PLOT_EPILOG)(plot)
app.command(epilog=PREPARE_EPILOG)(prepare)
app.command(epilog=SCORE_EPILOG)(score)
app.command(epilog=SERVE_EPILOG)(serve)
app.command(epilog=SIMULATE_EPILOG)(simulate)
app.command(epilog=STREAM_EPILOG)(stream)
app.command(
    epilog=TRAIN_EPILOG,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(train)
