"""In which numbers a network computes, and the matrix products that are fastest in them."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sed.attention import Attention

if TYPE_CHECKING:
    from sed.model import EmotionModel

DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
"""What a user may ask for."""

SMALL = 64
"""Linear layers narrower than this on either side, such as a classifier, stay as they are."""

ROTATED, ROWS = 32, 512
"""Channels that `Int8Linear` rotates together, and rows that it multiplies at once: what is in
between stays in the processor's cache, 0.6 of the time of all at once for 4000 rows of 4096."""

TINY = 1e-30  # instead of the largest value where all are zero


def chosen_dtype(name: str, model: EmotionModel, device: str | torch.device) -> str:
    """The dtype that a model computes in on a device.

    Parameters
    ----------
    name : {"auto", "float32", "bfloat16", "float16", "int8"}
        ``auto`` is the fastest one that keeps the posteriors: for a model with an encoder
        ``bfloat16`` where the hardware computes it, else ``float16`` on a GPU and ``float32`` on a
        processor; for one without, whose features take most of the time, ``float32``. ``bfloat16``
        may be asked for anywhere, but is slow on a processor that does not compute it.
    model : EmotionModel
    device : str or torch.device
        Where the model is going to be.

    Returns
    -------
    str
        One of `DTYPES` other than ``auto``.

    Raises
    ------
    ValueError
        If there is no such dtype, or it cannot work for this model on this device.

    Examples
    --------
    >>> from sed.model import EmotionModel
    >>> chosen_dtype("auto", EmotionModel.from_pretrained("timnet-mfcc"), "cpu")
    'float32'
    """
    kind = torch.device(device).type
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}: say {', '.join(DTYPES[:-1])} or {DTYPES[-1]}")
    if name == "float16" and kind == "cpu":
        raise ValueError("float16 is slow on a processor: say bfloat16 or int8, or use a GPU")
    if name == "int8":
        if kind != "cpu":
            raise ValueError(f"int8 runs on the cpu, not on {kind}: say bfloat16 or float16")
        if not _has_encoder(model):
            raise ValueError("int8 is for models with an encoder, which this is not: say float32")
        if not _has_onednn():
            raise ValueError("int8 needs an x86 processor and oneDNN: say bfloat16 or float32")
    if name != "auto":
        return name
    if not _has_encoder(model):
        return "float32"
    if kind == "cpu":
        return "bfloat16" if _computes_bfloat16() else "float32"
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float16"
    return "float16" if kind == "mps" else "float32"


@torch.no_grad()
def prepare(model: EmotionModel, dtype: str, device: str | torch.device) -> EmotionModel:
    """A model of float32 made ready for inference, in place.

    Weight norms are folded, the encoder and the head cast, and on a processor queries, keys and
    values come from one layer and linear layers become `PackedLinear` or `Int8Linear`, one after
    the other, so that there are never two whole models in memory. MFCCs and their normalisation
    stay in float32. With int8, everything but the linear layers computes in bfloat16 where the
    processor does, else in float32.

    What comes out can neither be trained, saved nor moved.

    Parameters
    ----------
    model : EmotionModel
        As loaded.
    dtype : str
        One of `DTYPES`.
    device : str or torch.device
        Where the model goes.

    Raises
    ------
    ValueError
        As `chosen_dtype`.

    Examples
    --------
    >>> from sed.model import EmotionModel
    >>> model = prepare(EmotionModel.from_pretrained("timnet-mfcc"), "bfloat16", "cpu")
    >>> posteriors = model(torch.zeros(1, 16_000))
    >>> posteriors.shape, {weight.dtype for weight in model.head.parameters()}
    (torch.Size([1, 50, 4]), {torch.bfloat16})
    """
    dtype = chosen_dtype(dtype, model, device)
    rest = _float_dtype(dtype)
    for module in model.modules():
        if parametrize.is_parametrized(module):
            for name, _ in list(module.get_submodule("parametrizations").named_children()):
                parametrize.remove_parametrizations(module, name)
    if dtype == "int8":
        _replace_linears(model, Int8Linear)
    elif torch.device(device).type == "cpu" and _has_onednn(rest):
        _replace_linears(model, lambda linear: PackedLinear(linear, dtype=rest))
    for part in (model.frontend, model.head) if _has_encoder(model) else (model.head,):
        part.to(rest)
    return model.to(device).eval().requires_grad_(False)


