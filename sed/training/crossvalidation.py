"""Training the networks of a cross-validation, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sed.training.folds import Fold
from sed.training.memory import keep_freed
from sed.training.passes import has_compiler
from sed.training.together import Fitted, Fitting, Together
from sed.training.utterances import Cepstra

CACHE = 24_000_000
"""Bytes. Ten networks in float32, 38 MB, took longer than two groups of five (two cores, EPYC)."""


def fit_folds(
    data: Cepstra,
    folds: Sequence[Fold],
    fitting: Fitting,
    *,
    folder: Path,
    device: str = "cpu",
    num_together: int | None = None,
    compiled: bool | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> list[Fitted]:
    """Train a network for each fold.

    ::

        folds      0   1   2   3   4   5   6   7   8   9
        together  |===============|===============|=======|     num_together 4

    A network learns the same alone and beside others, but for rounding. Networks whose epochs have
    unequal numbers of batches are not trained together.

    Parameters
    ----------
    data : Cepstra
    folds : sequence of Fold
    fitting : Fitting
    folder : Path
        Where checkpoints are, one of each group; what they hold is not trained again.
    device : str
    num_together : int, optional
        By default what takes least time: all on a GPU, and on a processor `fitting_together`.
    compiled : bool, optional
        See `sed.training.timnets.TIMNets`; where there is a compiler by default.
    tell : callable, optional
        Told how many networks have trained for how many more epochs: of each epoch, and first of
        those that a checkpoint holds.

    Returns
    -------
    list of Fitted
        In the order of the folds.
    """
    if num_together is None:
        num_together = len(folds)
        if device == "cpu":
            num_together = fitting_together(num_together, data.features.shape[1], fitting)
    if device == "cpu":
        keep_freed()
    if compiled is None:
        compiled = has_compiler()
    results: dict[int, Fitted] = {}
    for group in grouped(folds, fitting.batch_size, num_together):
        name = "-".join(str(place) for place in group)
        chosen = [folds[place] for place in group]
        together = Together(data, chosen, fitting, device=device, compiled=compiled)
        path = folder / f"folds-{name}.pt"
        together.resume(path)
        if tell is not None and together.epoch:
            tell(len(group), together.epoch)
        for _ in together.epochs(path):
            if tell is not None:
                tell(len(group), 1)
        results |= dict(zip(group, together.fitted(), strict=True))
    return [results[place] for place in range(len(folds))]


def fitting_together(num_folds: int, num_frames: int, fitting: Fitting) -> int:
    """Networks of which a layer's rows stay in a processor's cache, in groups of like size.

    Examples
    --------
    >>> fitting_together(10, 188, Fitting()), fitting_together(10, 188, Fitting(precision="bf16"))
    (5, 10)
    """
    item = 2 if fitting.precision == "bf16" else 4
    size = 2 * fitting.channels * num_frames * fitting.batch_size * item  # two directions
    num_groups = -(-num_folds // max(1, CACHE // size))
    return -(-num_folds // num_groups)


def grouped(folds: Sequence[Fold], batch_size: int, size: int) -> Iterator[list[int]]:
    """Places of folds that are trained together: at most `size`, with as many batches each."""
    numbers = [-(-len(fold.train) // batch_size) for fold in folds]
    for number in sorted(set(numbers)):
        alike = [place for place, found in enumerate(numbers) if found == number]
        for start in range(0, len(alike), max(1, size)):
            yield alike[start : start + max(1, size)]
