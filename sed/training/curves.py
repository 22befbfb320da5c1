"""Files of a cross-validation beside its results: curves and predictions, for tables and plots."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sed.files import whole_file
from sed.training.folds import Fold
from sed.training.together import MEASURES, Fitted
from sed.training.utterances import Cepstra


def write_curves(path: Path, found: Sequence[Fitted]) -> None:
    """Write losses and accuracies, a line for each epoch of each network."""
    with whole_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("fold", "epoch", *MEASURES))
        for fold, fitted in enumerate(found):
            for epoch, row in enumerate(fitted.curves, start=1):
                values = ["" if np.isnan(value) else f"{value:.6f}" for value in row]
                writer.writerow((fold, epoch, *values))


def write_predictions(
    path: Path, data: Cepstra, dealt: Sequence[Fold], found: Sequence[Fitted]
) -> None:
    """Write what was heard in each recording while it was in the test fold."""
    with whole_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("fold", "uri", "speaker", "emotion", "last", "best"))
        for number, (fold, fitted) in enumerate(zip(dealt, found, strict=True)):
            for index, last, best in zip(fold.test, fitted.last, fitted.best, strict=True):
                said = data.utterances[index]
                heard = data.classes[last], data.classes[best]
                writer.writerow((number, said.uri, said.speaker, said.emotion, *heard))
