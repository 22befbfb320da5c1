"""Files of tensors that PyTorch pickled, of which only the tensors are read."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file by name, which stay in the file until they are used.

    Raises
    ------
    ValueError
        If it is damaged, or holds anything else.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.ckpt"
    >>> torch.save({"weight": torch.ones(2)}, path)
    >>> load_tensors(path)
    {'weight': tensor([1., 1.])}
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can cause anything
        raise ValueError(
            f"{path} is damaged or holds more than tensors; nothing of it was run and none of it "
            f"is used ({type(error).__name__})"
        ) from None
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise ValueError(f"{path} holds no tensors by name")
    return content


def fitted(
    tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path, what: str
) -> dict[str, Tensor]:
    """The tensors in the types that are expected, once every name and shape is.

    Parameters
    ----------
    tensors, expected : dict of str to Tensor
    path : Path
        Where the tensors are from.
    what : str
        Where the expectation is from.

    Raises
    ------
    ValueError
        If a name, shape or kind of number is another.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 3, bias=False).state_dict()
    >>> fitted({"weight": torch.ones(3, 1)}, layer, Path("model.ckpt"), "config.json")
    Traceback (most recent call last):
    ValueError: model.ckpt does not fit config.json: weight is (3, 1) float32, not (3, 2) float32
    """
    unfit = [
        f"{name} is {_kind(tensors.get(name))}, not {_kind(expected.get(name))}"
        for name in sorted(tensors.keys() | expected.keys())
        if name not in tensors or name not in expected or not _fits(tensors[name], expected[name])
    ]
    if unfit:
        others = f"; and {len(unfit) - 2} others" * (len(unfit) > 2)
        raise ValueError(f"{path} does not fit {what}: {'; '.join(unfit[:2])}{others}")
    return {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}


def _fits(tensor: Tensor, expected: Tensor) -> bool:
    """Whether a tensor is a plain one of the shape and kind of number expected."""
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return plain and tensor.shape == expected.shape and tensor.dtype in (*_FLOATS, expected.dtype)


def _kind(tensor: Tensor | None) -> str:
    """Shape and type of a tensor, for messages."""
    if tensor is None:
        return "absent"
    layout = "" if tensor.layout is torch.strided else "sparse "
    return f"{tuple(tensor.shape)} {layout}{str(tensor.dtype).removeprefix('torch.')}"
