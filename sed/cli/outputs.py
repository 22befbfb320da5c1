"""Where results go: one file for all, one file each, the terminal."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pyannote.core import SlidingWindowFeature, Timeline
from rich.console import Console

from sed.audio import Recording, is_audio
from sed.cli.errors import naming
from sed.cli.pictures import Pictures
from sed.formats import (
    FORMATS,
    AnnotatedRecording,
    AnnotationWriter,
    Format,
    format_named,
    write_each,
)
from sed.report import PageWriter, Panel, Picture

STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True, eq=False)
class Diarized:
    """One channel of a recording: its emotions, and what they were found from."""

    annotated: AnnotatedRecording
    recording: Recording
    speech: Timeline
    posteriors: SlidingWindowFeature


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
        One file per recording, or per channel in a format that holds no more.
    format : str
        Format of the files in `folder`.
    timeline, quiet : bool
        Whether timelines are printed although there are files, or never.
    pictures : Pictures, optional
        Where every recording is drawn.
    html : Path, optional
        Page of all recordings.

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
        pictures: Pictures | None = None,
        html: Path | None = None,
    ) -> None:
        files = [path for path in (rttm, json, html) if path is not None]
        if len(set(files)) < len(files):
            raise ValueError(f"--rttm and --json cannot both write {files[0]}; name two files")
        for path in files:
            if is_audio(path):  # most likely the recording itself, which would be lost
                raise ValueError(
                    f"{path} is named like a recording; name an .rttm, .json or .html file"
                )
        if html == STANDARD_OUTPUT:
            raise ValueError("--html writes a file; name one, such as call.html")
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is no folder; name one for --out")
        if pictures is not None and pictures.path in files:
            raise ValueError(f"--plot cannot write {pictures.path} too; name another file")
        self.quiet = quiet
        self._pictures = pictures
        self._page = None if html is None else PageWriter(html)
        self._files = [(path, name) for path, name in ((rttm, "rttm"), (json, "json")) if path]
        self._folder, self._format = folder, format_named(format, "")
        prints = STANDARD_OUTPUT in files
        if prints and sys.stdout is None:
            raise ValueError("- is standard output, but that is closed; name a file")
        self.timeline = not quiet and (timeline or not (files or folder or pictures))
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
            if self._pictures is not None:
                stack.enter_context(self._pictures)
            if self._page is not None:
                with naming(self._page.path):
                    stack.enter_context(self._page)
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

    def add(self, sides: list[Diarized]) -> None:
        """Take one recording, all its channels together."""
        self._num_recordings += 1
        channels = [side.annotated for side in sides]
        for channel in channels:
            for path, writer in self._writers:
                with naming(path):
                    writer.add(channel)
        if self._folder is not None:
            write_each(self._folder, channels, self._format)
        if self.timeline:
            from sed.cli.timeline import print_timeline

            for channel, side in zip(channels, sides, strict=True):
                title = channel.uri + (f"  channel {channel.channel}" if len(channels) > 1 else "")
                assert channel.duration is not None
                print_timeline(
                    self._console, channel.annotation, side.speech, channel.duration, title=title
                )
        if self._pictures is None and self._page is None:
            return
        panels = _panels(sides)
        if self._pictures is not None:
            self._pictures.add(Picture(panels, title=channels[0].uri))
        if self._page is not None:
            for panel, channel in zip(panels, channels, strict=True):
                with naming(self._page.path):
                    self._page.add(panel, audio=channel.path)


def _panels(sides: list[Diarized]) -> list[Panel]:
    """What is known of each channel."""
    return [
        Panel(
            annotation=side.annotated.annotation,
            recording=side.recording,
            posteriors=side.posteriors,
            speech=side.speech,
            title=f"channel {side.annotated.channel}" if len(sides) > 1 else "",
        )
        for side in sides
    ]
