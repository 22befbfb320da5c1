"""Networks that turn frame features into frame logits, chosen by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from sed.heads.linear import LinearHead
from sed.heads.timnet import TIMNet

__all__ = ["HEADS", "LinearHead", "TIMNet", "head_named"]

HEADS: dict[str, type[nn.Module]] = {"linear": LinearHead, "timnet": TIMNet}


def head_named(name: str, num_features: int, num_classes: int, **options: Any) -> Any:
    """Head of a config.

    Parameters
    ----------
    name : str
        A key of `HEADS`.
    num_features, num_classes : int
        Width of the input and of the output.
    **options
        What the head takes besides.

    Raises
    ------
    ValueError
        If there is no head of that name.

    Examples
    --------
    >>> head_named("linear", 8, 4, bias=False)
    LinearHead(
      (classify): Linear(in_features=8, out_features=4, bias=False)
    )
    """
    if name not in HEADS:
        raise ValueError(f"unknown head {name!r}; known are {', '.join(HEADS)}")
    return HEADS[name](num_features, num_classes, **options)
