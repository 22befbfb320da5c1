"""`sed label`: annotation files from one format to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sed.cli.errors import EXPECTED, FAILED, describe, naming, one_line_errors, report

if TYPE_CHECKING:
    from sed.formats import AnnotatedRecording, Format

FORMAT_NAMES = "rttm, json, zed, textgrid, elan, audacity, csv, vtt or srt"
"""Names of `sed.formats.FORMATS`, for a help that imports nothing heavy."""

EPILOG = """
A folder becomes a folder, each file of it a file.

A file, or a Parquet dataset, becomes a file, or one per recording if TO is a folder or ends in /.

Exit status: 0 all well, 1 some files failed (the others are written), 2 wrong use.

Examples:

  sed label call.TextGrid call.rttm

  sed label emotions/ grids/ --to-format textgrid

  sed label zed/ZED.json subtitles/ --to-format vtt
"""


def label(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="Annotation file, folder of such files, or Parquet dataset."
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="File or folder to write.")],
    from_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Format of FROM, if its ending does not tell: {FORMAT_NAMES}.",
        ),
    ] = None,
    to_format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Format of TO, if its ending does not tell."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPELLING=EMOTION",
            help="Further spelling of an emotion, such as joie=happy; several with commas, or the "
            "option again.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not say what TO cannot hold.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Translate annotations from one format to another."""
    with one_line_errors(debug=debug):
        from sed.formats import format_named, is_dataset
        from sed.labels import parse_mapping

        if from_format is not None:
            format_named(from_format, source)
        from_dataset = from_format is None and is_dataset(source)
        from_folder = Path(source).is_dir() and not from_dataset
        into_folder = from_folder or Path(target).is_dir() or _ends_as_folder(target)
        if into_folder and to_format is None:
            raise ValueError(
                f"{target} is a folder; say what is written into it with --to-format: "
                f"{FORMAT_NAMES}"
            )
        translation = Translation(
            from_format,
            format_named(to_format, target),
            parse_mapping(pair for given in labels or () for pair in given.split(",")),
            quiet=quiet,
        )
        code = 0
        if from_folder:
            code = translation.folder(Path(source), Path(target), debug=debug)
        elif from_dataset and into_folder:
            code = translation.dataset_into_folder(Path(source), Path(target), debug=debug)
        elif from_dataset:
            translation.dataset(Path(source), Path(target))
        elif into_folder:
            translation.into_folder(Path(source), Path(target))
        else:
            translation.file(Path(source), Path(target))
    raise typer.Exit(code)


def _ends_as_folder(name: str) -> bool:
    """Whether a name that stands for nothing yet is meant as a folder."""
    return name.endswith(("/", os.sep))


