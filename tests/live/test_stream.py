"""A stream: what a file gives, whatever its blocks, no later than promised."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyannote.core import Annotation
from tiny_encoders import LARGE, stir
from tiny_model import tiny_model

import sed
from sed.audio import Recording
from sed.decoding import Decoding
from sed.encoders import Encoder
from sed.inference import Inference
from sed.live import Live, Update
from sed.model import EmotionModel
from sed.pipeline import Pipeline
from sed.segmentation import Segmentation
from sed.vad import Energy, Everything, Silero

CALL = Path(sed.__file__).parents[1] / "examples" / "call.wav"
DECODING = Decoding(switch_penalty=1.0, min_duration_on=0.4, min_duration_off=0.3)


def of_model(model: EmotionModel, **stages: Any) -> Pipeline:
    segmentation = Segmentation(model.specifications.window)
    stages = {"vad": Silero(), "decoding": DECODING} | stages
    return Pipeline(Inference(model), segmentation, **stages)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return of_model(tiny_model())


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    """Sixteen seconds of a call: two people, with pauses."""
    return Recording.open(CALL, channel=1).samples(16_000)[: 16 * 16_000]


def heard(live: Live, blocks: Iterable[np.ndarray]) -> list[Update]:
    updates = [update for block in blocks for update in live.push(block)]
    return updates + list(live.close())


def cut(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Blocks of these sizes, again and again."""
    bounds = [0]
    while bounds[-1] < len(samples):
        bounds.append(bounds[-1] + sizes[len(bounds) % len(sizes)])
    return [samples[start:end] for start, end in pairwise(bounds)]


Rows = list[tuple[float, float, str]]


def rows(annotations: Iterable[Annotation]) -> Rows:
    return [
        (round(segment.start, 6), round(segment.end, 6), str(label))
        for annotation in annotations
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]


