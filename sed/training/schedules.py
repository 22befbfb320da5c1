"""Learning rates that follow the step; those that follow the validation are SpeechBrain's."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """A straight line up and half a cosine down to zero.

    Parameters
    ----------
    peak : float
    warmup_steps, num_steps : int
        Steps until the peak, and all steps.

    Examples
    --------
    >>> rate = WarmupCosine(0.1, warmup_steps=2, num_steps=100)
    >>> [round(rate.at(step), 4) for step in (0, 1, 50, 99)]
    [0.05, 0.1, 0.05, 0.0]
    """

    peak: float
    warmup_steps: int
    num_steps: int

    def at(self, step: int) -> float:
        """Learning rate of a step, counted from zero."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return self.peak * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / self.num_steps)))
