"""Networks that turn frame features into frame logits, chosen by name.

Each ends in a linear layer, ``classify``, which gives the logits; `AttentiveHead` may have several.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sed.heads.attentive import AttentiveHead
from sed.heads.linear import LinearHead
from sed.heads.timnet import TIMNet

__all__ = ["HEADS", "AttentiveHead", "LinearHead", "TIMNet", "divide_logits", "head_named"]

HEADS: dict[str, type[nn.Module]] = {
    "linear": LinearHead,
    "timnet": TIMNet,
    "attentive": AttentiveHead,
}


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


@torch.no_grad()
def divide_logits(head: nn.Module, temperature: float) -> None:
    """Let a head give its logits divided by a temperature: less sure above 1, surer below.

    The best class of every frame stays. It is the last layer's weights that change, so the model is
    stored, exported and run like any other.

    Parameters
    ----------
    head : nn.Module
        One of `HEADS`; changed in place.
    temperature : float
        Above zero.

    Examples
    --------
    >>> features = torch.ones(1, 2, 8)
    >>> head = head_named("linear", 8, 4)
    >>> before = head(features)
    >>> divide_logits(head, 2.0)
    >>> bool(torch.allclose(head(features), before / 2.0))
    True
    """
    for weight in head.get_submodule("classify").parameters():
        weight.div_(temperature)
