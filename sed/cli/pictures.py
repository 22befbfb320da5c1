"""Pictures of what is diarized: one file for one recording, a folder for several."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from sed.cli.errors import naming
from sed.cli.inputs import STANDARD_INPUT
from sed.files import whole_file
from sed.report import Picture
from sed.report.files import picture_format, require_matplotlib


class Pictures:
    """Where ``--plot`` draws, tried before any work begins.

    Parameters
    ----------
    target : str
        A .png, .svg or .pdf file for one recording; a folder that exists or whose name ends in
        ``/`` gets a PNG of each.
    inputs : sequence of str
        As the command was given them.

    Raises
    ------
    ValueError
        If the target is neither, a file is to hold several recordings, or matplotlib is not
        installed.
    """

    def __init__(self, target: str, inputs: Sequence[str]) -> None:
        self.path = Path(target)
        self._is_folder = target.endswith(("/", os.sep)) or self.path.is_dir()
        if not self._is_folder:
            try:
                self._format = picture_format(target)
            except ValueError as error:
                raise ValueError(f"{error}, or end it in / for a folder") from None
            if len(inputs) > 1 or _holds_several(inputs[0]):
                raise ValueError(
                    f"{target} is one picture, of one recording; for several name a folder, such "
                    f"as {self.path.with_suffix('')}/"
                )
        require_matplotlib()
        self._stack = ExitStack()
        self._stream: TextIO | None = None

    def __enter__(self) -> Pictures:
        """Open the file or try the folder."""
        with ExitStack() as stack:
            stack.enter_context(naming(self.path))
            if self._is_folder:
                self.path.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=self.path).close()
            else:
                self._stream = stack.enter_context(whole_file(self.path))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or drop it after an error."""
        self._stack.__exit__(kind, error, traceback)

    def add(self, picture: Picture) -> None:
        """Draw one recording."""
        if self._stream is None:
            path = self.path / f"{picture.title}.png"
            with naming(path):
                picture.save(path)
        else:
            self._stream.buffer.write(picture.encode(self._format))


def _holds_several(argument: str) -> bool:
    """Whether an input is a folder or a pattern, of which nobody knows how many there are."""
    if argument == STANDARD_INPUT:
        return False
    return os.path.isdir(argument) or (not os.path.lexists(argument) and glob.has_magic(argument))
