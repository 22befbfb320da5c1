"""The frame-wise classifier: a front-end, a head, and the specifications they were trained with."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sed.files import whole_file
from sed.frames import FrameGrid
from sed.frontends import MFCC, SlidingNormalization
from sed.heads import TIMNet
from sed.labels import NEUTRAL, canonical

PRETRAINED = Path(__file__).parent / "pretrained"
"""Models that are part of the package, one folder each."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"

_UNUSED = "num_batches_tracked"  # of no use outside of training, and so not stored

# What arguments of the wrong type, name or size cause in the layers they reach.
_NO_MODEL = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Specifications:
    """What a model expects of its input and promises of its output.

    Parameters
    ----------
    classes : tuple of str
        Full emotion names in the order of the output, neutral among them.
    sample_rate : int
        Samples per second of the input.
    hop : int
        Samples per output frame.
    context : int
        Frames on each side that an output frame depends on. Frames further from a window's edge
        are the same in any window.
    window : float
        Seconds of speech that go through the network at once.
    """

    classes: tuple[str, ...]
    sample_rate: int
    hop: int
    context: int
    window: float

    def __post_init__(self) -> None:
        """Refuse specifications without neutral, with unknown classes, or without extent."""
        object.__setattr__(self, "classes", tuple(canonical(name) for name in self.classes))
        if NEUTRAL not in self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(
                f"classes must be distinct and hold {NEUTRAL!r}, not {', '.join(self.classes)}"
            )
        if self.context < 0 or self.window <= 0:
            raise ValueError(f"context and window must not be negative: {self}")

    @property
    def neutral(self) -> int:
        """Column of the neutral class."""
        return self.classes.index(NEUTRAL)

    @property
    def grid(self) -> FrameGrid:
        """Frame grid of the output."""
        return FrameGrid(self.sample_rate, self.hop)


