"""Exported models give the posteriors of the model itself, for inputs of any length."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pyannote.core import Segment, Timeline
from tiny_encoders import BASE, LARGE, stir

import sed
from sed.audio import Recording
from sed.hub import CONFIG, ONNX, kind_of
from sed.inference import Inference
from sed.model import EmotionModel
from sed.onnx import OPSET, OnnxModel, _program, _providers, export
from sed.pipeline import load_model
from sed.precision import prepare
from sed.segmentation import Segmentation
from sed.windows import margin

for extra in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(extra, reason=f"the extra onnx is not installed: no {extra}")

SHALLOW = {"num_hidden_layers": 2, "conv_dim": [16, 16], "conv_kernel": [40, 18]}
SHALLOW |= {"conv_stride": [20, 16]}
"""Fewer layers, a hop of 320 samples and frames of 380: each layer takes a second to export."""

ONE_LAYER = {**SHALLOW, "num_hidden_layers": 1}
MFCC = {"name": "mfcc", "sample_rate": 16_000, "hop": 320, "window_length": 400, "fft_size": 512}
SPECTRUM = {"name": "log-spectrum", "sample_rate": 8_000, "hop": 128}
SPECTRUM |= {"window_length": 200, "fft_size": 256}


def encoder(architecture: str, config: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"name": architecture, "config": config, **options}


FRONTENDS: dict[str, dict[str, Any]] = {
    "wavlm-base": encoder("wavlm", {**BASE, **SHALLOW}, waveform_norm="none", layer="weighted"),
    "wavlm-large": encoder("wavlm", {**LARGE, "num_hidden_layers": 1}, output_norm=True),
    "hubert": encoder("hubert", {**LARGE, **ONE_LAYER}, layer=1),
    "wav2vec2": encoder("wav2vec2", {**BASE, **ONE_LAYER}, waveform_norm="mean", edge_padding=40),
    "mfcc": {**MFCC, "normalization": 0.5},
    "lstm": SPECTRUM,
    "blstm": {**SPECTRUM, "normalization": 0.5},
    "tdnn": SPECTRUM,
}
LINEAR: dict[str, Any] = {"name": "linear", "bias": False}
ATTENTIVE = {"name": "attentive", "pooling": "mean-variance", "num_units": 12}
HEADS: dict[str, dict[str, Any]] = {
    "wavlm-base": {"name": "timnet", "channels": 6, "num_blocks": 2},
    "hubert": {**LINEAR, "pooling_window": 4, "pooling_stride": 2},
    "lstm": {**ATTENTIVE, "block": "lstm", "pooling": "mean", "num_cells": 8},
    "blstm": {**ATTENTIVE, "block": "blstm", "num_cells": 8},
    "tdnn": {**ATTENTIVE, "block": "tdnn", "num_layers": 2, "reach": 3},
}

SHORT = (1, 50, 379, 380, 399, 400, 401, 640, 719, 720, 721)
"""Lengths around one receptive field, and around two."""

LONG = (1_400, 5_000, 15_999, 16_000, 16_001, 40_123, 100_001)
"""16 000 is the one that the exporter sees; 5 s exceed WavLM's exact distances."""


