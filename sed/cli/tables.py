"""Tables on a terminal; elsewhere the same in plain text, as wide as they need to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Print rows under headings to standard output.

    Parameters
    ----------
    headings : sequence of str
    rows : iterable of sequences
        As many cells as there are headings; brackets in them are no markup.
    right : sequence of str
        Headings of columns whose cells stand on the right, such as numbers; they never wrap.

    Examples
    --------
    >>> print_table(["name", "files"], [["emodb", 535], ["[red]", 1]], right=["files"])
    name   files
    ────────────
    emodb    535
    [red]      1
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000, no_color=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in headings:
        if heading in right:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
