"""Recordings of a corpus as cepstra of one length: what TIM-Net's authors train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sed.audio import Recording
from sed.corpora import Utterance
from sed.frontends import MFCC

FEATURES = {"code": MFCC.from_code, "paper": MFCC.from_paper}
"""Cepstra as the authors' code makes them, and as their text says."""


@dataclass(frozen=True, eq=False)
class Cepstra:
    """Features and emotions of recordings.

    Parameters
    ----------
    utterances : sequence of Utterance
    features : (num_features, num_frames, num_recordings) Tensor
    targets : (num_recordings,) Tensor of int
        Places of the emotions in `classes`.
    classes : tuple of str
    """

    utterances: Sequence[Utterance]
    features: Tensor
    targets: Tensor
    classes: tuple[str, ...]


def cepstra(
    utterances: Sequence[Utterance],
    *,
    classes: Sequence[str],
    features: str,
    num_samples: int,
    progress: Iterable[Utterance] | None = None,
) -> Cepstra:
    """Read recordings, bring them to one length, and compute their cepstra.

    ::

        short     . . . . |=== recording ===| . . . .      zeros on both sides
        long      = = = = |=================| = = = =      both ends cut

    Parameters
    ----------
    utterances : sequence of Utterance
    classes : sequence of str
    features : {"code", "paper"}
        See `FEATURES`.
    num_samples : int
        Length at 22.05 kHz.
    progress : iterable of Utterance, optional
        The same utterances behind a progress bar.

    Raises
    ------
    OSError, ValueError
        If a recording cannot be read; the message names it.
    """
    mfcc = front_end(features)
    found = []
    for utterance in utterances if progress is None else progress:
        samples = Recording.open(utterance.path).samples(mfcc.sample_rate)
        with torch.inference_mode():
            found.append(mfcc(torch.from_numpy(centred(samples, num_samples))[None])[0].T)
    places = {name: place for place, name in enumerate(classes)}
    return Cepstra(
        tuple(utterances),
        torch.stack(found, dim=-1).clone(),
        torch.tensor([places[utterance.emotion] for utterance in utterances]),
        tuple(classes),
    )


def front_end(features: str) -> MFCC:
    """What computes the cepstra of this name, see `FEATURES`.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> front_end("code").sample_rate
    22050
    """
    if features not in FEATURES:
        raise ValueError(f"features is {features!r}; known are {', '.join(FEATURES)}")
    return FEATURES[features]()


def centred(samples: np.ndarray, num_samples: int) -> np.ndarray:
    """Samples in the middle of as many zeros as make up a length, or the middle of them.

    Examples
    --------
    >>> centred(np.ones(3), 6).tolist(), centred(np.arange(5.0), 2).tolist()
    ([0.0, 1.0, 1.0, 1.0, 0.0, 0.0], [1.0, 2.0])
    """
    missing = num_samples - len(samples)
    if missing >= 0:
        return np.pad(samples, (missing // 2, missing - missing // 2))
    start = -missing // 2
    return np.ascontiguousarray(samples[start : start + num_samples])