@cache
def model_named(name: str) -> EmotionModel:
    """The embedded model, or a tiny one whose random weights make up their mind."""
    if name == "embedded":
        return EmotionModel.from_pretrained("timnet-mfcc")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EmotionModel(
            classes=["neutral", "happy", "sad", "angry"],
            frontend=FRONTENDS[name],
            head=HEADS.get(name, LINEAR),
            window=20.0,
            decoding={"path": "viterbi"},
        )
        stir(model)
    with torch.no_grad():
        model.head.classify.weight.mul_(3.0)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of an exported model, made at the first request."""

    @cache
    def folder_of(name: str) -> Path:
        folder = tmp_path_factory.mktemp("exported") / name
        export(model_named(name), folder)
        return folder

    return folder_of


def waveforms(batch: int, num_samples: int) -> torch.Tensor:
    """Noise whose loudness changes, the same in every run, behind an offset."""
    generator = torch.Generator().manual_seed(num_samples)
    noise = torch.randn(batch, num_samples, generator=generator)
    loudness = torch.sin(torch.arange(num_samples) / 3_000.0) + 1.1
    return 0.1 * noise * loudness + 0.01


@pytest.mark.parametrize("name", ["embedded", *FRONTENDS])
def test_posteriors_are_those_of_the_model(name: str, exported: Callable[[str], Path]) -> None:
    model, runs = model_named(name), OnnxModel(exported(name))
    for num_samples in SHORT + LONG:
        for batch in (1, 3):
            waveform = waveforms(batch, num_samples)
            with torch.inference_mode():
                expected = model(waveform)
            torch.testing.assert_close(runs(waveform), expected, atol=1e-4, rtol=0)
    spread = expected.amax(dim=1) - expected.amin(dim=1)
    assert spread.max() > 0.1  # posteriors that hardly change would prove nothing


def test_far_apart_frames_have_their_bias(exported: Callable[[str], Path]) -> None:
    """20 s are 1000 frames, and beyond 800 all distances share one bias."""
    waveform = waveforms(1, 320_000)
    with torch.inference_mode():
        expected = model_named("wavlm-large")(waveform)
    posteriors = OnnxModel(exported("wavlm-large"))(waveform)
    torch.testing.assert_close(posteriors, expected, atol=1e-4, rtol=0)


def test_a_recording_has_the_posteriors_of_the_model(exported: Callable[[str], Path]) -> None:
    """Through windows, as the pipeline runs it."""
    recording = Recording.from_samples(waveforms(1, 16_000 * 30)[0].numpy(), 16_000, uri="noise")
    speech = Timeline([Segment(0.5, 12.0), Segment(13.1, 29.9)])
    model = model_named("wavlm-base")
    runs = load_model(exported("wavlm-base"), device="cpu", dtype="auto")
    assert isinstance(runs, OnnxModel)
    assert (runs.specifications, runs.decoding) == (model.specifications, model.decoding)
    windows = Segmentation(5.0, margin=margin(model.specifications))(speech)
    expected = Inference(model)(recording, speech, windows)
    posteriors = Inference(runs)(recording, speech, windows)
    assert len(windows) > 5
    np.testing.assert_allclose(posteriors.data, expected.data, atol=1e-4)


def test_arrays_and_tensors_of_any_float_are_taken(exported: Callable[[str], Path]) -> None:
    runs, waveform = OnnxModel(exported("mfcc")), waveforms(2, 5_000)
    posteriors = runs(waveform.requires_grad_())
    assert posteriors.dtype == torch.float32
    assert torch.equal(runs(waveform.detach().double().numpy()), posteriors)


def test_the_folder_holds_one_model_its_config_and_its_card(
    exported: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = exported("mfcc")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", CONFIG, ONNX]
    assert kind_of(folder) == "onnx"
    model_named("mfcc").save_pretrained(tmp_path)
    assert (folder / CONFIG).read_text() == (tmp_path / CONFIG).read_text()
    assert "# mfcc\n" in (folder / "README.md").read_text()


def test_the_file_says_what_it_takes_and_nothing_of_who_wrote_it(
    exported: Callable[[str], Path],
) -> None:
    import onnx

    content = (exported("mfcc") / ONNX).read_bytes()
    assert str(Path(sed.__file__).parent).encode() not in content
    model = onnx.load_from_string(content)
    assert {(used.domain, used.version) for used in model.opset_import} == {("", OPSET)}
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes["waveform"] == ["batch", "num_samples"]
    batch, _, num_classes = shapes["posteriors"]
    assert (len(shapes), batch, num_classes) == (2, "batch", 4)


@cache
def program() -> Any:
    """A model as ONNX in memory, of another opset than that of a file."""
    return _program(model_named("mfcc"), 18)


def test_exporting_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    program.cache_clear()
    program()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let export write `program`, without the seconds that making one takes."""
    monkeypatch.setattr("sed.onnx._program", lambda model, opset: program())