def segments(updates: Iterable[Update]) -> Rows:
    return rows(update.segments for update in updates)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vad": Everything()},
        {
            "decoding": Decoding(
                path="argmax", smoothing="median", min_duration_on=0.1, threshold=0.4
            )
        },
        {"decoding": Decoding(smoothing="mean", min_duration_on=0.2, with_neutral=True)},
    ],
)
def test_with_all_the_time_of_the_world_it_is_what_the_file_gives(
    call: np.ndarray, changes: dict[str, Any]
) -> None:
    """In steps of 28.8 s, so the call is repeated."""
    pipeline = of_model(tiny_model(), **changes)
    samples = np.tile(call, 4)
    annotation = pipeline(Recording.from_samples(samples, 16_000))
    updates = heard(Live(pipeline, 16_000, latency=math.inf), cut(samples, [5_000]))
    assert len(updates) == 3
    assert 0.0 < updates[1].settled < updates[1].now == 57.6
    found, expected = segments(updates), sorted(rows([annotation]))
    assert len(expected) > 5 and found == expected
    confidences = [
        label.confidence
        for each in (*(update.segments for update in updates), annotation)
        for _, _, label in sorted(each.itertracks(yield_label=True))
    ]
    np.testing.assert_allclose(
        confidences[: len(found)], confidences[len(found) :], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_other_sample_rates_are_those_of_a_file(
    pipeline: Pipeline, call: np.ndarray, sample_rate: int
) -> None:
    other = Recording.from_samples(call, 16_000).samples(sample_rate)
    annotation = pipeline(Recording.from_samples(other, sample_rate))
    live = Live(pipeline, sample_rate, latency=math.inf)
    assert segments(heard(live, cut(other, [700]))) == sorted(rows([annotation]))


@pytest.mark.parametrize("latency", [0.5, 2.0])
def test_blocks_make_no_difference(pipeline: Pipeline, call: np.ndarray, latency: float) -> None:
    """From one sample to ten seconds; integers as floats."""
    whole = heard(Live(pipeline, 16_000, latency=latency), [call])
    pieces = cut(call, [1, 160_000, 319, 2_560, 7, 10_000])
    torn = heard(Live(pipeline, 16_000, latency=latency), pieces)
    assert len(segments(whole)) > 2
    assert segments(torn) == segments(whole)
    assert [update.settled for update in torn] == [update.settled for update in whole]
    for one, other in zip(torn, whole, strict=True):
        np.testing.assert_array_equal(one.posteriors.data, other.posteriors.data)
    singly = heard(Live(pipeline, 16_000, latency=latency), cut(call[:8_000], [1]))
    assert [update.now for update in singly] == [
        update.now for update in heard(Live(pipeline, 16_000, latency=latency), [call[:8_000]])
    ]


@pytest.mark.parametrize("latency", [0.5, 1.0, 2.0, 5.0])
def test_segments_come_no_later_than_promised(
    pipeline: Pipeline, call: np.ndarray, latency: float
) -> None:
    updates = heard(Live(pipeline, 16_000, latency=latency), cut(call, [800]))
    ends = [(update.now, end) for update in updates for _, end, _ in rows([update.segments])]
    assert len(ends) > 2
    assert max(now - end for now, end in ends) <= latency
    assert max(update.now - update.settled for update in updates[1:]) <= latency


def test_what_has_settled_stays(pipeline: Pipeline, call: np.ndarray) -> None:
    """Frames come once, in order; what is open later ends as a segment or is too short for one."""
    updates = heard(Live(pipeline, 16_000, latency=1.0), cut(call, [3_000]))
    num_frames = 0
    for update in updates:
        assert update.posteriors.sliding_window.start == pytest.approx(num_frames * 0.02)
        assert len(update.speech) == len(update.posteriors.data)
        np.testing.assert_allclose(update.posteriors.data.sum(axis=1), 1.0, atol=1e-5)
        assert (update.posteriors.data[~update.speech, 0] == 1.0).all()
        num_frames += len(update.speech)
    assert num_frames == 16 * 50 and updates[-1].settled == 16.0
    onsets = {start for start, _, _ in segments(updates)}
    opened = [start for update in updates for start, _, _ in rows([update.open])]
    assert onsets <= set(opened) and len(onsets) > 2


def test_with_neutral_no_hole_is_left(call: np.ndarray) -> None:
    decoding = Decoding(switch_penalty=1.0, min_duration_on=0.4, with_neutral=True)
    found = segments(
        heard(Live(of_model(tiny_model(), decoding=decoding), 16_000), cut(call, [4_000]))
    )
    assert found[0][0] == 0.0 and found[-1][1] == 16.0
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_memory_does_not_grow(pipeline: Pipeline, call: np.ndarray) -> None:
    def size(live: Live) -> int:
        parts = [live, live._speech, live._emotions, live._path, *live._inputs]
        values = [value for part in parts for value in vars(part).values()]
        values += [each for value in values if isinstance(value, list) for each in value]
        return sum(value.nbytes for value in values if isinstance(value, np.ndarray))

    for latency, most in ((2.0, 1_000_000), (math.inf, 5_000_000)):  # of 12 MB that come
        live = Live(pipeline, 16_000, latency=latency)
        sizes = []
        for _ in range(12):
            for _ in live.push(call):
                pass
            sizes.append(size(live))
        assert max(sizes) < most


def test_an_encoder_hears_no_more_than_its_window(call: np.ndarray) -> None:
    torch.manual_seed(0)
    encoder = stir(Encoder("wavlm", LARGE))
    model = EmotionModel.from_encoder(
        encoder, classes=["neutral", "happy", "sad"], head={"name": "linear"}, window=4.0
    ).eval()
    longest = 0

    def hear(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal longest
        longest = max(longest, inputs[0].shape[1])

    handle = model.register_forward_pre_hook(hear)
    pipeline = of_model(model)
    whole = heard(Live(pipeline, 16_000, latency=2.0), [call])
    torn = heard(Live(pipeline, 16_000, latency=2.0), cut(call, [4_321]))
    handle.remove()
    assert segments(torn) == segments(whole)
    assert 3.5 * 16_000 < longest <= 4.0 * 16_000
    with pytest.raises(ValueError, match="give a latency of 0.5 to 5 s, or diarize a file"):
        Live(pipeline, 16_000, latency=math.inf)


def test_a_stream_may_be_empty_or_short(pipeline: Pipeline, call: np.ndarray) -> None:
    for latency in (0.5, math.inf):
        [update] = heard(Live(pipeline, 16_000, latency=latency), [])
        assert (update.now, update.settled, len(update.speech)) == (0.0, 0.0, 0)
        [update] = heard(Live(pipeline, 16_000, latency=latency), [call[:100]])
        assert update.settled == 100 / 16_000 and len(update.speech) == 1


def test_what_cannot_be_is_one_line(pipeline: Pipeline) -> None:
    for latency in (0.4, 6.0, math.nan, -1.0):
        with pytest.raises(ValueError, match="a latency lies between 0.5 and 5 s, or is inf"):
            Live(pipeline, 16_000, latency=latency)
    for stages, complaint in (
        ({"vad": Energy()}, "Energy needs the whole recording; in a stream take silero or none"),
        ({"decoding": Decoding(path="single-event")}, "path single-event needs the whole"),
        ({"decoding": Decoding(smoothing="total-variation")}, "smoothing total-variation needs"),
        ({"front_end": [lambda recording: recording]}, "a front_end works on recordings"),
    ):
        with pytest.raises(ValueError, match=complaint):
            Live(of_model(tiny_model(), **stages), 16_000)
    live = Live(pipeline, 8_000, uri="line-2")
    list(live.push(np.zeros(8_000, dtype=np.int16)))
    with pytest.raises(ValueError, match=r"line-2 holds what is no sample at 1\.500 s"):
        list(live.push(np.r_[np.zeros(4_000), np.nan, np.zeros(1_000)]))
    with pytest.raises(ValueError, match="shape"):
        list(live.push(np.zeros((2, 8))))
    list(live.close())
    assert list(live.close()) == []
    with pytest.raises(ValueError, match="line-2 is closed; begin another stream"):
        list(live.push(np.zeros(8)))