class EmotionModel(nn.Module):
    """Waveform to frame-wise emotion posteriors.

    ::

        waveform ── MFCC ── sliding normalisation ── TIM-Net ── softmax ── posteriors

    Parameters
    ----------
    classes : sequence of str
        Emotions in the order of the output, neutral among them.
    frontend : dict
        Arguments of `sed.frontends.MFCC`.
    normalization : float
        Seconds on each side over which features are normalised.
    with_deviation : bool
        Whether the network sees the features' deviation too, see
        `sed.frontends.SlidingNormalization`.
    head : dict
        Arguments of `sed.heads.TIMNet` beyond the widths of input and output.
    window : float
        Seconds of speech that go through the network at once in inference.

    Examples
    --------
    >>> model = EmotionModel(
    ...     classes=["neutral", "happy", "sad", "angry"],
    ...     frontend=dict(sample_rate=16_000, hop=320, window_length=512, fft_size=512),
    ...     normalization=10.0, head=dict(channels=8, num_blocks=3), window=60.0).eval()
    >>> import torch
    >>> posteriors = model(torch.randn(1, 16_000))
    >>> posteriors.shape, bool(torch.allclose(posteriors.sum(-1), torch.ones(1, 50)))
    (torch.Size([1, 50, 4]), True)
    """

    def __init__(
        self,
        *,
        classes: list[str] | tuple[str, ...],
        frontend: dict[str, Any],
        normalization: float,
        head: dict[str, Any],
        window: float,
        with_deviation: bool = False,
    ) -> None:
        super().__init__()
        self.frontend = MFCC(**frontend)
        grid = FrameGrid(self.frontend.sample_rate, self.frontend.hop)
        self.normalization = SlidingNormalization(
            grid.frame(normalization), with_deviation=with_deviation
        )
        num_features = self.normalization.num_features(self.frontend.num_features)
        self.head = TIMNet(num_features, len(classes), **head)
        self.specifications = Specifications(
            classes=tuple(classes),
            sample_rate=grid.sample_rate,
            hop=grid.hop,
            context=self.frontend.context + self.normalization.context + self.head.context,
            window=window,
        )
        self.config: dict[str, Any] = {
            "classes": list(self.specifications.classes),
            "frontend": frontend,
            "normalization": normalization,
            "head": head,
            "window": window,
            "with_deviation": with_deviation,
        }

    def features(self, waveform: Tensor) -> Tensor:
        """Normalised features of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_features) Tensor
        """
        return self.normalization(self.frontend(waveform))

    def forward(self, waveform: Tensor) -> Tensor:
        """Posteriors of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            Sums to one over the classes.
        """
        return self.head(self.features(waveform)).softmax(dim=-1)

    def save_pretrained(
        self, folder: str | Path, *, decoding: dict[str, Any] | None = None
    ) -> None:
        """Write a folder that `from_pretrained` reads.

        Parameters
        ----------
        folder : str or Path
            Made if need be; ``config.json`` and ``model.safetensors`` go there.
        decoding : dict, optional
            Arguments of `sed.decoding.Decoding` that suit the model.
        """
        from safetensors.torch import save

        folder = Path(folder)
        content = {
            "specifications": dataclasses.asdict(self.specifications),
            "model": self.config,
            "decoding": decoding or {},
        }
        with whole_file(folder / CONFIG) as stream:
            stream.write(json.dumps(content, indent=2) + "\n")
        weights = {
            name: tensor.contiguous()
            for name, tensor in self.state_dict().items()
            if not name.endswith(_UNUSED)
        }
        temporary = folder / f".{WEIGHTS}"
        try:
            temporary.write_bytes(save(weights))  # save_file would let the owner alone read it
            temporary.replace(folder / WEIGHTS)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path) -> EmotionModel:
        """Model of the package, or of a folder, ready for inference.

        Parameters
        ----------
        name_or_path : str or Path
            Name of an embedded model or path of a folder with ``config.json`` and
            ``model.safetensors``. Nothing in it is executed.

        Raises
        ------
        ValueError
            If there is no such model, or config and weights do not fit.

        Examples
        --------
        >>> EmotionModel.from_pretrained("timnet-mfcc").specifications.classes
        ('neutral', 'happy', 'sad', 'angry')
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = model_folder(name_or_path)
        content = read_config(folder)
        try:
            model = cls(**content["model"])
            declared = Specifications(**content["specifications"])
        except _NO_MODEL as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{folder / CONFIG} describes no model: {reason}") from None
        if declared != model.specifications:
            raise ValueError(
                f"{folder / CONFIG}: the specifications say {declared}, the model has "
                f"{model.specifications}"
            )
        try:
            weights = load_file(folder / WEIGHTS)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{folder / WEIGHTS} cannot be read: {error}") from None
        own = model.state_dict()
        shapes = {name: own[name].shape for name in own if not name.endswith(_UNUSED)}
        odd = sorted(
            name
            for name in shapes.keys() | weights.keys()
            if name not in shapes or name not in weights or weights[name].shape != shapes[name]
        )
        if odd:
            raise ValueError(
                f"{folder / WEIGHTS} does not fit {CONFIG}: missing, unknown or of another shape "
                f"are {', '.join(odd[:3])}" + (f" and {len(odd) - 3} others" * (len(odd) > 3))
            )
        model.load_state_dict(weights, strict=False)
        return model.eval()


def embedded_models() -> list[str]:
    """Names of the models that are part of the package."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CONFIG}"))


def model_folder(name_or_path: str | Path) -> Path:
    """Folder of a model.

    Raises
    ------
    ValueError
        If it is neither an embedded name nor a folder that holds a model.
    """
    for folder in (PRETRAINED / str(name_or_path), Path(name_or_path)):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    raise ValueError(
        f"no model {str(name_or_path)!r}: neither embedded ({', '.join(embedded_models())}) nor a "
        f"folder with {CONFIG} and {WEIGHTS}"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Content of a model's ``config.json``.

    Raises
    ------
    ValueError
        If it is no JSON object with the parts that a model needs.
    """
    path = folder / CONFIG
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict) or not {"specifications", "model"} <= set(content):
        raise ValueError(f"{path} is not the config of a model of this package")
    return content
