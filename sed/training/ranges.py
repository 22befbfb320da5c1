"""Settings that are numbers: what is refused before it does harm."""

from __future__ import annotations

import math
from typing import Any


def check_whole(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse a setting that is no whole number.

    Raises
    ------
    ValueError
        If it is none, or below `least`.

    Examples
    --------
    >>> check_whole("batch_size", 2.5)
    Traceback (most recent call last):
    ValueError: batch_size is 2.5, no whole number from 1 on
    """
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}, no whole number from {least} on")


def check_share(name: str, value: Any) -> None:
    """Refuse a setting that is no number from 0 to below 1.

    Raises
    ------
    ValueError
    """
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}, no number from 0 to below 1")


def check_rate(name: str, value: Any, *, zero: bool = False) -> None:
    """Refuse a setting that is no finite number above 0, or from 0 on with `zero`.

    Raises
    ------
    ValueError
    """
    is_number = type(value) in (int, float) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} is {value!r}, no number {'from 0 on' if zero else 'above 0'}")
