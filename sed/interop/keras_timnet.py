"""TIM-Net weights of its authors' Keras code, read as data and without TensorFlow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import torch
from h5py import h5d, h5f, h5l, h5p
from torch import Tensor

from sed.heads import TIMNet
from sed.interop.tensors import fitted

MAX_SIZE = 16 * 1024**2
"""Bytes that a file may have; published ones have under a million."""

MAX_LINKS = 3000
"""Names in a file; 10 blocks take 600."""

MAX_BLOCKS = 20
"""The last block of so many looks hours back; published networks have 8 or 10."""

_LAYER = re.compile(r"(conv1d|batch_normalization|weight_layer|dense)(?:_([1-9][0-9]{0,8}))?")
_NAME = re.compile(r"[!-.0-~]{1,200}")  # no slash: a path could lead through a link
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class _RefusedError(Exception):
    """Why a part of a file is not read."""


def load_timnet(path: str | Path) -> TIMNet:
    """Network with the weights of a file, in inference.

    ::

        theirs, looking ahead     y3 y2 y1 y0 ─┐
                                               ├─ the mean over time is the same
        ours                      y0 y1 y2 y3 ─┘

    For utterances, `TIMNet.utterance` gives the logits of the authors' code: its second branch
    runs in reversed time and is not turned back before the two are added, but only the mean of the
    sum is used. The frame logits of ours are in order of time. Features are those of
    `sed.frontends.MFCC.from_code`, each recording centred among zeros, or cut, to the length of its
    corpus.

    Parameters
    ----------
    path : str or Path
        See `read_weights`.

    Raises
    ------
    ValueError
        If the file is not as `read_weights` expects it.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.hdf5"
    >>> with h5py.File(path, "w") as file:
    ...     for name, (_, shape) in layout(num_blocks=2, num_classes=3).items():
    ...         file[name] = np.ones(shape, dtype=np.float32)
    >>> network = load_timnet(path)
    >>> network.utterance(torch.zeros(1, 188, 39)).softmax(dim=-1)
    tensor([[0.3333, 0.3333, 0.3333]], grad_fn=<SoftmaxBackward0>)
    """
    state = read_weights(path)
    channels, num_features = state["back.into.weight"].shape
    with torch.device("meta"):  # initial weights would take random numbers from others
        network = TIMNet(
            num_features,
            num_classes=len(state["classify.bias"]),
            channels=channels,
            num_blocks=len(state["fusion"]),
        )
    network.load_state_dict(state, assign=True)
    return network.eval()


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """State of a `sed.heads.TIMNet` from a file that Keras saved, of which nothing is executed.

    Numbers of blocks, channels, features and classes are those of the shapes.

    Parameters
    ----------
    path : str or Path
        HDF5 file of ``Model.save_weights`` of Keras 2, with the arrays of `layout`.

    Returns
    -------
    dict of str to Tensor
        In float32, by the names of the network's state.

    Raises
    ------
    ValueError
        If the file is damaged, refers to others, or its arrays are not those of one network: what
        is absent, too much or of another shape is named.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.hdf5"
    >>> with h5py.File(path, "w") as file:
    ...     file["weight_layer_1/weight_layer_1/kernel:0"] = np.ones(8, dtype=np.float32)
    >>> read_weights(path)
    Traceback (most recent call last):
    ValueError: ...: weight_layer_1/weight_layer_1/kernel:0 is (8,), not (blocks, 1)
    """
    path = Path(path)
    arrays = _read_arrays(path)
    first = _first_numbers(arrays)
    num_blocks, _ = _shape(arrays, "weight_layer", first, "(blocks, 1)", path)
    _, num_classes = _shape(arrays, "dense", first, "(channels, classes)", path)
    _, num_features, channels = _shape(arrays, "conv1d", first, "(1, features, channels)", path)
    if num_blocks > MAX_BLOCKS:
        raise ValueError(f"{path} is for {num_blocks} blocks, of which {MAX_BLOCKS} can be read")
    places = layout(
        num_blocks, num_classes, num_features=num_features, channels=channels, first=first
    )
    expected = {
        name: torch.empty(shape, dtype=torch.float32, device="meta")
        for name, (_, shape) in places.items()
    }
    what = f"TIM-Net of {num_blocks} blocks, {channels} channels, {num_features} features and"
    fit = fitted(arrays, expected, path, f"{what} {num_classes} classes")
    for name, array in fit.items():
        if not bool(array.isfinite().all()):
            raise ValueError(f"{path}: {name} has values that are not finite")
        if "variance" in name and bool((array < 0).any()):
            raise ValueError(f"{path}: {name} has negative values")
    return {ours: _as_ours(ours, fit[name]) for name, (ours, _) in places.items()}


def layout(
    num_blocks: int,
    num_classes: int,
    *,
    num_features: int = 39,
    channels: int = 39,
    first: Mapping[str, int] | None = None,
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Arrays of a file: our name and their shape by the name that they have there.

    ::

        conv1d      1x1, back               batch_normalization      block 1, back, first
        conv1d_1    1x1, ahead              batch_normalization_1    block 1, back, second
        conv1d_2    block 1, back, first    batch_normalization_2    block 1, ahead, first
        conv1d_3    block 1, back, second   …
        conv1d_4    block 1, ahead, first   weight_layer             fusion
        conv1d_5    block 1, ahead, second  dense                    classify
        conv1d_6    block 2, back, first
        …

    Keras numbers the layers of a kind as they are made, in one process throughout: the first
    convolution of the second fold of a cross-validation is ``conv1d_34``. A kernel is (taps, in,
    out) with the past before the present; ours is (out, taps * in).

    Parameters
    ----------
    num_blocks, num_classes, num_features, channels : int
        As in `sed.heads.TIMNet`.
    first : dict of str to int, optional
        Number of the first layer of each kind, such as ``{"conv1d": 34}``; 0 where none is given.

    Examples
    --------
    >>> arrays = layout(num_blocks=8, num_classes=7)
    >>> arrays["conv1d_4/conv1d_4/kernel:0"]
    ('ahead.blocks.0.first.weight', (2, 39, 39))
    >>> sum(np.prod(shape) for _, shape in arrays.values()).item()
    106992
    """
    into = [f"{direction}.into" for direction in ("back", "ahead")]
    halves = [
        f"{direction}.blocks.{block}.{half}"
        for block, direction, half in product(
            range(num_blocks), ("back", "ahead"), ("first", "second")
        )
    ]
    arrays: list[tuple[str, int, str, str, tuple[int, ...]]] = [
        ("weight_layer", 0, "kernel", "fusion", (num_blocks, 1)),
        ("dense", 0, "kernel", "classify.weight", (channels, num_classes)),
        ("dense", 0, "bias", "classify.bias", (num_classes,)),
    ]
    for index, part in enumerate(into + halves):
        kernel = (1, num_features, channels) if part in into else (2, channels, channels)
        arrays.append(("conv1d", index, "kernel", f"{part}.weight", kernel))
        arrays.append(("conv1d", index, "bias", f"{part}.bias", (channels,)))
    for index, part in enumerate(halves):
        for theirs, ours in _NORM.items():
            name = f"{part}.norm.{ours}"
            arrays.append(("batch_normalization", index, theirs, name, (channels,)))
    numbers = first or {}
    return {
        _dataset(kind, numbers.get(kind, 0) + index, theirs): (ours, shape)
        for kind, index, theirs, ours, shape in arrays
    }


