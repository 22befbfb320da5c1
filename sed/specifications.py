"""What a model expects of its input and promises of its output."""

from __future__ import annotations

from dataclasses import dataclass

from sed.frames import FrameGrid
from sed.labels import NEUTRAL, canonical


@dataclass(frozen=True)
class Specifications:
    """What a model expects of its input and promises of its output.

    Parameters
    ----------
    classes : tuple of str
        Full emotion names in the order of the output, neutral among them.
    sample_rate : int
        Samples per second of the input.
    hop : int
        Samples per output frame.
    context : int or None
        Frames on each side that an output frame depends on. Frames further from a window's edge
        are the same in any window. None where every frame depends on the whole input.
    window : float
        Seconds of speech that go through the network at once.
    edge_padding : int
        Zeros that the model puts on both sides of its input, see `sed.encoders.Encoder`.
    """

    classes: tuple[str, ...]
    sample_rate: int
    hop: int
    context: int | None
    window: float
    edge_padding: int = 0

    def __post_init__(self) -> None:
        """Refuse specifications without neutral, with unknown classes, or without extent."""
        object.__setattr__(self, "classes", tuple(canonical(name) for name in self.classes))
        if NEUTRAL not in self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(
                f"classes must be distinct and hold {NEUTRAL!r}, not {', '.join(self.classes)}"
            )
        if (self.context or 0) < 0 or self.window <= 0 or self.edge_padding < 0:
            raise ValueError(f"context, window and edge_padding must not be negative: {self}")

    @property
    def neutral(self) -> int:
        """Column of the neutral class."""
        return self.classes.index(NEUTRAL)

    @property
    def grid(self) -> FrameGrid:
        """Frame grid of the output."""
        return FrameGrid(self.sample_rate, self.hop)