@pytest.mark.usefixtures("quick")
def test_weights_beside_the_file_come_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As those of a model above 2 GB do."""
    save = type(program()).save
    monkeypatch.setattr(
        type(program()), "save", lambda self, path: save(self, path, external_data=True)
    )
    export(model_named("mfcc"), tmp_path / "large", card="mine")
    names = sorted(path.name for path in (tmp_path / "large").iterdir())
    assert names == ["README.md", CONFIG, ONNX, f"{ONNX}.data"]
    assert (tmp_path / "large" / "README.md").read_text() == "mine"
    (tmp_path / "large").rename(tmp_path / "moved")
    waveform = waveforms(2, 5_000)
    with torch.inference_mode():
        expected = model_named("mfcc")(waveform)
    posteriors = OnnxModel(tmp_path / "moved")(waveform)
    torch.testing.assert_close(posteriors, expected, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("quick")
def test_nothing_is_left_of_an_export_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def save(self: Any, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(program()), "save", save)
    with pytest.raises(OSError, match="No space left"):
        export(model_named("mfcc"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def refusal(call: Callable[[], object]) -> str:
    """The one line that says why not."""
    with pytest.raises(ValueError) as caught:
        call()
    assert type(caught.value) is ValueError and "\n" not in str(caught.value)
    return str(caught.value)


def test_models_that_are_not_as_loaded_are_refused(tmp_path: Path) -> None:
    training = EmotionModel(**model_named("mfcc").config)
    assert "call its eval() first" in refusal(lambda: export(training, tmp_path))
    half = prepare(EmotionModel(**model_named("mfcc").config), "bfloat16", "cpu")
    assert "torch.bfloat16 cannot be exported" in refusal(lambda: export(half, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra_that_has_it(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "onnxruntime":
        message = refusal(lambda: OnnxModel(tmp_path))
        assert message.startswith("running model.onnx needs onnxruntime; ")
    else:
        message = refusal(lambda: export(model_named("mfcc"), tmp_path))
        assert message.startswith(f"exporting a model needs {package}; ")
    assert message.endswith("pip install 'speech-emotion-diarization[onnx]'")


@pytest.fixture
def copied(exported: Callable[[str], Path], tmp_path: Path) -> Path:
    """An exported model that may be damaged."""
    for path in exported("mfcc").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"not a model",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"Softmax", b"Softmix"),
    ],
    ids=["empty", "text", "truncated", "unknown operator"],
)
def test_a_damaged_file_is_named(copied: Path, damage: Callable[[bytes], bytes]) -> None:
    (copied / ONNX).write_bytes(damage((copied / ONNX).read_bytes()))
    assert refusal(lambda: OnnxModel(copied)).startswith(f"{copied / ONNX} cannot be run: ")


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / ONNX).unlink()
    assert str(copied / ONNX) in refusal(lambda: OnnxModel(copied))


def test_a_config_of_another_model_is_refused(copied: Path) -> None:
    content = json.loads((copied / CONFIG).read_text())
    content["specifications"]["classes"].append("surprised")
    (copied / CONFIG).write_text(json.dumps(content))
    assert "which promises posteriors of 5 classes" in refusal(lambda: OnnxModel(copied))
    content["specifications"]["colour"] = "red"
    (copied / CONFIG).write_text(json.dumps(content))
    message = refusal(lambda: OnnxModel(copied))
    assert message.startswith(f"{copied / CONFIG} describes no model: ")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"device": "mps"}, "runs on cpu or cuda, not on mps"),
        ({"dtype": "int8"}, "computes in float32, not in int8"),
    ],
)
def test_what_onnxruntime_does_not_do_is_refused(
    copied: Path, options: dict[str, str], complaint: str
) -> None:
    assert complaint in refusal(lambda: OnnxModel(copied, **options))


def test_cuda_is_used_where_it_is_and_refused_elsewhere() -> None:
    device = torch.device("cuda:1")
    runtime = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    assert "does not run on cuda:1; " in refusal(lambda: _providers(runtime, device))
    runtime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    (first, options), second = _providers(runtime, device)
    assert (first, options["device_id"]) == ("CUDAExecutionProvider", 1)
    assert second == ("CPUExecutionProvider", {})


def test_cuda_that_does_not_start_is_not_taken_for_cuda(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With libraries that do not fit, onnxruntime goes on without a word on the processor."""
    import onnxruntime

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: session)
    assert "no CUDA that fits it" in refusal(lambda: OnnxModel(copied, device="cuda"))


def test_a_lack_of_memory_is_told_as_torch_tells_it(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a smaller batch can be tried."""

    def run(*_: object) -> None:
        raise RuntimeError("Non-zero status code: Failed to allocate memory for 123 bytes\nat …")

    runs = OnnxModel(copied)
    monkeypatch.setattr(runs, "_session", SimpleNamespace(run=run))
    with pytest.raises(torch.OutOfMemoryError, match="123 bytes$"):
        runs(torch.zeros(1, 400))


def test_threads_are_those_of_torch(copied: Path) -> None:
    def num_threads(runs: OnnxModel) -> int:
        return int(runs._session.get_session_options().intra_op_num_threads)

    assert num_threads(OnnxModel(copied)) == torch.get_num_threads()
    assert num_threads(OnnxModel(copied, num_threads=2)) == 2