def _dataset(kind: str, number: int, array: str) -> str:
    """Name in a file; the first layer of a kind has no number in its own."""
    layer = f"{kind}_{number}" if number else kind
    return f"{layer}/{layer}/{array}:0"


def _first_numbers(arrays: Mapping[str, Tensor]) -> dict[str, int]:
    """Smallest number of the layers of each kind."""
    first: dict[str, int] = {}
    for name in arrays:
        match = _LAYER.fullmatch(name.partition("/")[0])
        if match:
            kind, number = match[1], int(match[2] or 0)
            first[kind] = min(number, first.get(kind, number))
    return first


def _shape(
    arrays: Mapping[str, Tensor], kind: str, first: Mapping[str, int], axes: str, path: Path
) -> tuple[int, ...]:
    """Shape of the kernel of the first layer of a kind, whose axes are so many."""
    name = _dataset(kind, first.get(kind, 0), "kernel")
    if name not in arrays or arrays[name].ndim != axes.count(",") + 1:
        found = tuple(arrays[name].shape) if name in arrays else "absent"
        raise ValueError(f"{path}: {name} is {found}, not {axes}")
    return tuple(arrays[name].shape)


def _as_ours(name: str, array: Tensor) -> Tensor:
    """Array with the axes that it has in our network, where it is called so."""
    turned = array if array.ndim == 1 else array.flatten(0, -2).T.contiguous()
    return turned.flatten() if name == "fusion" else turned


