"""Text of an annotation file, or one line that says why there is none."""

from __future__ import annotations

import codecs
from pathlib import Path


def read_text(path: str | Path) -> str:
    r"""Content of a UTF-8 file, with or without a byte-order mark, or of a UTF-16 file with one.

    Every line ends in ``\n``.

    Raises
    ------
    ValueError
        If the file is not such text.
    OSError
        If it is missing or cannot be read.
    """
    content = Path(path).read_bytes()
    # Praat and Windows write UTF-16, and always with a mark
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        if wide:
            raise ValueError(f"{path} begins as UTF-16 text but is none") from None
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it, for example with iconv"
        ) from None
