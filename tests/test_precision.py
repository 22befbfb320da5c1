"""Precision: what `--dtype` chooses and refuses, and that faster products are the same products."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sed import precision
from sed.model import EmotionModel
from sed.precision import (
    DTYPES,
    ROWS,
    SMALL,
    Int8Linear,
    PackedLinear,
    chosen_dtype,
    hadamard,
    prepare,
)

onednn = pytest.mark.skipif(not precision._has_onednn(), reason="packs for oneDNN on x86")
packed_dtypes = pytest.mark.parametrize(
    "dtype",
    [d for d in (torch.float32, torch.bfloat16) if precision._has_onednn(d)],
    ids=str,
)
ENCODER = SimpleNamespace(frontend=SimpleNamespace(context=None))
CEPSTRAL = SimpleNamespace(frontend=SimpleNamespace(context=100))
COARSER = 127 / precision._levels() if precision._has_onednn() else 1.0
"""Processors without VNNI have half the steps for the input."""

HERE = ["float32", "bfloat16"] + ["int8"] * precision._has_onednn()
"""What this processor computes, if slowly."""


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.inference_mode():
        yield


def linear_of(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A layer with normal weights, whose outputs have about the variance of its inputs."""
    linear = nn.Linear(in_features, out_features, bias=bias)
    linear.weight.normal_(std=in_features**-0.5)
    return linear


def relative_errors(y: Tensor, expected: Tensor, bias: Tensor) -> Tensor:
    """Error of each row in proportion to what the layer makes of the input."""
    return (y - expected).norm(dim=-1) / (expected - bias).norm(dim=-1)


def small_wavlm(head: dict[str, Any] | None = None) -> EmotionModel:
    """An encoder and a head with random weights, layers wide enough to be packed."""
    torch.manual_seed(0)
    config = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "conv_dim": [64] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "do_stable_layer_norm": True,
        "feat_extract_norm": "layer",
    }
    with torch.inference_mode(False):
        model = EmotionModel(
            classes=["neutral", "happy", "sad", "angry"],
            frontend={"name": "wavlm", "config": config},
            head=head or {"name": "linear"},
            window=20.0,
        ).eval()
    return model


