"""A long recording in three steps, of which many workers share the second.

::

    prepare    speech ── windows ── the samples of speech, packed          one worker
    compute      [-- windows 0…9 --][-- 10…19 --][-- 20…29 --]             as many as there are
    join       posteriors ── decoding ── rows                              one worker

The windows are those of the whole recording, so the result is that of one worker to the last bit
(on a GPU, where windows share batches, to rounding), also where neighbouring windows fade into each
other. Between the steps everything is in a folder that all workers share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from pyannote.core import Segment, Timeline

from sed.archive.dataset import Row
from sed.archive.items import Item
from sed.archive.tasks import Stretch
from sed.audio import Recording
from sed.inference import BLOCK
from sed.pipeline import Pipeline
from sed.windows import Layout, Window

_FIELDS = 6  # of a window


def prepare(pipeline: Pipeline, sides: Sequence[Recording], folder: Path) -> tuple[int, ...]:
    """Find speech and windows of a recording, and keep what the network is to hear.

    Parameters
    ----------
    pipeline : Pipeline
    sides : sequence of Recording
        Its channels.
    folder : Path
        Where that is kept.

    Returns
    -------
    tuple of int
        Number of windows of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = []
    for number, side in enumerate(sides):
        for stage in pipeline.front_end:
            side = stage(side)
        speech = pipeline.binarize(pipeline.vad(side), side.duration)
        layout = pipeline.inference.layout(side, speech, pipeline.segmentation(speech))
        with (folder / f"{number}.f32").open("wb") as stream:
            for block in pipeline.inference.packed(side, layout):
                stream.write(block.tobytes())
        np.savez(
            folder / f"{number}.npz",
            heard=layout.heard,
            windows=np.array([astuple(w) for w in layout.windows]).reshape(-1, _FIELDS),
            offsets=np.array(layout.offsets),
            speech=np.array([(s.start, s.end) for s in speech]).reshape(-1, 2),
            duration=side.duration,
            channel=side.channel or 1,
        )
        counts.append(len(layout.windows))
    return tuple(counts)


def compute(pipeline: Pipeline, stretch: Stretch, folder: Path) -> None:
    """Keep the posteriors of some windows."""
    windows = _layout(_load(folder, stretch.side)).windows[stretch.first : stretch.end]
    blocks = _samples(pipeline, folder / f"{stretch.side}.f32", windows)
    sums = pipeline.inference.sums(windows, blocks, origin=windows[0].start)
    np.save(_sums_file(stretch, folder), sums)


def join(pipeline: Pipeline, item: Item, stretches: Sequence[Stretch], folder: Path) -> list[Row]:
    """Rows of a recording, one for each channel.

    Parameters
    ----------
    pipeline : Pipeline
    item : Item
    stretches : sequence of Stretch
        All that there are, in any order.
    folder : Path
    """
    rows = []
    for number in range(len(list(folder.glob("*.npz")))):
        found = _load(folder, number)
        layout, duration = _layout(found), float(found["duration"])
        windows = layout.windows
        num_frames = windows[-1].counted.stop - windows[0].counted.start if windows else 0
        num_classes = len(pipeline.inference.model.specifications.classes)
        sums = np.zeros((num_frames, num_classes), dtype=np.float32)
        for stretch in stretches:
            if stretch.side == number:
                part = np.load(_sums_file(stretch, folder))
                begin = windows[stretch.first].counted.start - windows[0].counted.start
                sums[begin : begin + len(part)] += part
        speech = Timeline([Segment(start, end) for start, end in found["speech"].tolist()])
        posteriors = pipeline.inference.posteriors(layout, sums)
        annotation = pipeline.decoding(posteriors, speech, duration)
        annotation.uri = item.uri
        channel = int(found["channel"])
        seconds = float(speech.duration())
        rows.append(Row(item.path, item.uri, channel, duration, seconds, annotation, None))
    return rows


def _load(folder: Path, side: int) -> dict[str, Any]:
    with np.load(folder / f"{side}.npz") as arrays:
        return dict(arrays)


def _layout(found: dict[str, Any]) -> Layout:
    windows = tuple(Window(*row) for row in found["windows"].tolist())
    return Layout(found["heard"], windows, tuple(found["offsets"].tolist()))


def _samples(pipeline: Pipeline, path: Path, windows: Sequence[Window]) -> Iterator[np.ndarray]:
    """What windows hear, block by block."""
    grid = pipeline.inference.model.specifications.grid
    samples = np.memmap(path, np.float32, mode="r")
    size = grid.frame(BLOCK) * grid.hop
    for start in range(windows[0].start * grid.hop, windows[-1].stop * grid.hop, size):
        yield np.array(samples[start : min(start + size, windows[-1].stop * grid.hop)])


def _sums_file(stretch: Stretch, folder: Path) -> Path:
    return folder / f"{stretch.side}-{stretch.first}-{stretch.end}.npy"
