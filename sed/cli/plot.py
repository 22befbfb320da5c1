"""`sed plot`: annotation files as pictures, with their errors where there is a reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sed.cli.errors import naming, one_line_errors

if TYPE_CHECKING:
    from pyannote.core import Annotation

    from sed.audio import Recording
    from sed.formats import AnnotatedRecording

EPILOG = """
Exit status: 0 all well, 2 wrong input.

Examples:

  sed plot call.rttm --audio call.wav --out call.png

  sed plot new.json --ref zed/ZED.json --uri 5a --out errors.svg

  sed plot new.rttm --other old.rttm --ref call.json --start 60 --end 90 --out minute.pdf

  sed plot new.rttm --other old.rttm --ref call.json --audio call.wav --out compare.html
"""


def plot(
    hypothesis: Annotated[
        Path,
        typer.Argument(
            metavar="HYP", help="Emotions of a recording, in any format.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Picture to write: .png, .svg, .pdf; or .html, a page."),
    ],
    audio: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The recording, for its waveform.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--ref", metavar="FILE", help="Reference: what is wrong gets a colour."),
    ] = None,
    other: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Emotions that another system has found.")
    ] = None,
    uri: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which recording, where a file holds several."),
    ] = None,
    start: Annotated[
        float, typer.Option(metavar="SECONDS", help="Where the picture begins.")
    ] = 0.0,
    end: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Where it ends.", show_default="the end")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPELLING=EMOTION",
            help="Further spelling of an emotion, such as joie=happy; several with commas, or the "
            "option again.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Draw the emotions of a recording over time.

    Channels of one recording stand above each other. With --ref a strip beneath the emotions shows
    false alarms, missed emotions, confusions and overlaps, as sed score counts them.
    """
    with one_line_errors(debug=debug):
        from sed.labels import parse_mapping
        from sed.report import PageWriter, Panel, Picture
        from sed.report.files import picture_format, require_matplotlib

        is_page = out.suffix.lower() == ".html"
        if is_page and audio is None:
            raise ValueError(f"{out} is a page with a player; add --audio FILE")
        if not is_page:
            picture_format(out)
            require_matplotlib()
        mapping = parse_mapping(pair for given in labels or () for pair in given.split(","))
        name, found = _channels(hypothesis, uri, mapping)
        said = None if reference is None else _partner(reference, name, mapping)
        rival = None if other is None else _partner(other, name, mapping)
        sides = [side for side in (found, said, rival) if side is not None]
        if max(map(len, sides)) == 1:  # whatever their numbers, they are the same channel
            [number] = found
            for side in sides:
                side[number] = side.popitem()[1]
        numbers = sorted({number for side in sides for number in side})
        panels = []
        for number in numbers:
            several = len(numbers) > 1
            # a hypothesis never says how long a recording is where its errors are counted
            says_duration = (found if said is None else said).get(number)
            panels.append(
                Panel(
                    annotation=_emotions(found, number),
                    reference=None if said is None else _emotions(said, number),
                    other=None if rival is None else _emotions(rival, number),
                    names=("emotions", "other") if other is None else _names(hypothesis, other),
                    recording=None if audio is None else _heard(audio, number, several=several),
                    duration=None if says_duration is None else says_duration.duration,
                    title=f"channel {number}" if several else "",
                )
            )
        with naming(out):
            if is_page:
                with PageWriter(out, title=name) as page:
                    for panel in panels:
                        page.add(panel, audio=audio)
            else:
                Picture(panels, title=name, start=start, end=end).save(out)


def _channels(
    path: Path, uri: str | None, labels: Mapping[str, str]
) -> tuple[str, dict[int, AnnotatedRecording]]:
    """Uri of a recording of a file or folder, and its channels by their numbers.

    Raises
    ------
    ValueError
        If there is no such recording, or several and none is chosen.
    """
    from sed.labels import spelling_in_rttm

    recordings = _read(path, labels)
    uris = sorted({name for name, _ in recordings})
    listed = ", ".join(uris[:5]) + (", …" if len(uris) > 5 else "")
    if uri is None and len(uris) > 1:
        raise ValueError(f"{path} holds {len(uris)} recordings; choose one with --uri: {listed}")
    chosen = uris[0] if uri is None else spelling_in_rttm(uri)
    if chosen not in uris:
        raise ValueError(f"{path} holds no recording {chosen!r}; it holds {listed}")
    return chosen, {number: found for (name, number), found in recordings.items() if name == chosen}


def _partner(path: Path, uri: str, labels: Mapping[str, str]) -> dict[int, AnnotatedRecording]:
    """Channels of the same recording in another file.

    Where that holds one recording, named only as the file itself is, that is the one meant.
    """
    from sed.labels import spelling_in_rttm

    names = {name for name, _ in _read(path, labels)}
    alone = names == {spelling_in_rttm(path.stem)}
    return _channels(path, None if alone else uri, labels)[1]


def _read(path: Path, labels: Mapping[str, str]) -> Mapping[tuple[str, int], AnnotatedRecording]:
    """Recordings of a file or folder by uri and channel."""
    from pyannote.core import Annotation

    from sed.formats import AnnotatedRecording, read
    from sed.labels import spelling_in_rttm
    from sed.scoring import read_side

    is_rttm = path.is_file() and path.suffix.lower() == ".rttm"
    if is_rttm and not read(path, labels=labels):  # what one without emotions looks like
        nothing = AnnotatedRecording(Annotation(uri=path.stem))
        return {(spelling_in_rttm(path.stem), 1): nothing}
    return read_side(path, labels=labels).recordings


def _emotions(side: Mapping[int, AnnotatedRecording], number: int) -> Annotation:
    """Emotions of a channel, none where a file has no word of it."""
    from pyannote.core import Annotation

    return side[number].annotation if number in side else Annotation()


def _heard(audio: Path, number: int, *, several: bool) -> Recording:
    """Channel of the audio; the mix, which formats call channel 1 too, where there is only one."""
    from sed.audio import Recording

    return Recording.open(audio, channel=number if several or number > 1 else None)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Shortest names that tell two files apart."""
    if first.stem != second.stem:
        return first.stem, second.stem
    return (first.name, second.name) if first.name != second.name else (str(first), str(second))
