"""Text of an annotation file, or one line that says why there is none."""

from __future__ import annotations

from pathlib import Path


def read_text(path: str | Path) -> str:
    """Content of a UTF-8 file, with or without a byte-order mark.

    Raises
    ------
    ValueError
        If the file is not UTF-8 text.
    OSError
        If it is missing or cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it, for example with iconv"
        ) from None