@dataclass(frozen=True)
class Translation:
    """How files are translated.

    Parameters
    ----------
    from_format : str, optional
        Name of the format to read; None where endings tell.
    to_format : Format
    labels : mapping of str to str
        Spellings of emotions beyond the built-in ones.
    quiet : bool
        Whether nothing is said of what the format cannot hold.
    """

    from_format: str | None
    to_format: Format
    labels: Mapping[str, str]
    quiet: bool

    def file(self, source: Path, target: Path) -> None:
        """A file to a file.

        Raises
        ------
        ValueError
            If the file is malformed, or the format cannot hold what is in it.
        OSError
            If a file cannot be read or written.
        """
        self._write(target, self._read(source, source.parent))

    def into_folder(self, source: Path, folder: Path) -> None:
        """A file to a folder, one file for each recording; errors are those of `file`."""
        from sed.formats import one_file_each

        for name, recordings in one_file_each(self._read(source, source.parent), self.to_format):
            self._write(folder / name, recordings)

    def folder(self, source: Path, target: Path, *, debug: bool) -> int:
        """A folder to a folder, one file for each; what fails is said and left out.

        Returns
        -------
        int
            Exit code: 0, or 1 if some files failed.

        Raises
        ------
        ValueError
            If there is no annotation file, or no folder can be where one is to be.
        """
        from sed.formats import find_annotations

        files = find_annotations(source, format=self.from_format)
        if not files:
            raise ValueError(f"{source}: no annotation file in this folder")
        if target.exists() and not target.is_dir():
            raise ValueError(f"{target} is no folder; name one")
        written: dict[Path, Path] = {}
        num_failed = 0
        for file in files:
            try:
                for name, recordings in self._parts(file, source):
                    if name in written:
                        raise ValueError(f"{target / name} holds {written[name]}, and not this too")
                    self._write(target / name, recordings)
                    written[name] = file
            except EXPECTED as error:
                message = describe(error)
                known = message.startswith(str(file))
                report(message if known else f"{file}: {message}", debug=debug)
                num_failed += 1
        if num_failed and not self.quiet and len(files) > 1:
            report(f"{num_failed} of {len(files)} files failed")
        return FAILED if num_failed else 0

    def dataset(self, source: Path, target: Path) -> None:
        """A Parquet dataset to a file, as a stream; errors are those of `file`."""
        from sed.formats import write

        sample: list[AnnotatedRecording] = []

        def recordings() -> Iterator[AnnotatedRecording]:
            nonlocal sample
            for channels in self._of_dataset(source):
                if not sample or (_has_confidence(channels) and not _has_confidence(sample)):
                    sample = channels
                yield from channels

        with naming(target):
            write(target, recordings(), format=self.to_format.name)
        self._say_losses(target, sample)

    def dataset_into_folder(self, source: Path, target: Path, *, debug: bool) -> int:
        """A Parquet dataset to a folder, one file for each recording, as `folder` does it."""
        from sed.formats import one_file_each

        written: set[Path] = set()
        num_failed = 0
        for channels in self._of_dataset(source):
            try:
                for name, recordings in one_file_each(channels, self.to_format):
                    if name in written:
                        raise ValueError(f"{target / name} holds another recording of this name")
                    self._write(target / name, recordings)
                    written.add(name)
            except EXPECTED as error:
                report(describe(error), debug=debug)
                num_failed += 1
        return FAILED if num_failed else 0

    def _of_dataset(self, folder: Path) -> Iterator[list[AnnotatedRecording]]:
        """Channels of each recording of a dataset; how many failed is said at the end."""
        from sed.formats import read_dataset

        num_failed, is_empty = 0, True
        rows = (row for row, _ in read_dataset(folder, labels=self.labels))
        for _, group in groupby(rows, key=lambda row: (row.path, row.uri)):
            channels = [row.recording for row in group if row.error is None]
            if channels:
                is_empty = False
                yield channels
            else:
                num_failed += 1
        if is_empty:
            but = f" but {num_failed} that failed" if num_failed else ""
            raise ValueError(f"{folder}: no recording in it{but}")
        if num_failed:
            noun = "recording" if num_failed == 1 else "recordings"
            report(f"{num_failed} {noun} of {folder} failed: left out")

    def _parts(self, file: Path, folder: Path) -> list[tuple[Path, list[AnnotatedRecording]]]:
        """Files below the target that a file of a folder becomes."""
        from sed.formats import one_file_each

        recordings = self._read(file, folder)
        if self.to_format.single:  # such a file is named after its recording
            return list(one_file_each(recordings, self.to_format))
        name = file.relative_to(folder).with_suffix(self.to_format.suffixes[0])
        return [(name, recordings)]

    def _read(self, file: Path, folder: Path) -> list[AnnotatedRecording]:
        """Recordings of a file, of which there must be one."""
        from sed.formats import read

        recordings = read(file, format=self.from_format, labels=self.labels, below=folder)
        if not recordings:
            raise ValueError(f"{file}: no recording in it")
        return recordings

    def _write(self, path: Path, recordings: list[AnnotatedRecording]) -> None:
        """Write a file, and say what it cannot hold."""
        from sed.formats import write

        with naming(path):
            write(path, recordings, format=self.to_format.name)
        self._say_losses(path, recordings)

    def _say_losses(self, path: Path, recordings: list[AnnotatedRecording]) -> None:
        if not self.quiet:
            for loss in self._losses(path, recordings):
                report(f"{path}: {loss}")

    def _losses(self, path: Path, recordings: list[AnnotatedRecording]) -> list[str]:
        """What is not in a file that was written."""
        from sed.formats import named_after

        losses = []
        if not self.to_format.holds_confidence and _has_confidence(recordings):
            losses.append(f"{self.to_format.name} holds no confidences, which are left out")
        if self.to_format.single:
            [recording] = recordings
            uri, channel = named_after(Path(path.name))
            if channel != recording.channel or not f"/{recording.uri}".endswith(f"/{uri}"):
                losses.append(
                    f"{self.to_format.name} names its recording by its file, so "
                    f"{recording.uri!r}, channel {recording.channel}, is {uri!r}, channel {channel}"
                )
        return losses


def _has_confidence(recordings: list[AnnotatedRecording]) -> bool:
    """Whether any segment knows how sure the system was."""
    from sed.labels import confidence_of

    return any(
        confidence_of(label) is not None
        for recording in recordings
        for _, _, label in recording.annotation.itertracks(yield_label=True)
    )
