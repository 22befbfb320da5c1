r"""Tables and notes as text: for a terminal, a page, a paper, a spreadsheet or a program."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sed.scoring.bootstrap import Interval
from sed.scoring.tables import Column, Table, Value

if TYPE_CHECKING:
    from sed.scoring.report import Report

NOTHING = "–"
"""Shown where a number does not exist."""


def shown(value: Value, column: Column) -> str:
    """Value as people read it.

    Examples
    --------
    >>> shown(0.3021, Column("eder", "rate")), shown(None, Column("eder", "rate"))
    ('30.21', '–')
    >>> shown(Interval(0.3021, 0.28, 0.325, 0.95), Column("eder", "rate"))
    '30.21 [28.00, 32.50]'
    """
    if isinstance(value, Interval):
        low, high = shown(value.low, column), shown(value.high, column)
        return f"{shown(value.value, column)} [{low}, {high}]"
    if value is None or isinstance(value, float) and math.isnan(value):
        return NOTHING
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "∞"
    if column.kind == "rate":
        return f"{100 * value:.2f}"
    if column.kind == "seconds":
        return f"{value:.2f}"
    if column.kind == "probability":
        return f"{value:.4f}"
    return str(value)


def terminal(report: Report) -> str:
    """Aligned tables, with colours and lines where the output is a terminal."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000, no_color=True, file=io.StringIO())
    with console.capture() as capture:
        for table in report.tables:
            grid = RichTable(
                title=escape(table.title),
                title_justify="left",
                title_style="bold",
                box=box.SIMPLE_HEAD,
                collapse_padding=True,
                pad_edge=False,
            )
            for column in table.columns:
                justify: Literal["left", "right"] = "left" if column.kind == "text" else "right"
                grid.add_column(escape(column.heading), justify=justify, overflow="fold")
            for index, row in enumerate(table.rows):
                if table.num_totals and index == len(table.rows) - table.num_totals:
                    grid.add_section()
                grid.add_row(*map(escape, _cells(table, row)))
            console.print(grid)
        for note in report.notes:
            console.print(note, markup=False, soft_wrap=True)
    lines = (line.rstrip() for line in capture.get().splitlines())
    return "\n".join(lines) + "\n"


def markdown_table(table: Table) -> str:
    """Table of Markdown, columns aligned in the source too."""
    grid = [[column.heading for column in table.columns]]
    grid += [_cells(table, row) for row in table.rows]
    grid = [[cell.replace("|", "\\|") for cell in row] for row in grid]
    widths = [max(3, *(len(row[index]) for row in grid)) for index in range(len(table.columns))]
    left = [column.kind == "text" for column in table.columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(cells, widths, left, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [
        "-" * width if is_left else "-" * (width - 1) + ":"
        for width, is_left in zip(widths, left, strict=True)
    ]
    return "\n".join([line(grid[0]), line(rule), *map(line, grid[1:])])


def markdown(report: Report) -> str:
    """Tables of Markdown under headings, the rules as a list."""
    parts = [f"### {table.title}\n\n{markdown_table(table)}\n" for table in report.tables]
    return "\n".join([*parts, "\n".join(f"- {note}" for note in report.notes)]) + "\n"


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "%": r"\%",
        "_": r"\_",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "–": "--",
        "∞": r"$\infty$",
        "±": r"$\pm$",
    }
)


def latex(report: Report) -> str:
    """Tables for the booktabs package, the rules as comments."""
    parts = []
    for table in report.tables:
        shape = "".join("l" if column.kind == "text" else "r" for column in table.columns)
        rows = [
            " & ".join(cell.translate(_LATEX) for cell in _cells(table, row)) for row in table.rows
        ]
        if table.num_totals and table.num_totals < len(rows):
            rows[-table.num_totals] = "\\midrule\n" + rows[-table.num_totals]
        heading = " & ".join(column.heading.translate(_LATEX) for column in table.columns)
        body = " \\\\\n".join(rows)
        parts.append(
            f"% {table.title}\n\\begin{{tabular}}{{{shape}}}\n\\toprule\n{heading} \\\\\n"
            f"\\midrule\n{body} \\\\\n\\bottomrule\n\\end{{tabular}}\n"
        )
    return "\n".join([*parts, "\n".join(f"% {note}" for note in report.notes)]) + "\n"


def comma_separated(report: Report) -> str:
    """Tables for a spreadsheet, an empty line between two; seconds and fractions in full."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for index, table in enumerate(report.tables):
        if index:
            stream.write("\n")
        spread = [
            any(isinstance(row[place], Interval) for row in table.rows)
            for place in range(len(table.columns))
        ]
        heading: list[str] = []
        for column, wide in zip(table.columns, spread, strict=True):
            ends = [f"{column.name}_low", f"{column.name}_high"] if wide else []
            heading += [column.name, *ends]
        writer.writerow(heading)
        for row in table.rows:
            cells: list[object] = []
            for value, wide in zip(row, spread, strict=True):
                if isinstance(value, Interval):
                    cells += [_bare(value.value), _bare(value.low), _bare(value.high)]
                else:
                    cells += [_bare(value), *(["", ""] if wide else [])]
            writer.writerow(cells)
    return stream.getvalue()


def as_json(report: Report) -> str:
    """One object: the rules, and each table as a list of objects."""
    content: dict[str, Any] = {"rules": report.rules}
    for table in report.tables:
        content[table.name] = [
            {column.name: _plain(value) for column, value in zip(table.columns, row, strict=True)}
            for row in table.rows
        ]
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cells(table: Table, row: Sequence[Value]) -> list[str]:
    return [shown(value, column) for value, column in zip(row, table.columns, strict=True)]


def _bare(value: Value) -> object:
    """Value for a spreadsheet, empty where there is none."""
    plain = _plain(value)
    return "" if plain is None else plain


def _plain(value: Value) -> object:
    """Value that JSON can say."""
    if isinstance(value, Interval):
        return {
            "value": _plain(value.value),
            "low": _plain(value.low),
            "high": _plain(value.high),
            "confidence": value.confidence,
        }
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


RENDERERS: dict[str, Callable[[Report], str]] = {
    "table": terminal,
    "json": as_json,
    "csv": comma_separated,
    "markdown": markdown,
    "latex": latex,
}
"""Every output format by its name."""
