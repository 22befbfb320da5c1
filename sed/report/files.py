"""Figures as files: the same bytes in every run, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
"""What pictures are written as."""

DPI = 150
"""Dots of a PNG per inch."""

_NO_DATE: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def picture_format(path: str | Path) -> str:
    """Format that a file's ending names.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> picture_format("call.PNG")
    'png'
    """
    name = Path(path).suffix.lower().removeprefix(".")
    if name not in FORMATS:
        endings = ", ".join(f".{known}" for known in FORMATS)
        raise ValueError(f"{path} is named like no picture; give it one of the endings {endings}")
    return name


def require_matplotlib() -> None:
    """Refuse to begin where nothing can be drawn.

    Raises
    ------
    ValueError
        If matplotlib is not installed; the message says how to.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        raise ValueError(
            "a picture needs matplotlib: pip install 'speech-emotion-diarization[plot]'"
        ) from None


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Settings of matplotlib that a picture is drawn and written with, whatever the user's are."""
    import matplotlib.style

    settings: Any = {
        "font.family": "DejaVu Sans",  # part of matplotlib
        "font.size": 9,
        "hatch.linewidth": 0.6,
        "text.parse_math": False,  # a name may hold dollar signs
        "pdf.fonttype": 42,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "sed",
    }
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def encode(figure: Figure, format: str, *, dpi: int = DPI) -> bytes:
    """Figure as the content of a file.

    Parameters
    ----------
    figure : Figure
    format : {"png", "svg", "pdf"}
    dpi : int, optional
        Dots of a PNG per inch.
    """
    stream = io.BytesIO()
    with own_style():
        figure.savefig(stream, format=format, dpi=dpi, metadata=_NO_DATE[format])
    return stream.getvalue()
