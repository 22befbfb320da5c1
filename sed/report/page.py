"""A page that needs nothing but itself: player, timeline, probabilities and a table of segments."""

from __future__ import annotations

import base64
import html
import json
import math
import os
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote

import numpy as np
from pyannote.core import Annotation, SlidingWindowFeature

from sed.audio import Recording
from sed.colours import colour
from sed.files import whole_file
from sed.frames import to_seconds
from sed.labels import confidence_of
from sed.report.columns import column_means, envelope
from sed.report.lanes import ERRORS, emotion_name
from sed.report.panel import Panel
from sed.report.sound import CONTAINER, MAX_BIT_RATE, MIN_BIT_RATE, write_webm
from sed.scoring.atoms import PARTS
from sed.scoring.regions import regions

MAX_SOUND = 12 << 20
"""Bytes of sound that a page holds at most."""

NUM_COLUMNS, PER_SECOND = 200_000, 100
"""Columns of waveform and probabilities, in all and in a second, at most."""

_UNKNOWN = 255


class PageWriter:
    """Sink for recordings that makes one page of them, whole or not at all.

    The page is written as recordings come. It holds their sound as long as there is room; what is
    longer is played from where it lies, if the page can find it there.

    Parameters
    ----------
    path : str or Path
    title : str, optional
        The file's name by default.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> from pyannote.core import Segment
    >>> tone = Recording.from_samples(np.sin(np.arange(16_000) / 5), 16_000, uri="tone")
    >>> annotation = Annotation(uri="tone")
    >>> annotation[Segment(0.2, 0.7)] = "happy"
    >>> path = Path(tempfile.mkdtemp()) / "tone.html"
    >>> with PageWriter(path) as page:
    ...     page.add(Panel(annotation=annotation, recording=tone))
    >>> "wavesurfer" in path.read_text()
    True
    """

    def __init__(self, path: str | Path, *, title: str | None = None) -> None:
        self.path = Path(path)
        self._title = self.path.stem if title is None else title
        self._file = whole_file(path)
        self._stream: TextIO | None = None
        self._room = MAX_SOUND

    def __enter__(self) -> PageWriter:
        """Open the temporary file."""
        self._stream = self._file.__enter__()
        self._stream.write(_part("head").replace("{title}", html.escape(self._title)))
        return self

    def add(self, panel: Panel, *, audio: Path | None = None) -> None:
        """Write one recording.

        Parameters
        ----------
        panel : Panel
            With its recording.
        audio : Path, optional
            Where its sound lies, for a page without room for it.

        Raises
        ------
        OSError, ValueError
            If the recording cannot be read, or there is none.
        """
        if self._stream is None:
            raise ValueError("a PageWriter is used in a `with` block")
        if panel.recording is None:
            raise ValueError(f"a page of {panel.annotation.uri} needs its recording")
        facts = page_data(panel)
        bit_rate = self._bit_rate(panel.recording)
        if bit_rate is None and audio is not None:
            facts |= {"audio": _relative(audio, self.path), "source": audio.name}
        self._element("recording", "application/json", iter([_safe_json(facts)]))
        if bit_rate is not None:
            with tempfile.TemporaryFile() as sound:
                write_webm(panel.recording, sound, bit_rate=bit_rate)
                self._room -= sound.tell()
                sound.seek(0)
                self._element("sound", "text/plain", _base64_of(sound))

    def _bit_rate(self, recording: Recording) -> int | None:
        """Bits per second for which there is room; None without."""
        rate = min(MAX_BIT_RATE, int(8 * self._room / recording.duration) - CONTAINER)
        return rate if rate >= MIN_BIT_RATE else None

    def _element(self, name: str, kind: str, content: Iterator[str]) -> None:
        """Write a script element that holds data."""
        assert self._stream is not None
        self._stream.write(f'<script class="{name}" type="{kind}">')
        for piece in content:
            self._stream.write(piece)
        self._stream.write("</script>\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the page into place, unless the run broke off."""
        if kind is None and self._stream is not None:
            self._stream.write(_part("tail"))
        self._file.__exit__(kind, error, traceback)


def page_data(panel: Panel) -> dict[str, Any]:
    """What the viewer of a page draws; everything can be written as JSON.

    Parameters
    ----------
    panel : Panel
        With its recording.

    Raises
    ------
    OSError, ValueError
        If the recording cannot be read.
    """
    recording = panel.recording
    assert recording is not None
    num_columns = min(NUM_COLUMNS, math.ceil(PER_SECOND * recording.duration))
    classes = [] if panel.posteriors is None else list(map(emotion_name, panel.posteriors.labels))
    tracks = list(_tracks(panel))
    labels = {label for track in tracks for _, _, label, _ in track["segments"]}
    colours = {name: colour(name) for name in (*classes, *labels)}
    colours |= {_words(part): shade for part, (shade, _) in ERRORS.items()}
    facts: dict[str, Any] = {
        "uri": recording.uri,
        "channel": recording.channel or 1,
        "channels": recording.num_channels if recording.channel else 1,
        "duration": recording.duration,
        "classes": classes,
        "colours": colours,
        "tracks": tracks,
        "peaks": _peaks(recording, num_columns),
    }
    if panel.speech is not None:
        facts["speech"] = panel.speech.duration()
    if panel.posteriors is not None:
        facts["posteriors"] = _probabilities(panel.posteriors, num_columns)
    return facts


def _tracks(panel: Panel) -> Iterator[dict[str, Any]]:
    """Segments of each system, its errors, and those of the reference."""
    for name, annotation in zip(panel.names, (panel.annotation, panel.other), strict=True):
        if annotation is None:
            continue
        yield _track(name.capitalize(), annotation)
        if panel.reference is not None:
            yield {"name": f"Errors of {name}", "segments": list(_errors(panel, annotation))}
    if panel.reference is not None:
        yield _track("Reference", panel.reference)


def _errors(panel: Panel, annotation: Annotation) -> Iterator[tuple[float, float, str, None]]:
    """Stretches in which an annotation differs from the reference."""
    found = regions(panel.atoms(annotation))
    for onset, ticks, part in zip(found.onset, found.ticks, found.part, strict=True):
        if PARTS[part] in ERRORS:
            yield to_seconds(onset), to_seconds(onset + ticks), _words(PARTS[part]), None


def _words(part: str) -> str:
    return part.replace("_", " ")


def _track(name: str, annotation: Annotation) -> dict[str, Any]:
    """Segments of an annotation."""
    segments = [
        (round(segment.start, 6), round(segment.end, 6), emotion_name(label), confidence_of(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    return {"name": name, "segments": segments}


def _peaks(recording: Recording, num_columns: int) -> dict[str, str]:
    """Waveform in bytes, as loud as there is room for, 128 being silence."""
    _, low, high = envelope(recording, num_columns=num_columns)
    largest = max(float(np.abs(low).max()), float(np.abs(high).max()), 0.01)
    return {
        name: _base64((128 + 120 * values / largest).round().astype(np.uint8).tobytes())
        for name, values in (("low", low), ("high", high))
    }


def _probabilities(posteriors: SlidingWindowFeature, num_columns: int) -> dict[str, Any]:
    """Posteriors in bytes, from 0 to 254."""
    edges, means = column_means(posteriors, num_columns=num_columns)
    values = np.nan_to_num(254 * means, nan=_UNKNOWN).round().astype(np.uint8)
    hop = float(edges[-1] - edges[0]) / max(1, len(means)) if len(means) else math.inf
    return {"hop": hop, "num_frames": len(means), "values": _base64(values.tobytes())}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _base64_of(stream: Any) -> Iterator[str]:
    """A file in letters, piece by piece."""
    while piece := stream.read(3 << 18):
        yield _base64(piece)


def _safe_json(facts: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _relative(audio: Path, page: Path) -> str:
    """Address of a file as seen from a page."""
    place = os.path.relpath(audio.resolve(), page.resolve().parent)
    return quote(Path(place).as_posix())


def _part(name: str) -> str:
    """What stands before or after the recordings, with its style and scripts in it."""
    folder = resources.files("sed.report") / "web"

    def text(file: str) -> str:
        return (folder / file).read_text(encoding="utf-8")

    page = text("page.html")
    before, _, after = page.partition("<!-- recordings -->\n")
    if name == "head":
        return before.replace("/* style */", text("viewer.css"))
    scripts = (text("wavesurfer.min.js"), text("viewer.js"), text("page.js"))
    return after.replace("/* scripts */", "\n".join(scripts).replace("</script", "<\\/script"))