def _read_arrays(path: Path) -> dict[str, Tensor]:
    """Arrays of a file by name; none is larger than the file, and all is in memory."""
    with path.open("rb") as stream:
        content = stream.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise ValueError(f"{path} has over {MAX_SIZE} bytes, where under a million are expected")
    arrays: dict[str, Tensor] = {}
    left = len(content)
    try:
        with _opened(content, path) as file:
            for name, dataset in _datasets(file):
                _refuse_unheld(name, dataset)
                left -= dataset.nbytes
                if left < 0:
                    raise _RefusedError(f"with {name} the arrays are larger than the file")
                arrays[name] = torch.from_numpy(dataset.astype(np.float32)[...])
    except _RefusedError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # a damaged file can cause anything
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged or no HDF5 file: {reason}") from None
    return arrays


def _opened(content: bytes, path: Path) -> h5py.File:
    """File in memory."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(content)
    # HDF5 refuses content under the name of a file that exists; below a file there is none.
    return h5py.File(h5f.open(os.fsencode(path / "content"), h5f.ACC_RDONLY, access))


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Datasets by name, in the file itself and no deeper than Keras puts them."""
    num_links = 0
    groups = [("", file)]
    while groups:
        prefix, group = groups.pop()
        for stored in group.id:
            name = stored.decode("ascii", "replace")
            num_links += 1
            if num_links > MAX_LINKS:
                raise _RefusedError(f"there are over {MAX_LINKS} names, where 600 are expected")
            if not _NAME.fullmatch(name) or name == ".":
                raise _RefusedError(f"{name[:40]!r} is no name that Keras gives")
            # Group.get would look whether a link leads anywhere, and open another file for that.
            if group.id.links.get_info(stored).type != h5l.TYPE_HARD:
                raise _RefusedError(f"{prefix}{name} is a link, and none is followed")
            found = group[name]
            if isinstance(found, h5py.Dataset):
                yield f"{prefix}{name}", found
            elif isinstance(found, h5py.Group) and prefix.count("/") < 2:
                groups.append((f"{prefix}{name}/", found))
            else:
                raise _RefusedError(f"{prefix}{name} is no array")


def _refuse_unheld(name: str, dataset: h5py.Dataset) -> None:
    """Refuse a dataset that is not as many floats in the file as it claims.

    Asking a virtual dataset for its shape may open other files already.
    """
    plan = dataset.id.get_create_plist()
    plain = plan.get_layout() in (h5d.CONTIGUOUS, h5d.COMPACT)
    if not plain or plan.get_external_count():
        raise _RefusedError(f"{name} is not stored in one piece in the file")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise _RefusedError(f"{name} is of type {dataset.dtype}, and floats are read")
    if not dataset.size or dataset.id.get_storage_size() != dataset.nbytes:
        raise _RefusedError(f"{name} is {dataset.shape}, which the file does not hold")
