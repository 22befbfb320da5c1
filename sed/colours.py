"""One colour per emotion, everywhere; after Okabe and Ito, told apart by colour-blind eyes."""

from __future__ import annotations

from sed.labels import NEUTRAL

COLOURS = {
    "angry": "#D55E00",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "fearful": "#CC79A7",
    "surprised": "#56B4E9",
    "disgusted": "#009E73",
    "excited": "#F0E442",
    NEUTRAL: "#999999",
}
"""Hex colours of the common emotions."""

_OTHERS = ("#882255", "#44AA99", "#AA4499", "#117733", "#88CCEE", "#DDCC77", "#332288")


def colour(emotion: str) -> str:
    """Colour of an emotion, the same in every run.

    Examples
    --------
    >>> colour("angry"), colour("bored") == colour("bored")
    ('#D55E00', True)
    """
    if emotion in COLOURS:
        return COLOURS[emotion]
    return _OTHERS[sum(emotion.encode()) % len(_OTHERS)]
