"""One colour per emotion, everywhere; after Okabe and Ito, told apart by colour-blind eyes."""

from __future__ import annotations

from sed.labels import EMOTIONS, NEUTRAL

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

_RARER = (
    "#332288", "#117733", "#999933", "#88CCEE", "#44AA99", "#DDCC77", "#CC6677", "#882255",
    "#AA4499", "#661100", "#6699CC",
)  # fmt: skip  # after Tol, for those that few corpora have

_COLOURS = {**dict(zip([e for e in EMOTIONS if e not in COLOURS], _RARER, strict=True)), **COLOURS}


def colour(emotion: str) -> str:
    """Colour of an emotion, the same in every run; its own, if the emotion has a canonical name.

    Examples
    --------
    >>> colour("angry"), colour("bored") == colour("calm"), colour("wistful") in _RARER
    ('#D55E00', False, True)
    """
    return _COLOURS.get(emotion) or _RARER[sum(emotion.encode()) % len(_RARER)]
