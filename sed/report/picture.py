"""A recording as a picture: everything that is known of it in lanes over one time axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from sed.audio import Recording
from sed.colours import colour
from sed.files import whole_file
from sed.report.files import encode, own_style, picture_format, require_matplotlib
from sed.report.lanes import ERRORS
from sed.report.panel import Lane, Panel
from sed.report.text import printable, width_of
from sed.report.timeaxis import clock, marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

WIDTH, LEFT, RIGHT = 12.0, 1.4, 0.4
"""Inches of a picture, and of its margins on both sides of the time axis."""

_GAP, _BETWEEN, _TITLE, _LEGEND, _AXIS, _BOTTOM = 0.07, 0.34, 0.4, 0.25, 0.06, 0.32
_MAX_NAME, _MAX_TITLE, _MAX_PANELS = 16, 80, 64
_LINE, _PAPER, _INK, _FAINT = "#DDDDDD", "#F7F7F7", "#222222", "#666666"
_SCREEN = 100  # dots per inch of a notebook


@dataclass(frozen=True, eq=False)
class Picture:
    r"""Panels above each other on one time axis; shows itself in a notebook.

    ::

        call  0:42
        ■ angry  ■ happy                      legend
        waveform    --|||||||--||||----|||    lanes of a panel: what is known, from the
        posteriors  __/▔▔▔▔\___________/▔▔    signal down to the decision, and beneath
        speech        =======  ====    ===    it what it is compared with
        emotions      | happy |       |sad
        EDER 9.1 %            ▪               errors of the hypothesis above
        reference     | happy  |      |sad
                   0:00    0:10    0:20

    Parameters
    ----------
    panels : sequence of Panel
        One for each channel.
    title : str, optional
    start, end : float, optional
        Seconds that are seen; all by default.

    Raises
    ------
    ValueError
        If there is nothing to draw between `start` and `end`.
    """

    panels: Sequence[Panel]
    title: str = ""
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        """Refuse an empty stretch of time."""
        known = self._known
        if known <= 0.0:
            raise ValueError(
                f"nothing to draw of {self.title or 'this recording'}: no segment, and no audio "
                "or duration that says how long it is"
            )
        if not 0.0 <= self.start < known:  # false for NaN too
            raise ValueError(
                f"a picture cannot begin at {self.start:g} s; the recording has {known:g} s"
            )
        if not self.start < self._end < math.inf:
            raise ValueError(
                f"a picture from {self.start:g} s to {self._end:g} s has no extent; let it end "
                "later than it begins"
            )
        if len(self.panels) > _MAX_PANELS:
            raise ValueError(
                f"{len(self.panels)} channels do not fit into a picture; draw {_MAX_PANELS} at most"
            )

    @property
    def _end(self) -> float:
        return self._known if self.end is None else self.end

    @property
    def _known(self) -> float:
        """Second after which nothing is known."""
        return max((panel.end for panel in self.panels), default=0.0)

    def figure(self) -> Figure:
        """Figure of matplotlib, drawn without any window system.

        Raises
        ------
        ValueError
            If matplotlib is not installed, or a part cannot be drawn.
        OSError
            If the recording cannot be read.
        """
        require_matplotlib()
        with own_style():
            return self._draw()

    def save(self, path: str | Path) -> None:
        """Write a PNG, SVG or PDF file, whole or not at all, the same bytes in every run.

        Parameters
        ----------
        path : str or Path
            Its ending names the format.

        Raises
        ------
        ValueError
            If there is no such format, matplotlib is not installed, or a part cannot be drawn.
        OSError
            If the recording cannot be read or the file not written.
        """
        content = self.encode(picture_format(path))
        with whole_file(path) as stream:
            stream.buffer.write(content)

    def encode(self, format: str) -> bytes:
        """Content of a PNG, SVG or PDF file; raises as `save` does."""
        return encode(self.figure(), format)

    def _repr_png_(self) -> bytes:
        """Picture for a notebook."""
        return encode(self.figure(), "png", dpi=_SCREEN)

    def _repr_svg_(self) -> str:
        """Picture for a notebook, text as text."""
        return self.encode("svg").decode()

    def _draw(self) -> Figure:
        from matplotlib.figure import Figure

        view = Segment(self.start, self._end)
        with_rates = self.start == 0.0 and self.end is None
        panels = [list(panel.lanes(with_rates=with_rates)) for panel in self.panels]
        legends = self._legends()
        height = _TITLE + len(legends) * _LEGEND + _AXIS + _BOTTOM
        height += sum(lane.height + _GAP for lanes in panels for lane in lanes)
        titles = [panel.title for panel in self.panels]
        height += sum(_BETWEEN for title in titles if title)
        figure = Figure(figsize=(WIDTH, height), facecolor="white")

        def write(x: float, y: float, text: str, **options: Any) -> None:
            figure.text(x / WIDTH, 1 - y / height, text, color=_INK, **options)

        left = LEFT / WIDTH
        write(LEFT, 0.25, printable(self.title, _MAX_TITLE), fontsize=12, fontweight="bold")
        known = self._known
        write(WIDTH - RIGHT, 0.25, clock(known, fine=known < 10), ha="right", fontsize=10)
        y = _TITLE
        for handles in legends:
            figure.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=(left, 1 - y / height),
                ncols=len(handles),
                frameon=False,
                borderpad=0,
                borderaxespad=0,
                handlelength=1.1,
                handletextpad=0.5,
                columnspacing=1.6,
            )
            y += _LEGEND
        y += _AXIS
        for title, lanes in zip(titles, panels, strict=True):
            if title:
                write(LEFT, y + 0.2, printable(title, _MAX_TITLE), fontsize=10)
                y += _BETWEEN
            for lane in lanes:
                width = 1 - (LEFT + RIGHT) / WIDTH
                box = (left, 1 - (y + lane.height) / height, width, lane.height / height)
                axes = figure.add_axes(box)
                _draw_lane(axes, lane, view)
                y += lane.height + _GAP
        _mark_times(axes, view)
        return figure

    def _legends(self) -> list[list[Patch]]:
        """Rows of the legend: the emotions, then the errors."""
        from matplotlib.patches import Patch

        rows: list[list[Patch]] = []
        room = 0.0
        for name in sorted({name for panel in self.panels for name in panel.emotions()}):
            label = printable(name, 30)
            width = width_of(label) + 0.45
            if width > room:
                rows.append([])
                room = WIDTH - LEFT - RIGHT
            rows[-1].append(Patch(color=colour(name), label=label))
            room -= width
        if any(panel.reference is not None for panel in self.panels):
            style: dict[str, Any] = {"edgecolor": "white", "linewidth": 0}
            rows.append(
                [
                    Patch(facecolor=fill, hatch=hatch, label=part.replace("_", " "), **style)
                    for part, (fill, hatch) in ERRORS.items()
                ]
            )
        return rows


def plot(
    annotation: Annotation,
    *,
    posteriors: SlidingWindowFeature | None = None,
    recording: Recording | str | Path | None = None,
    reference: Annotation | None = None,
    speech: Timeline | None = None,
    other: Annotation | None = None,
) -> Picture:
    """Picture of one recording, which a notebook shows and `Picture.save` writes.

    Parameters
    ----------
    annotation : Annotation
    posteriors : (num_frames, num_classes) SlidingWindowFeature, optional
        As a hook of `sed.pipeline.Pipeline` is told them.
    recording : Recording or path, optional
        Its waveform, the mix of all channels of a file.
    reference : Annotation, optional
        Drawn beneath, with the errors of the annotation.
    speech : Timeline, optional
    other : Annotation, optional
        What another system has found.

    Raises
    ------
    ValueError
        If there is nothing to draw, or it has no place in time.
    OSError
        If the recording cannot be read.

    Examples
    --------
    >>> found = Annotation(uri="call")
    >>> found[Segment(1, 3)] = "happy"
    >>> picture = plot(found)
    >>> "happy" in picture._repr_svg_()
    True

    With the posteriors, from one run of the pipeline:

    >>> from sed import Pipeline
    >>> heard = {}
    >>> def keep(step, artifact, **progress):
    ...     heard[step] = artifact
    >>> found = Pipeline.from_pretrained("timnet-mfcc")("examples/call.wav", hook=keep)
    >>> picture = plot(found, posteriors=heard["emotions"], speech=heard["speech"],
    ...                recording="examples/call.wav")
    """
    if isinstance(recording, str | Path):
        recording = Recording.open(recording)
    panel = Panel(
        annotation=annotation,
        recording=recording,
        posteriors=posteriors,
        speech=speech,
        reference=reference,
        other=other,
    )
    uri = annotation.uri or (recording.uri if recording is not None else "")
    return Picture([panel], title=str(uri))


def _draw_lane(axes: Axes, lane: Lane, view: Segment) -> None:
    """One lane on thin lines of time, its name beside it."""
    axes.set(xlim=(view.start, view.end), ylim=(0, 1), xticks=[], yticks=[], facecolor=_PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for time, _ in marks(view.start, view.end):
        axes.axvline(time, color=_LINE, linewidth=0.6, zorder=0.5)
    lane.draw(axes, lane.content, view)
    axes.set_xlim(view.start, view.end)
    axes.text(
        -0.008,
        0.5,
        printable(lane.name, _MAX_NAME),
        transform=axes.transAxes,
        ha="right",
        va="center",
        color=_FAINT,
    )


def _mark_times(axes: Axes, view: Segment) -> None:
    """Times beneath the last lane."""
    times, names = zip(*marks(view.start, view.end), strict=True)
    axes.set_xticks(times, names)
    axes.tick_params(axis="x", length=3, width=0.6, color=_FAINT, labelcolor=_INK)
