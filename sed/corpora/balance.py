"""Corpora of different sizes, made about equally large by augmented copies."""

from __future__ import annotations

from collections.abc import Mapping


def copies(counts: Mapping[str, int]) -> dict[str, int]:
    """How often each corpus's recordings come, so that all corpora are about equally large.

    ::

        ravdess   |========== 672 ==========|
        emodb     |=== 339 ===|-- augmented --|        678
        emovo     |=== 336 ===|-- augmented -|         672

    As in da Silva et al. (2020), section 4.2: what is added are augmented copies, each by another
    chance. With whole copies a corpus has between 2/3 and 4/3 of the largest one's size.

    Parameters
    ----------
    counts : mapping of str to int
        Recordings of each corpus, those that are trained on alone.

    Returns
    -------
    dict of str to int
        1 is the recordings as they are, 2 is one augmented copy beside them; for the corpora in
        their order.

    Raises
    ------
    ValueError
        If a corpus has no recordings.

    Examples
    --------
    >>> copies({"ravdess": 672, "emodb": 339, "emovo": 336})
    {'ravdess': 1, 'emodb': 2, 'emovo': 2}
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} has {count} recordings to copy; leave it out")
    largest = max(counts.values(), default=0)
    return {name: round(largest / count) for name, count in counts.items()}
