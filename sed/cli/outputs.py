"""Where results go: one file for all, one file each, the terminal."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pyannote.core import Timeline
from rich.console import Console

from sed.audio import is_audio
from sed.cli.errors import naming
from sed.formats import (
    FORMATS,
    AnnotatedRecording,
    AnnotationWriter,
    Format,
    format_named,
    write,
)

STANDARD_OUTPUT = Path("-")


class _Printer:
    """Prints recordings in a format to standard output as they come, and nothing without one."""

    def __init__(self, format: Format) -> None:
        self._format, self._before = format, format.header

    def add(self, recording: AnnotatedRecording) -> None:
        """Print one recording."""
        sys.stdout.write(self._before + self._format.encode(recording))
        sys.stdout.flush()
        self._before = self._format.separator

    def __enter__(self) -> _Printer:
        """Begin; the first recording prints what begins the format."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print what ends the format, unless the run broke off."""
        if kind is None:
            sys.stdout.write(self._format.footer)
            sys.stdout.flush()


class Outputs:
    """Everything that a run writes; opened, and so checked, before any work begins.

    Files of all recordings appear at the end, and only if there was a recording: no empty file
    stands for a run in which all failed.

    Parameters
    ----------
    rttm, json : Path, optional
        One file for all recordings; ``-`` prints.
    folder : Path, optional
        One file per recording.
    format : str
        Format of the files in `folder`.
    timeline, quiet : bool
        Whether timelines are printed although there are files, or never.

    Raises
    ------
    ValueError
        If the format is unknown, two outputs want the same place, or one that of an audio file.
    OSError
        If a file or folder cannot be written.
    """

    def __init__(
        self,
        rttm: Path | None,
        json: Path | None,
        folder: Path | None,
        format: str,
        *,
        timeline: bool,
        quiet: bool,
    ) -> None:
        files = [path for path in (rttm, json) if path is not None]
        if len(set(files)) < len(files):
            raise ValueError(f"--rttm and --json cannot both write {files[0]}; name two files")
        for path in files:
            if is_audio(path):  # most likely the recording itself, which would be lost
                raise ValueError(f"{path} is named like a recording; name an .rttm or .json file")
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is no folder; name one for --out")
        self.quiet = quiet
        self._files = [(path, name) for path, name in ((rttm, "rttm"), (json, "json")) if path]
        self._folder, self._format = folder, format_named(format, "")
        prints = STANDARD_OUTPUT in files
        if prints and sys.stdout is None:
            raise ValueError("- is standard output, but that is closed; name a file")
        self.timeline = not quiet and (timeline or not (files or folder))
        self._console = Console(stderr=prints)
        self._writers: list[tuple[Path, AnnotationWriter | _Printer]] = []
        self._stack = ExitStack()
        self._num_recordings = 0

    def __enter__(self) -> Outputs:
        """Open the files and try the folder."""
        with ExitStack() as stack:
            for path, name in self._files:
                stack.enter_context(naming(path))
                if path == STANDARD_OUTPUT:
                    self._writers.append((path, stack.enter_context(_Printer(FORMATS[name]))))
                else:
                    writer = stack.enter_context(AnnotationWriter(path, format=name))
                    self._writers.append((path, writer))
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=self._folder).close()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the files in their places, or drop them after an error or without a recording."""
        if kind is None and self._num_recordings == 0:
            kind, error = LookupError, LookupError("no recording was diarized")
        self._stack.__exit__(kind, error, traceback)

    def add(self, channels: list[AnnotatedRecording], speech: list[Timeline]) -> None:
        """Take one recording, all its channels together.

        Parameters
        ----------
        channels : list of AnnotatedRecording
        speech : list of Timeline
            Of each channel, for the picture.
        """
        self._num_recordings += 1
        for channel in channels:
            for path, writer in self._writers:
                with naming(path):
                    writer.add(channel)
        if self._folder is not None:
            path = self._folder / (channels[0].uri + self._format.suffixes[0])
            with naming(path):
                write(path, channels, format=self._format.name)
        if self.timeline:
            from sed.cli.timeline import print_timeline

            for channel, stretches in zip(channels, speech, strict=True):
                title = channel.uri + (f"  channel {channel.channel}" if len(channels) > 1 else "")
                assert channel.duration is not None
                print_timeline(
                    self._console, channel.annotation, stretches, channel.duration, title=title
                )
