"""A recording that several workers share has the result of one worker, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from archives import left_in, rows_of, run, voice
from pyannote.core import Timeline
from tiny_encoders import LARGE
from tiny_model import tiny_model

from sed.archive.items import Item
from sed.archive.run import Work
from sed.archive.schedule import Limits
from sed.archive.splitting import compute, join, prepare
from sed.archive.tasks import Stretch
from sed.audio import Recording
from sed.decoding import Decoding
from sed.formats import SETTINGS_FILE
from sed.inference import Inference
from sed.model import EmotionModel
from sed.pipeline import Pipeline
from sed.segmentation import Segmentation
from sed.vad import Energy
from sed.windows import margin


def encoder_model() -> EmotionModel:
    """An encoder, whose windows fade into each other."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EmotionModel(
            classes=["neutral", "happy", "sad"],
            frontend={"name": "wavlm", "config": LARGE},
            head={"name": "linear"},
            window=2.0,
        ).eval()
    with torch.no_grad():
        model.head.classify.weight.mul_(20.0)
    return model


def pipeline_of(model: EmotionModel) -> Pipeline:
    specifications = model.specifications
    return Pipeline(
        Inference(model),
        Segmentation(specifications.window, margin=margin(specifications)),
        vad=Energy(),
        decoding=Decoding(switch_penalty=0.0, min_duration_on=0.1),
    )


@pytest.mark.parametrize("make", [lambda: tiny_model(window=1.5), encoder_model])
@pytest.mark.parametrize("num_parts", [1, 3, 100])
def test_the_parts_of_a_recording_are_the_whole(make, num_parts: int, tmp_path: Path) -> None:
    pipeline = pipeline_of(make())
    stereo = np.stack([voice(20.0, 1), np.zeros(320_000, np.float32)])
    sides = Recording.from_samples(stereo, 16_000, uri="call").split()
    stages: list[object] = []
    expected = [
        pipeline(side, hook=lambda step, artifact, **_: stages.append(artifact)) for side in sides
    ]
    speech = next(stage for stage in stages if isinstance(stage, Timeline))
    counts = prepare(pipeline, sides, tmp_path)
    assert counts[0] > 8 and counts[1] == 0  # silence
    cuts = sorted({round(counts[0] * part / num_parts) for part in range(num_parts + 1)})
    stretches = [
        Stretch(Item("call.wav", "call"), 0, first, end)
        for first, end in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    for stretch in reversed(stretches):
        compute(pipeline, stretch, tmp_path)
    rows = join(pipeline, Item("call.wav", "call"), stretches, tmp_path)
    assert [row.channel for row in rows] == [1, 2]
    for row, side, annotation in zip(rows, sides, expected, strict=True):
        assert row.duration == side.duration
        assert row.annotation == annotation
        ours = [label.confidence for _, _, label in row.annotation.itertracks(yield_label=True)]
        theirs = [label.confidence for _, _, label in annotation.itertracks(yield_label=True)]
        assert ours == theirs
    assert len(expected[0]) > 5
    assert rows[0].speech == speech.duration()


def test_workers_share_a_recording_with_the_same_rows(tmp_path: Path, work: Work) -> None:
    """Two long ones of several channels and one that is cut short among short ones."""
    calls = tmp_path / "calls"
    calls.mkdir()
    for index in range(2):
        stereo = np.stack([voice(20.0, index), voice(20.0, 10 + index)], axis=1)
        soundfile.write(calls / f"long {index}.wav", stereo, 16_000)
        soundfile.write(calls / f"short {index}.wav", voice(2.0, index), 16_000)
    soundfile.write(calls / "cut.flac", voice(15.0, 3), 16_000)
    whole = (calls / "cut.flac").read_bytes()
    (calls / "cut.flac").write_bytes(whole[: len(whole) // 2])
    work = Work(work.model, vad=work.vad, channel="split")
    lines: list[str] = []
    summary = run([calls], tmp_path / "shared", work, jobs=2, limits=Limits(split=5.0), lines=lines)
    run([calls], tmp_path / "alone", work)
    assert (summary.num_done, summary.num_failed) == (5, 1)
    assert len(lines) == 1 and lines[0].startswith(str(calls / "cut.flac"))
    assert rows_of(tmp_path / "shared") == rows_of(tmp_path / "alone")
    assert len(rows_of(tmp_path / "alone")) == 7
    assert left_in(tmp_path / "shared") == {SETTINGS_FILE}
