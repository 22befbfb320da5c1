"""Figures 2 and 3 of the paper: how a network learns, and what its classifier sees."""

from __future__ import annotations

import csv
import io
import math
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from runs import CrossValidation

from sed.colours import colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES, EMBEDDINGS = "curves.csv", "embeddings.npz"
MEASURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")

FEWEST = 5  # points that t-SNE can put anywhere
_SIDES = {"train": ("training", "#2f6fab", "--"), "test": ("test", "#b5382c", "-")}
_MARKERS = "os^DvPX*<>"  # told apart where colours are not


@dataclass(frozen=True)
class Curves:
    """Loss and accuracy of the folds of one run or several.

    Parameters
    ----------
    epochs : (num_epochs,) array of int
    values : (num_folds, num_epochs, 4) array
        In the order of `MEASURES`; accuracies are fractions, and nan stands where nothing was
        tested.
    """

    epochs: np.ndarray
    values: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Curves]) -> Curves:
        """Folds of several runs as if they were those of one."""
        return cls(parts[0].epochs, np.concatenate([part.values for part in parts]))


@dataclass(frozen=True)
class Embeddings:
    """Test recordings of one fold as its classifier sees them.

    Parameters
    ----------
    values : (num_recordings, num_channels) array
    emotions : (num_recordings,) array of str
    fold : int
    war : float
        Share of them that the classifier gets right.
    """

    values: np.ndarray
    emotions: np.ndarray
    fold: int
    war: float


def read_curves(path: Path, run: CrossValidation) -> Curves:
    """Curves that a run left.

    Raises
    ------
    ValueError
        If the file is damaged, or not of that run.
    OSError
        If it cannot be read.
    """
    folds: dict[int, dict[int, list[float]]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        try:
            if missing := {"fold", "epoch", *MEASURES} - set(reader.fieldnames or ()):
                raise ValueError(f"has no column {', '.join(sorted(missing))}")
            for row in reader:
                place, values = _line(row, reader.line_num)
                folds.setdefault(place[0], {})[place[1]] = values
        except csv.Error as error:
            raise ValueError(f"no CSV ({error})") from None
    lengths = {len(epochs) for epochs in folds.values()}
    same = len({tuple(sorted(epochs)) for epochs in folds.values()}) == 1
    if not same or len(folds) != run.num_folds or lengths != {run.num_epochs}:
        raise ValueError(f"does not hold {run.num_epochs} epochs of each of {run.num_folds} folds")
    epochs = sorted(next(iter(folds.values())))
    values = np.array([[folds[fold][epoch] for epoch in epochs] for fold in sorted(folds)])
    tested = np.isfinite(values[:, :, -1])
    if (tested != tested[0]).any() or not tested.any():
        raise ValueError("does not hold a test of every fold after the same epochs")
    return Curves(np.array(epochs), values)


def _line(row: Mapping[str, str], number: int) -> tuple[tuple[int, int], list[float]]:
    """Fold and epoch of a line, and its measures; nan for those of an epoch without a test."""
    try:
        place = int(row["fold"]), int(row["epoch"])
        values = [float("nan" if row[name] == "" else row[name]) for name in MEASURES]
    except (TypeError, ValueError):
        raise ValueError(f"line {number} does not hold a number for each column") from None
    is_tested = not all(map(math.isnan, values[2:]))
    for name, value in zip(MEASURES[: 4 if is_tested else 2], values, strict=False):
        if not 0 <= value <= (1 if name.endswith("accuracy") else sys.float_info.max):
            raise ValueError(f"line {number}: {value} is no {name.replace('_', ' ')}")
    return place, values


def read_embeddings(path: Path, run: CrossValidation) -> Embeddings | None:
    """First fold of what a run left; None where its embeddings are too few, or all the same.

    Raises
    ------
    ValueError
        If the file is damaged, or not of that run.
    OSError
        If it cannot be read.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            values, emotions, folds = (stored[key] for key in ("embeddings", "emotions", "folds"))
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"no embeddings in it ({error})") from None
    shapes = {values.shape[:1], emotions.shape, folds.shape}
    kinds = (values.dtype.kind, emotions.dtype.kind, folds.dtype.kind)
    if shapes != {(run.num_recordings,)} or values.ndim != 2 or kinds != ("f", "U", "i"):
        raise ValueError(f"does not hold embeddings of {run.num_recordings} recordings")
    if not np.isfinite(values).all():
        raise ValueError("holds embeddings that are no finite numbers")
    order = np.unique(folds)
    protocol = next((name for name in run.protocols if name != "**"), None)  # the last epoch
    if len(order) != run.num_folds:
        raise ValueError(f"holds {len(order)} folds, and the results {run.num_folds}")
    chosen = folds == order[0]
    if protocol is None or chosen.sum() < FEWEST or not np.ptp(values[chosen], axis=0).any():
        return None
    war = run.protocols[protocol].war[0]
    return Embeddings(values[chosen], emotions[chosen], int(order[0]), war)


def draw_curves(curves: Curves, title: str) -> Figure:
    """Accuracy and loss over the epochs: the mean, and a standard deviation of the folds around."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    mean = curves.values.mean(axis=0)
    std = curves.values.std(axis=0, ddof=min(1, len(curves.values) - 1))
    for axes, measure in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        scale = 100 if measure == "accuracy" else 1
        for side, (name, ink, style) in _SIDES.items():
            index = MEASURES.index(f"{side}_{measure}")
            middle, around = scale * mean[:, index], scale * std[:, index]
            seen = np.isfinite(middle)
            epochs, middle, around = curves.epochs[seen], middle[seen], around[seen]
            axes.fill_between(
                epochs, middle - around, middle + around, color=ink, alpha=0.25, linewidth=0
            )
            axes.plot(epochs, middle, style, color=ink, linewidth=1.5, label=name)
        axes.set(xlabel="epoch", ylabel="accuracy in %" if scale > 1 else "loss")
        axes.set_ylim(0, 100 if scale > 1 else None)
        axes.margins(x=0.01)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def draw_embeddings(embeddings: Embeddings, title: str) -> Figure:
    """Map of one fold's test recordings by t-SNE, in which neighbours stay neighbours.

    The same embeddings give the same map on the same machine.
    """
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    near = perplexity(len(embeddings.values))
    values = embeddings.values.astype(np.float64)
    points = TSNE(perplexity=near, init="pca", random_state=0).fit_transform(values)
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for marker, emotion in zip(_MARKERS * 4, np.unique(embeddings.emotions), strict=False):
        across, up = points[embeddings.emotions == emotion].T
        axes.scatter(
            across,
            up,
            s=48,
            marker=marker,
            color=colour(str(emotion)),
            edgecolor="black",
            linewidth=0.5,
            label=str(emotion),
        )
    axes.set(title=f"{title}: WAR {100 * embeddings.war:.2f} %", xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def perplexity(num_points: int) -> float:
    """Neighbours that t-SNE gives to each point: the usual 30, fewer where that is a third of all.

    Examples
    --------
    >>> perplexity(500), perplexity(54), perplexity(7)
    (30.0, 17.666666666666668, 2.0)
    """
    return min(30.0, (num_points - 1) / 3)


def svg(figure: Figure) -> str:
    """Figure as SVG, byte for byte the same in every run."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "timnet"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