# --- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model", "device", "message"),
    [
        ("float8", ENCODER, "cpu", "unknown dtype 'float8': say auto, float32, .* or int8"),
        ("float16", ENCODER, "cpu", "float16 is slow .*: say bfloat16 or int8"),
        ("float16", CEPSTRAL, "cpu", "float16 is slow"),
        ("int8", ENCODER, "cuda", "int8 runs on the cpu, not on cuda: say bfloat16 or float16"),
        ("int8", ENCODER, torch.device("mps"), "int8 runs on the cpu, not on mps"),
        ("int8", CEPSTRAL, "cpu", "int8 is for models with an encoder, .*: say float32"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    name: str, model: Any, device: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        chosen_dtype(name, model, device)
    assert "\n" not in str(refusal.value)


def test_int8_is_refused_where_no_kernel_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(ValueError, match="int8 needs an x86 processor .*: say bfloat16 or float32"):
        chosen_dtype("int8", ENCODER, "cpu")


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("model", [ENCODER, CEPSTRAL], ids=["encoder", "cepstral"])
def test_what_was_asked_for_is_chosen(name: str, device: str, model: Any) -> None:
    assert chosen_dtype(name, model, device) == name


@pytest.mark.parametrize(
    ("device", "has", "dtype"),
    [
        ("cpu", set(), "float32"),
        ("cpu", {"_is_avx512_bf16_supported"}, "bfloat16"),
        ("cpu", {"_is_amx_tile_supported"}, "bfloat16"),
        ("cpu", {"_is_vnni_supported"}, "float32"),
        ("cuda:1", {"cuda"}, "bfloat16"),
        ("cuda", set(), "float16"),
        ("mps", set(), "float16"),
    ],
)
def test_auto_takes_what_the_hardware_computes(
    monkeypatch: pytest.MonkeyPatch, device: str, has: set[str], dtype: str
) -> None:
    for capability in (
        "_is_avx512_bf16_supported",
        "_is_amx_tile_supported",
        "_is_vnni_supported",
    ):
        monkeypatch.setattr(torch.cpu, capability, lambda it=capability: it in has, raising=False)

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return including_emulation or "cuda" in has

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert chosen_dtype("auto", ENCODER, device) == dtype
    assert chosen_dtype("auto", CEPSTRAL, device) == "float32"


def test_auto_lives_with_a_torch_that_names_no_capabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert chosen_dtype("auto", ENCODER, "cpu") == "float32"


# --- the products ---------------------------------------------------------------------------------

shapes = pytest.mark.parametrize(
    "shape", [(), (1,), (0,), (7,), (3, 5), (2, 0), (2, 1, 3)], ids=str
)
widths = pytest.mark.parametrize(
    ("in_features", "out_features"), [(64, 64), (67, 71), (96, 129), (1, 1), (200, 3)]
)


@onednn
@shapes
@widths
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(
    shape: tuple[int, ...], in_features: int, out_features: int, bias: bool
) -> None:
    torch.manual_seed(0)
    linear = linear_of(in_features, out_features, bias=bias)
    x = torch.randn(*shape, in_features)
    torch.testing.assert_close(PackedLinear(linear)(x), linear(x), atol=1e-5, rtol=1e-5)


@onednn
@packed_dtypes
def test_a_packed_layer_takes_views(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    linear = linear_of(64, 96)
    packed, linear = PackedLinear(linear, dtype=dtype), linear.to(dtype)
    x = torch.randn(9, 2, 64, dtype=dtype)
    for view in (x[:, 0], x[::2], x.transpose(0, 1), torch.randn(64, 9, dtype=dtype).t()):
        y = packed(view)
        assert y.dtype == dtype
        atol = 1e-5 if dtype == torch.float32 else 0.02
        torch.testing.assert_close(y, linear(view), atol=atol, rtol=1e-5)


@onednn
@shapes
@widths
@pytest.mark.parametrize("bias", [True, False])
@packed_dtypes
def test_an_int8_layer_is_nearly_the_layer(
    shape: tuple[int, ...], in_features: int, out_features: int, bias: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    linear = linear_of(in_features, out_features, bias=bias)
    x = torch.randn(*shape, in_features).to(dtype)
    y, expected = Int8Linear(linear)(x), linear(x.float())
    assert (y.dtype, y.shape) == (dtype, expected.shape)
    if y.numel():
        assert (y - expected).norm() < 0.025 * COARSER * (expected.norm() + 1)  # which may be 0


def outliers(kind: str) -> Tensor:
    """Frames such as encoders have them: some channels, or some frames, much larger than others."""
    torch.manual_seed(0)
    x = torch.randn(500, 1024)
    if kind in ("channels", "both"):
        x[:, torch.randperm(1024)[:4]] *= 60
    if kind in ("frames", "both"):
        x[torch.randperm(500)[:4]] *= 30
    return F.gelu(2 * x - 1) if kind == "gelu" else x


@onednn
@pytest.mark.parametrize("kind", ["none", "channels", "frames", "both", "gelu"])
def test_int8_keeps_every_frame_within_two_percent(kind: str) -> None:
    """Where torch's own dynamic quantisation loses up to all of a frame."""
    x, linear = outliers(kind), linear_of(1024, 256)
    expected = linear(x)
    errors = relative_errors(Int8Linear(linear)(x), expected, linear.bias)
    assert errors.median() < 0.0155 * COARSER
    assert errors.max() < 0.022 * COARSER
    if kind not in ("none", "gelu"):
        theirs = relative_errors(dynamically_quantised(linear, x), expected, linear.bias)
        assert theirs.median() > 4 * errors.median()


def dynamically_quantised(linear: nn.Linear, x: Tensor) -> Tensor:
    """torch's own int8 product, with one scale for all of the input."""
    scales = (linear.weight.abs().amax(dim=1) / 127).double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    weight = torch.quantize_per_channel(linear.weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight, linear.bias)
    y: Tensor = torch.ops.quantized.linear_dynamic(x, packed, False)
    return y


@onednn
@packed_dtypes
def test_an_int8_frame_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = Int8Linear(linear_of(256, 96))
    x = torch.randn(ROWS + 90, 256).to(dtype)
    x[5] *= 1000
    together = layer(x)
    for row in (0, 4, 5, 6, ROWS - 1, ROWS, ROWS + 89):
        assert_near(layer(x[row]), together[row])
    assert_near(layer(x[: ROWS + 88].view(2, -1, 256)).flatten(0, 1), together[: ROWS + 88])


def assert_near(y: Tensor, expected: Tensor) -> None:
    """Equal but for a value or two of the input that fell on the other side of a half."""
    assert ((y - expected).norm(dim=-1) < 0.01 * expected.norm(dim=-1)).all()


@onednn
def test_int8_keeps_silence_and_what_is_not_a_number() -> None:
    torch.manual_seed(0)
    linear = linear_of(64, 70)
    linear.weight[3] = 0
    x = torch.randn(4, 64)
    x[1], x[2, 5] = 0, torch.nan
    y = Int8Linear(linear)(x)
    assert torch.equal(y[1], linear.bias)
    assert torch.equal(y[[0, 3], 3], linear.bias[[3, 3]])
    assert y[2].isnan().all()
    assert y[[0, 3]].isfinite().all()


@onednn
def test_int8_is_right_where_products_are_summed_in_sixteen_bits() -> None:
    """As on processors without VNNI, whose kernels oneDNN takes when told so."""
    code = (
        "import torch; from torch import nn; from sed.precision import Int8Linear;"
        "torch.set_grad_enabled(False); torch.manual_seed(0);"
        "linear, x = nn.Linear(1024, 64), torch.randn(50, 1024); y = linear(x);"
        "print(float((Int8Linear(linear)(x) - y).norm() / y.norm()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0 < float(result.stdout) < 0.025


@pytest.mark.parametrize("size", [1, 2, 4, 32])
def test_the_rotation_is_a_hadamard_matrix(size: int) -> None:
    matrix = hadamard(size)
    assert torch.equal(matrix, matrix.t())
    assert torch.equal(matrix @ matrix, size * torch.eye(size))
    assert torch.equal(matrix.abs(), torch.ones(size, size))


# --- the model ------------------------------------------------------------------------------------


def posteriors_of(model: EmotionModel) -> Tensor:
    waveform = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0))
    return model(0.1 * waveform)


@pytest.mark.parametrize(("dtype", "distance"), list(zip(HERE, [1e-5, 0.02, 0.03], strict=False)))
@pytest.mark.parametrize(
    "head", [{"name": "linear"}, {"name": "timnet", "channels": 8, "num_blocks": 2}]
)
def test_a_prepared_model_gives_the_same_posteriors(
    dtype: str, distance: float, head: dict[str, Any]
) -> None:
    model = small_wavlm(head)
    expected = posteriors_of(model)
    assert prepare(model, dtype, "cpu") is model
    posteriors = posteriors_of(model)
    assert posteriors.dtype == torch.float32
    assert (posteriors - expected).abs().max() < distance
    assert (
        expected.std(dim=1).max() > 10 * 1e-5
    )  # frames differ, so that the distance says something


@pytest.mark.parametrize("dtype", HERE)
def test_a_prepared_model_is_for_inference(dtype: str) -> None:
    model = prepare(small_wavlm().train(), dtype, "cpu")
    modules = list(model.modules())
    assert not any(module.training for module in modules)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(hasattr(module, "parametrizations") for module in modules)


@onednn
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float32", PackedLinear), ("bfloat16", PackedLinear), ("int8", Int8Linear)],
)
def test_wide_layers_are_replaced_and_narrow_ones_cast(dtype: str, kind: type[nn.Module]) -> None:
    if not precision._has_onednn(precision._float_dtype(dtype)):
        pytest.skip("no kernels for it on this processor")
    model = prepare(small_wavlm(), dtype, "cpu")
    linears = [module for module in model.modules() if type(module) is nn.Linear]
    assert linears and all(min(it.weight.shape) < SMALL for it in linears)
    assert {it.weight.dtype for it in linears} == {precision._float_dtype(dtype)}
    # in each layer two of the attention, one of them for queries, keys and values, and two behind
    # it; and one behind the convolutions
    assert sum(isinstance(module, kind) for module in model.modules()) == 2 * 4 + 1


def test_mfccs_stay_in_float32() -> None:
    model = EmotionModel.from_pretrained("timnet-mfcc")
    expected = posteriors_of(model)
    before = {name: tensor.clone() for name, tensor in model.frontend.state_dict().items()}
    prepare(model, "bfloat16", "cpu")
    after = model.frontend.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {weight.dtype for weight in model.head.parameters()} == {torch.bfloat16}
    assert (posteriors_of(model) - expected).abs().max() < 0.05


def test_on_another_device_layers_are_cast_and_stay() -> None:
    """The meta device stands in for one that is not here."""
    model = prepare(small_wavlm(), "float16", "meta")
    weights = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    assert {tensor.dtype for tensor in weights} == {torch.float16}
    assert {tensor.device.type for tensor in weights} == {"meta"}
    assert not any(isinstance(it, PackedLinear | Int8Linear) for it in model.modules())


def test_where_nothing_can_be_packed_layers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    model = small_wavlm()
    expected = posteriors_of(model)
    prepare(model, "float32", "cpu")
    assert not any(isinstance(it, PackedLinear | Int8Linear) for it in model.modules())
    assert torch.allclose(posteriors_of(model), expected, atol=1e-6)


@onednn
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_layer_is_let_go_before_the_next_one_is_made(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """Else a large model would be in memory twice."""
    model = small_wavlm()
    weights = [
        weakref.ref(module.weight)
        for module in model.modules()
        if type(module) is nn.Linear and min(module.weight.shape) >= SMALL
    ]
    alive = []
    name = "Int8Linear" if dtype == "int8" else "PackedLinear"
    kind = getattr(precision, name)

    def counting(linear: nn.Linear, **options: Any) -> nn.Module:
        alive.append(sum(reference() is not None for reference in weights))
        return kind(linear, **options)

    monkeypatch.setattr(precision, name, counting)
    prepare(model, dtype, "cpu")
    assert len(alive) > 5  # and each time, as many at least are gone as have been made
    assert all(left <= len(weights) - index for index, left in enumerate(alive))
    assert not any(reference() is not None for reference in weights)


def test_layers_whose_owner_reads_the_weights_stay() -> None:
    attention = nn.MultiheadAttention(64, 2)
    owner = nn.Sequential(attention, nn.Linear(64, 64))
    precision._replace_linears(owner, lambda _: nn.Identity())
    assert isinstance(attention.out_proj, nn.Linear)
    assert isinstance(owner[1], nn.Identity)


def test_weight_norms_are_folded_into_the_weights() -> None:
    model = small_wavlm()
    before = {
        name: module.weight.clone()
        for name, module in model.named_modules()
        if hasattr(module, "parametrizations")
    }
    assert before  # the position convolution of the encoder
    prepare(model, "float32", "cpu")
    for name, weight in before.items():
        module = model.get_submodule(name)
        assert list(module.state_dict()) == ["bias", "weight"]
        assert torch.equal(module.weight, weight)


def test_auto_prepares_what_it_chooses() -> None:
    model = small_wavlm()
    expected = precision._float_dtype(chosen_dtype("auto", model, "cpu"))
    prepare(model, "auto", "cpu")
    assert model.head.classify.weight.dtype == expected


@pytest.mark.parametrize("block", ["lstm", "blstm", "tdnn"])
def test_a_network_that_hears_everything_is_no_encoder(block: str) -> None:
    """Its spectra stay in float32, and bfloat16 is only taken where it is asked for."""
    model = EmotionModel(
        classes=["neutral", "happy"],
        frontend={"name": "log-spectrum", "sample_rate": 8_000, "hop": 128,
                  "window_length": 256, "fft_size": 256},
        head={"name": "attentive", "block": block, "num_units": 64},
        window=10.0,
    ).eval()  # fmt: skip
    assert model.specifications.context is None
    assert chosen_dtype("auto", model, "cpu") == "float32"
    waveform = 0.1 * torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(waveform)
        prepared = prepare(model, "bfloat16", "cpu")
        found = prepared(waveform)
    assert prepared.frontend.spectrum.taper.dtype == torch.float32
    assert {weight.dtype for weight in prepared.head.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_prepare_refuses_what_cannot_work() -> None:
    assert "int8" in DTYPES
    with pytest.raises(ValueError, match="int8 is for models with an encoder"):
        prepare(EmotionModel.from_pretrained("timnet-mfcc"), "int8", "cpu")
