"""Rooms: recordings as they sound where an impulse response was measured."""

from __future__ import annotations

import numpy as np

from sed.corpora.augmentation.filters import fast_size
from sed.corpora.augmentation.level import as_loud_as


def in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    r"""Samples as they sound in a room, as many, in the same places and as loud.

    ::

        response   __.|\.,_,.__      what precedes the direct sound is cut away, so that nothing
                      | direct       moves; the reverberation after the last sample too

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
    response : (any,) np.ndarray
        Impulse response.

    Returns
    -------
    (num_samples,) np.ndarray of float32

    Examples
    --------
    >>> click, response = np.array([0, 1, 0, 0, 0, 0]), np.array([0, 0.8, 0.6])
    >>> [abs(round(float(x), 2)) for x in in_room(click, response)]
    [0.0, 0.8, 0.6, 0.0, 0.0, 0.0]
    """
    response = response[np.abs(response).argmax() :]
    size = fast_size(len(samples) + len(response) - 1)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return as_loud_as(samples, np.fft.irfft(spectrum, size)[: len(samples)])
