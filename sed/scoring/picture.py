"""Scores as a picture: the confusion matrix, and the error rate of every recording."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sed.scoring.score import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = 40  # recordings that still have room for their name
_BLUE, _RED = "#2f6fab", "#b5382c"


def save_picture(score: Score, path: str | Path, *, title: str = "") -> None:
    """Draw a score to a PNG, PDF or SVG file, whole or not at all.

    Parameters
    ----------
    score : Score
    path : str or Path
        Its ending names the format.
    title : str, optional

    Raises
    ------
    ValueError
        If matplotlib is not installed, or draws no such format.
    OSError
        If the file cannot be written.
    """
    figure = draw(score, title=title)
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    kind = path.suffix.lower().removeprefix(".")
    if kind not in known:
        raise ValueError(f"{path}: no picture format {path.suffix!r}; there are {', '.join(known)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(unfinished, format=kind, dpi=150)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def draw(score: Score, *, title: str = "") -> Figure:
    """Figure of a score, drawn without any window system.

    Raises
    ------
    ValueError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ValueError(
            "a picture needs matplotlib: pip install 'speech-emotion-diarization[plot]'"
        ) from None
    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle(
        f"{title + ': ' if title else ''}EDER {100 * score.pooled.eder:.2f} % pooled, "
        f"{100 * score.macro:.2f} % macro"
    )
    left, right = figure.subplots(1, 2)
    _draw_confusion(left, score)
    _draw_recordings(right, score)
    return figure


def _draw_confusion(axes, score: Score) -> None:  # type: ignore[no-untyped-def]
    """Rows in shares of the reference's time, the seconds written in."""
    matrix = score.confusion()
    seconds = matrix.seconds
    rows = seconds.sum(axis=1, keepdims=True)
    shares = np.divide(seconds, rows, where=rows > 0, out=np.zeros_like(seconds))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), time in np.ndenumerate(seconds):
        if time:
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{time:.1f}", ha="center", va="center", color=ink, fontsize=8)
    ticks = range(len(matrix.labels))
    axes.set_xticks(ticks, matrix.labels, rotation=45, ha="right")
    axes.set_yticks(ticks, matrix.labels)
    axes.set(xlabel="hypothesis", ylabel="reference", title="seconds, shade by row")


def _draw_recordings(axes, score: Score) -> None:  # type: ignore[no-untyped-def]
    """Recordings from the best to the worst."""
    rates = np.array([errors.eder for errors in score.errors]) * 100
    order = np.argsort(rates, kind="stable")
    axes.bar(range(len(rates)), rates[order], width=1.0, color=_BLUE)
    axes.axhline(100 * score.pooled.eder, color=_RED, label="pooled")
    axes.axhline(100 * score.macro, color=_RED, linestyle="--", label="macro")
    axes.set(ylim=(0, 100), ylabel="EDER in %", title="recordings, best to worst")
    if len(rates) <= _NAMED:
        axes.set_xticks(range(len(rates)), [score.uris[i] for i in order], rotation=90, fontsize=7)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(rates)} recordings")
    axes.legend()
