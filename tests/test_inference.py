"""Posteriors of a recording do not depend on how it is cut into windows, nor memory on length."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from pyannote.core import Segment, Timeline
from tiny_model import tiny_model
from torch import Tensor

from sed.audio import Recording
from sed.batching import behind
from sed.inference import NUM_BLOCKS_AHEAD, Inference, Model
from sed.segmentation import Segmentation
from sed.specifications import Specifications
from sed.windows import margin

SAMPLE_RATE, HOP = 16_000, 320


class Attentive:
    """Posteriors that depend on every frame that is heard, and less on those further away.

    Parameters
    ----------
    window : float
        Seconds.
    reach : float
        Frames after which the dependence has decayed to a third; at 0 each frame stands alone.
    hears : callable, optional
        Told of each batch before it is computed.
    """

    def __init__(
        self, window: float, *, reach: float, hears: Callable[[Tensor], None] | None = None
    ) -> None:
        self.specifications = Specifications(
            ("neutral", "happy", "sad", "angry"), SAMPLE_RATE, HOP, context=None, window=window
        )
        generator = torch.Generator().manual_seed(0)
        self.project = torch.randn(HOP, 8, generator=generator)
        self.classify = torch.randn(16, 4, generator=generator)
        self.reach, self.hears = reach, hears

    def __call__(self, waveform: Tensor) -> Tensor:
        if self.hears is not None:
            self.hears(waveform)
        missing = -waveform.shape[1] % HOP
        frames = torch.nn.functional.pad(waveform, (0, missing)).unflatten(1, (-1, HOP))
        x = (frames @ self.project).tanh()  # (batch, num_frames, 8)
        time = torch.arange(x.shape[1], dtype=torch.float32)
        distance = (time[:, None] - time).abs() / max(self.reach, 1e-6)
        around = (x @ x.mT - distance).softmax(dim=-1) @ x
        return (torch.cat((x, around), dim=-1) @ self.classify).softmax(dim=-1)


def bursts(rng: np.random.Generator, seconds: float) -> tuple[Recording, Timeline]:
    """Noise that comes and goes like speech, and when it is there."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    speech, time = Timeline(), 0.3
    while time < seconds:
        end = min(seconds, time + rng.uniform(0.4, 4.0))
        part = samples[round(time * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        part[:] = np.cumsum(rng.standard_normal(len(part))) % 1.0 * rng.uniform(0.01, 0.3)
        speech.add(Segment(time, end))
        time = end + rng.uniform(0.05, 2.0)
    return Recording.from_samples(samples, SAMPLE_RATE, uri="bursts"), speech


def posteriors(
    recording: Recording,
    speech: Timeline,
    max_duration: float | None = None,
    *,
    model: Model | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    model = model or tiny_model()
    likes = model.specifications
    windows = Segmentation(max_duration or likes.window, margin=margin(likes))(speech)
    return Inference(model, batch_size=batch_size)(recording, speech, windows).data


def in_one_pass(model: Model, recording: Recording, speech: Timeline) -> np.ndarray:
    """One call of a model on nothing but the frames of speech, silence neutral."""
    grid = model.specifications.grid
    num_frames = grid.num_frames(recording.num_samples(SAMPLE_RATE))
    heard = grid.mask(speech, num_frames, duration=recording.duration)
    samples = recording.samples(SAMPLE_RATE)
    packed = samples[np.repeat(heard, grid.hop)[: len(samples)]]
    scores = np.zeros((num_frames, 4), dtype=np.float32)
    scores[:, 0] = 1.0
    with torch.inference_mode():
        scores[heard] = model(torch.from_numpy(packed)[None])[0].numpy()
    return scores


def test_windows_are_invisible(rng: np.random.Generator) -> None:
    """Three minutes in windows of 3 s, of 10 s, and in one piece."""
    recording, speech = bursts(rng, 180.0)
    whole = posteriors(recording, speech, 1_000.0)
    for max_duration in (3.0, 10.0):
        np.testing.assert_allclose(posteriors(recording, speech, max_duration), whole, atol=1e-5)
    assert len(set(whole.argmax(axis=1))) > 2  # not the same everywhere, which would prove nothing


def test_the_network_hears_speech_with_its_pauses_cut_out(rng: np.random.Generator) -> None:
    """As in one call of the model on nothing but the frames of speech."""
    recording, speech = bursts(rng, 40.0)
    expected = in_one_pass(tiny_model(), recording, speech)
    np.testing.assert_allclose(posteriors(recording, speech, 5.0), expected, atol=1e-5)


def test_what_fits_into_one_window_is_heard_in_one(rng: np.random.Generator) -> None:
    """Even to its last frame, of which the recording holds a part."""
    recording, _ = bursts(rng, 10.01)
    speech = Timeline([Segment(1, 3), Segment(4, recording.duration)])
    model = Attentive(window=8.02, reach=100.0)
    expected = in_one_pass(model, recording, speech)
    np.testing.assert_array_equal(posteriors(recording, speech, model=model), expected)


@pytest.mark.parametrize("window", [0.02, 0.1, 3.0, 7.77, 30.0])
def test_seams_leave_no_trace_where_frames_stand_alone(
    rng: np.random.Generator, window: float
) -> None:
    """Weights sum to one, and each falls on the frame that it belongs to."""
    recording, speech = bursts(rng, 60.0)
    model = Attentive(window=window, reach=0.0)
    expected = in_one_pass(model, recording, speech)
    found = posteriors(recording, speech, model=model)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_at_seams_the_result_is_close_to_a_single_pass(rng: np.random.Generator) -> None:
    """The margin hides most of what a seam does, and the fade the step that is left."""
    recording, speech = bursts(rng, 60.0)
    model = Attentive(window=8.0, reach=20.0)
    expected = in_one_pass(model, recording, speech)

    def furthest(windows: Timeline) -> float:
        found = Inference(model)(recording, speech, windows).data
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
        return float(np.abs(found - expected).max())

    with_margin = furthest(Segmentation(8.0, margin=1.0)(speech))
    without = furthest(Segmentation(10.0, tolerance=0.0)(speech))  # cores fill the window
    assert 0 < with_margin < 0.01 < 0.02 < without


def test_windows_of_models_without_finite_context_are_equally_long_and_fill_batches(
    rng: np.random.Generator,
) -> None:
    recording, speech = bursts(rng, 120.0)
    shapes: list[tuple[int, ...]] = []
    model = Attentive(window=6.0, reach=50.0, hears=lambda batch: shapes.append(batch.shape))
    one_by_one = posteriors(recording, speech, model=model)
    num_windows = len(shapes)
    assert {number for number, _ in shapes} == {1} and num_windows > 8
    ((length,),) = {(length,) for _, length in shapes}
    assert length <= 6.0 * SAMPLE_RATE
    for batch_size in (4, 64):
        shapes.clear()
        found = posteriors(recording, speech, model=model, batch_size=batch_size)
        np.testing.assert_allclose(found, one_by_one, rtol=0, atol=1e-5)
        assert {length} == {length for _, length in shapes}
        numbers = [number for number, _ in shapes]
        assert set(numbers[:-1]) <= {batch_size} and numbers[-1] <= batch_size
        assert sum(numbers) == num_windows


def test_batches_of_the_classifier_change_nothing(rng: np.random.Generator) -> None:
    """Windows of several lengths, some the same, and a last frame that is not whole."""
    recording, _ = bursts(rng, 59.99)
    speech = Timeline([Segment(0.3, 31), Segment(31.5, recording.duration)])
    one_by_one = posteriors(recording, speech, 4.0)
    found = posteriors(recording, speech, 4.0, batch_size=8)
    np.testing.assert_allclose(found, one_by_one, rtol=0, atol=1e-5)


def out_of_memory_beyond(most: int, tried: list[int]) -> Callable[[Tensor], None]:
    """A device that holds some windows at a time."""

    def hears(batch: Tensor) -> None:
        tried.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 20.00 MiB")

    return hears


def test_batches_that_do_not_fit_are_halved(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 120.0)
    expected = posteriors(recording, speech, model=Attentive(window=6.0, reach=50.0))
    tried: list[int] = []
    model = Attentive(window=6.0, reach=50.0, hears=out_of_memory_beyond(3, tried))
    found = posteriors(recording, speech, model=model, batch_size=8)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert tried[:6] == [8, 4, 2, 2, 2, 2]  # the first eight, and from then on two at a time
    assert max(tried[3:]) == 2


def test_a_window_that_does_not_fit_is_an_error_of_one_line(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 20.0)
    model = Attentive(window=6.0, reach=50.0, hears=out_of_memory_beyond(0, []))
    with pytest.raises(ValueError, match=r"^\d\.\d s of speech .* memory of cpu; .*$"):
        posteriors(recording, speech, model=model, batch_size=8)


def test_a_batch_has_a_window() -> None:
    with pytest.raises(ValueError, match="a batch of 0 windows"):
        Inference(tiny_model(), batch_size=0)


def test_posteriors_of_a_narrow_type_are_floats_in_the_end(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 20.0)
    exact = Attentive(window=6.0, reach=50.0)

    class Narrow:
        specifications = exact.specifications

        def __call__(self, waveform: Tensor) -> Tensor:
            assert waveform.dtype == torch.float32
            return exact(waveform).bfloat16()

    found = posteriors(recording, speech, model=Narrow())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, posteriors(recording, speech, model=exact), atol=5e-3)


def test_silence_is_neutral_and_every_frame_sums_to_one(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 20.0)
    model = tiny_model()
    feature = Inference(model)(recording, speech, Segmentation(5.0)(speech))
    heard = model.specifications.grid.mask(speech, len(feature.data))
    neutral = feature.data[~heard]
    assert len(neutral) and (neutral == [1.0, 0.0, 0.0, 0.0]).all()
    np.testing.assert_allclose(feature.data.sum(axis=1), 1.0, atol=1e-5)
    assert feature.labels == list(model.specifications.classes)
    assert feature.sliding_window.step == feature.sliding_window.duration == 0.02


@pytest.mark.parametrize("num_samples", [1, 100, 319, 320, 321, 16_001, 16_319])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_any_length_has_a_posterior_for_every_frame(num_samples: int, sample_rate: int) -> None:
    """Shorter than a frame, and no whole number of frames."""
    recording = Recording.from_samples(np.full(num_samples, 0.1), sample_rate)
    everything = Timeline([Segment(0, recording.duration)])
    found = posteriors(recording, everything, 0.3)
    assert len(found) == -(-recording.num_samples(SAMPLE_RATE) // 320)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    if recording.duration > 1e-4:  # what is shorter is no segment in pyannote
        assert (found[:, 0] < 1.0).all()  # the last frame is heard, however little it holds


def test_a_recording_without_speech_is_not_computed(rng: np.random.Generator) -> None:
    recording, _ = bursts(rng, 2.0)
    assert (posteriors(recording, Timeline(), 5.0)[:, 0] == 1.0).all()


def test_progress_grows_to_the_end_of_speech(rng: np.random.Generator) -> None:
    recording, speech = bursts(rng, 30.0)
    told: list[tuple[float, float]] = []

    def hook(step: str, artifact: object, *, completed: float, total: float) -> None:
        assert (step, artifact) == ("emotions", None)
        told.append((completed, total))

    Inference(tiny_model())(recording, speech, Segmentation(3.0)(speech), hook=hook)
    assert len(told) > 5
    assert [completed for completed, _ in told] == sorted(completed for completed, _ in told)
    assert {total for _, total in told} == {recording.duration}
    assert told[-1][0] == pytest.approx(speech.extent().end)


class Endless:
    """Blocks of a recording that is nowhere in memory."""

    def __init__(self, seconds: float, *, given: Callable[[int], None] | None = None) -> None:
        self.duration, self.given = seconds, given
        self._samples = np.random.default_rng(0).standard_normal(30 * SAMPLE_RATE) * 0.1

    def num_samples(self, sample_rate: int) -> int:
        return round(self.duration * sample_rate)

    def blocks(self, *, sample_rate: int, duration: float) -> Iterator[np.ndarray]:
        for index in range(round(self.duration / duration)):
            if self.given is not None:
                self.given(index + 1)
            yield self._samples.astype(np.float32)


def run(recording: Endless, model: Model, *, batch_size: int | None = None) -> np.ndarray:
    """Posteriors where all is speech."""
    speech = Timeline([Segment(0, recording.duration)])
    return posteriors(recording, speech, 5.0, model=model, batch_size=batch_size)


def peak(seconds: float, model: Model) -> int:
    """Most bytes that Python and numpy hold at once, scores of frames aside."""
    tracemalloc.start()
    try:
        scores = run(Endless(seconds), model, batch_size=4)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    frames = len(scores) * (scores.itemsize * scores.shape[1] + 8 + 1)  # posteriors, index, mask
    return most - frames


@pytest.mark.parametrize("blended", [False, True])
def test_memory_does_not_grow_with_the_recording(blended: bool) -> None:
    model = Attentive(window=5.0, reach=20.0) if blended else tiny_model()
    assert peak(960.0, model) < 1.1 * peak(240.0, model)


def test_the_next_blocks_are_read_while_the_model_works_and_no_more_than_they() -> None:
    """A model that does not go on before they are there."""
    enough, more = threading.Event(), threading.Event()
    first_time = iter([True])

    def given(count: int) -> None:
        if count == 1 + NUM_BLOCKS_AHEAD:
            enough.set()
        elif count > 1 + NUM_BLOCKS_AHEAD:
            more.set()

    def hears(batch: Tensor) -> None:
        if next(first_time, False):
            assert enough.wait(timeout=60)
            assert not more.wait(timeout=0.2)

    run(Endless(300.0, given=given), Attentive(window=5.0, reach=20.0, hears=hears))
    assert more.is_set()


def test_a_batch_is_fetched_when_the_next_one_is_under_way() -> None:
    """As on a GPU, which has something to do while we read and write."""
    events = []

    def launched() -> Iterator[int]:
        for number in range(3):
            events.append(("launch", number))
            yield number

    for number in behind(launched(), 1):
        events.append(("fetch", number))
    order = "launch 0, launch 1, fetch 0, launch 2, fetch 1, fetch 2"
    assert ", ".join(f"{what} {number}" for what, number in events) == order


def fails_at(which: int, error: BaseException) -> Callable[[object], None]:
    """Something that works until it is called for the n-th time."""
    calls = iter(range(1, which + 1))

    def call(_: object) -> None:
        if next(calls) == which:
            raise error

    return call


@pytest.mark.parametrize("error", [ValueError("no more"), KeyboardInterrupt("no more")])
def test_a_failing_model_leaves_no_reader_behind(error: BaseException) -> None:
    before = set(threading.enumerate())
    model = Attentive(window=5.0, reach=20.0, hears=fails_at(3, error))
    with pytest.raises(type(error), match="no more") as caught:
        run(Endless(300.0), model)
    assert set(threading.enumerate()) == before
    assert caught.value is error


@pytest.mark.parametrize("block", [1, 2, 5])
def test_a_failing_recording_is_the_callers_error_and_leaves_no_reader_behind(block: int) -> None:
    before = set(threading.enumerate())
    recording = Endless(300.0, given=fails_at(block, ValueError("damaged")))
    with pytest.raises(ValueError, match="damaged"):
        run(recording, Attentive(window=5.0, reach=20.0))
    assert set(threading.enumerate()) == before


def test_a_recording_that_is_done_leaves_no_reader_behind() -> None:
    before = set(threading.enumerate())
    run(Endless(60.0), Attentive(window=5.0, reach=20.0))
    assert set(threading.enumerate()) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
@pytest.mark.parametrize("batch_size", [None, 1, 8])
def test_a_gpu_gives_what_the_cpu_gives(rng: np.random.Generator, batch_size: int | None) -> None:
    """Whatever is in flight, and however many windows it takes at once."""
    recording, speech = bursts(rng, 180.0)
    windows = Segmentation(5.0)(speech)
    expected = Inference(tiny_model())(recording, speech, windows).data
    inference = Inference(tiny_model().to("cuda"), "cuda", batch_size=batch_size)
    np.testing.assert_allclose(inference(recording, speech, windows).data, expected, atol=1e-3)
