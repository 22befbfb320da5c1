"""What is written into a picture: whether it fits, and in which ink."""

from __future__ import annotations

_INCHES_PER_LETTER = 0.074


def width_of(text: str) -> float:
    """Inches that a text takes at most, nearly."""
    return len(text) * _INCHES_PER_LETTER


def ink_on(fill: str) -> str:
    """Black or white, whichever is read better on a colour.

    Examples
    --------
    >>> ink_on("#F0E442"), ink_on("#0072B2")
    ('black', 'white')
    """
    linear = [(int(fill[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "white" if (luminance + 0.05) ** 2 < 1.05 * 0.05 else "black"


def printable(text: str, max_length: int) -> str:
    r"""Text as a picture can hold it, cut in the middle where it is long.

    Examples
    --------
    >>> printable("a\x00b", 9), printable("systems/new.rttm", 9)
    ('a�b', 'syst…rttm')
    """
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    if len(text) <= max_length:
        return text
    half = (max_length - 1) // 2
    return f"{text[:half]}…{text[-(max_length - 1 - half) :]}"