class PackedLinear(nn.Module):
    """A linear layer whose weights lie in the order in which oneDNN reads them.

    `torch.nn.Linear` reorders them in every call, or leaves float32 to a library that is slower
    than oneDNN on some processors (by a fifth on an AMD EPYC of 2023).

    Parameters
    ----------
    linear : nn.Linear
    dtype : torch.dtype
        float32 or bfloat16: of the weights, of the input and of the output.

    Examples
    --------
    >>> linear, x = nn.Linear(64, 96), torch.randn(2, 5, 64)
    >>> with torch.no_grad():
    ...     bool(torch.allclose(PackedLinear(linear)(x), linear(x), atol=1e-5))
    True
    """

    def __init__(self, linear: nn.Linear, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        # plain attributes: what is packed must not be cast or moved with the rest of a model
        weight = linear.weight.detach().to(dtype)
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
        self.offset = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Give ``x @ weight.T + bias``.

        Parameters
        ----------
        x : (..., in_features) Tensor

        Returns
        -------
        (..., out_features) Tensor
        """
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.offset, "none", [], "")
        return y


class Int8Linear(nn.Module):
    """A linear layer that multiplies integers of eight bits.

    ::

        x       [....|....|....]          a row: all features of a frame
        x H     [....|....|....]          rotated in groups of `ROTATED` channels (Ashkboos et al.
                                          2024, QuaRot): an outlier is spread over its group
        q       round(127 x H / peak)     peak: the largest in the row
        y       q W' peak / 127 + bias    W': the weights, rotated back and rounded to 8 bits, with
                                          a scale for each output

    Each row has a scale of its own, so a frame's output does not depend on what else is in the
    batch, and a loud frame does not cost the others their resolution. Relative error of the output
    (median and worst row, 499 x 1024 x 4096), with the scale per tensor of torch's own
    ``linear_dynamic``, and the time relative to `PackedLinear` in bfloat16::

        input                          per tensor       per row          per row, rotated
        normal                         0.013  0.014     0.011  0.013     0.011  0.013
        4 channels 60 times larger     0.14   0.42      0.054  0.071     0.013  0.016
        4 rows 30 times larger         0.24   0.27      0.011  0.013     0.011  0.014
        both                           0.30   0.84      0.054  0.072     0.013  0.017
        time                               0.57             0.60             0.62

    Parameters
    ----------
    linear : nn.Linear

    Examples
    --------
    >>> linear, x = nn.Linear(256, 96), torch.randn(2, 5, 256)
    >>> with torch.no_grad():
    ...     error = (Int8Linear(linear)(x) - linear(x)).norm() / linear(x).norm()
    >>> bool(error < 0.03)
    True
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        width = linear.in_features
        self.group = min(ROTATED, width & -width)  # the largest power of two in it, or less
        self.rotation = hadamard(self.group)
        # plain attributes: scales stay float32 when the rest of a model is cast
        weight = linear.weight.detach().reshape(-1, self.group) @ self.rotation / self.group
        weight = weight.view(-1, width)
        self.scales = weight.abs().amax(dim=1).clamp_min_(TINY).div_(127)
        integers = weight.div_(self.scales[:, None]).round_().to(torch.int8)
        self.packed: Tensor = torch.ops.onednn.qlinear_prepack(integers, None)
        self.offset = None if linear.bias is None else linear.bias.detach().float()
        self.levels = _levels()

    def forward(self, x: Tensor) -> Tensor:
        """Give ``x @ weight.T + bias``, nearly.

        Parameters
        ----------
        x : (..., in_features) Tensor
            float32 or bfloat16.

        Returns
        -------
        (..., out_features) Tensor
            Of the dtype of `x`.
        """
        rows = x.reshape(-1, x.shape[-1])
        y = torch.empty(len(rows), len(self.scales), dtype=x.dtype)
        for some, out in zip(rows.split(ROWS), y.split(ROWS), strict=True):
            out.copy_(self._products(some))
        return y.view(*x.shape[:-1], y.shape[1])

    def _products(self, rows: Tensor) -> Tensor:
        """The output for (num_rows, in_features) rows, in float32."""
        rotated = rows.reshape(-1, self.group) @ self.rotation.to(rows.dtype)
        rotated = rotated.float().view(rows.shape)
        peak = torch.maximum(rotated.amax(1, keepdim=True), -rotated.amin(1, keepdim=True))
        step = peak.clamp_min_(TINY).div_(self.levels)
        # torch casts to signed bytes many times faster than to those without, which oneDNN takes
        integers = rotated.div_(step).round_().to(torch.int8).view(torch.uint8)
        zero = self.levels + 1
        y = _integer_products(integers.add_(zero), zero, self.packed, self.scales)
        y.mul_(step)
        return y if self.offset is None else y.add_(self.offset)


def hadamard(size: int) -> Tensor:
    """Hadamard matrix: ones and minus ones, rows orthogonal, symmetric.

    Parameters
    ----------
    size : int
        A power of two.

    Returns
    -------
    (size, size) Tensor
        Its square is ``size`` times the identity.

    Examples
    --------
    >>> hadamard(4).int().tolist()
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), matrix)
    return matrix


def _integer_products(x: Tensor, zero: int, packed: Tensor, scales: Tensor) -> Tensor:
    """``(x - zero) @ weight.T * scales`` for bytes without sign and packed ones with it."""
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    y: Tensor = torch.ops.onednn.qlinear_pointwise(
        x, 1.0, zero, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return y


@lru_cache
def _levels() -> int:
    """Steps on each side of zero in which `Int8Linear` may count its input.

    Processors without instructions for it (VNNI, AMX) sum pairs of products in 16 bits, where only
    those of 2 * 63 + 1 steps with weights up to 127 fit. The kernel itself is asked: which one
    oneDNN takes depends on more than the processor.
    """
    weight = torch.full((64, 256), 127, dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    y = _integer_products(torch.full((64, 256), 255, dtype=torch.uint8), 0, packed, torch.ones(64))
    return 127 if bool((y == 255 * 127 * 256).all()) else 63


def _replace_linears(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Put `make` of each linear layer below `module` in its place, and let the layer go."""
    if isinstance(module, Attention):
        module.join()
    for name in [name for name, _ in module.named_children()]:  # which holds what it has given
        child = module.get_submodule(name)
        # Subclasses are parts of modules that read the weights themselves.
        if type(child) is not nn.Linear:
            _replace_linears(child, make)
        elif min(child.in_features, child.out_features) >= SMALL:
            setattr(module, name, make(child))


def _float_dtype(dtype: str) -> torch.dtype:
    """What everything but linear layers computes in."""
    if dtype == "int8":
        return torch.bfloat16 if _computes_bfloat16() else torch.float32
    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[dtype]


def _has_encoder(model: EmotionModel) -> bool:
    """Whether the features come from an encoder, which hears all of its input at once."""
    return model.frontend.context is None


def _supports(*capabilities: str) -> bool:
    """Whether the processor has one of these, by the names of `torch.cpu`."""
    return any(getattr(torch.cpu, name, lambda: False)() for name in capabilities)


def _computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32; known of x86 alone."""
    return _supports("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def _has_onednn(dtype: torch.dtype = torch.float32) -> bool:
    """Whether matrices of a dtype can be packed: on ARM torch's own layers are the fast ones."""
    if not (torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64")):
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
