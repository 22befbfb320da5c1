"""Models as ONNX: a file that every runtime reads, and onnxruntime to run it here."""

from __future__ import annotations

import contextlib
import importlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sed.hub import CONFIG, ONNX, read_config
from sed.model import EmotionModel
from sed.specifications import Specifications

OPSET = 20
"""Version of ONNX's operators; onnxruntime knows it from 1.17 on."""

INPUT, OUTPUT = "waveform", "posteriors"


def export(
    model: EmotionModel, folder: str | Path, *, opset: int = OPSET, card: str | None = None
) -> None:
    """Write a folder with ``model.onnx``, ``config.json`` and a model card.

    The file has one input, ``waveform`` (batch, num_samples) in float32, and one output,
    ``posteriors`` (batch, num_frames, num_classes), as `sed.model.EmotionModel` gives them, for
    any batch and any number of samples. The folder is written whole or not at all. Above 2 GB,
    which is all that such a file can hold, the weights lie in ``model.onnx.data``.

    Parameters
    ----------
    model : EmotionModel
        As `EmotionModel.from_pretrained` gives it.
    folder : str or Path
        Made if need be.
    opset : int
        Version of ONNX's operators, from 18 on.
    card : str, optional
        Text of the card, see `sed.cards.model_card`, which makes it by default.

    Raises
    ------
    ValueError
        If onnx or onnxscript are not installed, or the model is in training or made ready for
        inference in another dtype.

    Examples
    --------
    >>> model = EmotionModel(
    ...     classes=["neutral", "happy"], head=dict(name="linear"), window=60.0,
    ...     frontend=dict(name="mfcc", sample_rate=16_000, hop=320, window_length=512,
    ...                   fft_size=512, normalization=1.0)).eval()
    >>> folder = Path(tempfile.mkdtemp())
    >>> export(model, folder)
    >>> exported, waveform = OnnxModel(folder), torch.randn(3, 5_000)
    >>> bool(torch.allclose(exported(waveform), model(waveform), atol=1e-4))
    True
    """
    from sed.cards import write_description

    for package in ("onnx", "onnxscript"):
        _needed(package, "exporting a model")
    if model.training:
        raise ValueError("a model in training cannot be exported; call its eval() first")
    dtypes = {weight.dtype for weight in model.parameters()} - {torch.float32}
    if dtypes:
        raise ValueError(f"a model in {dtypes.pop()} cannot be exported; load it in float32")
    folder = Path(folder)
    program = _program(model, opset)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        program.save(Path(temporary) / ONNX)
        for path in Path(temporary).iterdir():
            path.replace(folder / path.name)
    weights = (tensor for tensor in model.state_dict().values() if tensor.is_floating_point())
    num_parameters = sum(tensor.numel() for tensor in weights)
    write_description(folder, model.content, num_parameters=num_parameters, card=card)


class OnnxModel:
    """An exported model, run by onnxruntime; takes the place of a `sed.model.EmotionModel`.

    Nothing but the operators of onnxruntime itself is executed.

    Parameters
    ----------
    folder : str or Path
        From `export`.
    device : str or torch.device
        ``cpu``, or ``cuda`` where onnxruntime-gpu is installed.
    dtype : {"auto", "float32"}
        What it computes in: it is stored in float32.
    num_threads : int, optional
        As many as torch uses by default.

    Attributes
    ----------
    specifications : Specifications
    decoding : dict
        Arguments of `sed.decoding.Decoding` that suit the model.

    Raises
    ------
    ValueError
        If onnxruntime is not installed, does not run on the device, or cannot read the model.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: str = "auto",
        num_threads: int | None = None,
    ) -> None:
        onnxruntime = _needed("onnxruntime", f"running {ONNX}")
        if dtype not in ("auto", "float32"):
            raise ValueError(f"an exported model computes in float32, not in {dtype}")
        folder = Path(folder)
        content = read_config(folder)
        try:
            self.specifications = Specifications(**content["specifications"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / CONFIG} describes no model: {error}") from None
        self.decoding: dict[str, Any] = content.get("decoding") or {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or torch.get_num_threads()
        options.log_severity_level = 4  # what goes wrong is raised, and not printed as well
        providers = _providers(onnxruntime, torch.device(device))
        try:
            self._session = onnxruntime.InferenceSession(
                folder / ONNX, options, providers=providers
            )
        except Exception as error:  # the errors of onnxruntime have no other base
            reason = f"{_first_line(error)}; export it again"
            raise ValueError(f"{folder / ONNX} cannot be run: {reason}") from None
        if self._session.get_providers()[0] != providers[0][0]:
            raise ValueError(f"onnxruntime found no CUDA that fits it for {device}; say cpu")
        self._check_signature(folder)

    def __call__(self, waveform: Tensor | np.ndarray) -> Tensor:
        """Posteriors of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor or np.ndarray

        Returns
        -------
        (batch, num_frames, num_classes) Tensor
            On the CPU. One frame for every cell of the grid that holds a sample, as in
            `sed.model.EmotionModel.forward`.

        Raises
        ------
        torch.OutOfMemoryError
            If the device's memory is too small for them.
        """
        samples = torch.as_tensor(waveform).detach().to("cpu", torch.float32).numpy()
        try:
            (posteriors,) = self._session.run([OUTPUT], {INPUT: samples})
        except Exception as error:
            if "Failed to allocate memory" in str(error):
                raise torch.OutOfMemoryError(_first_line(error)) from None
            raise
        return torch.from_numpy(posteriors)

    def _check_signature(self, folder: Path) -> None:
        """Refuse a file whose input or output are not those of `export`.

        Raises
        ------
        ValueError
            If it is another kind of model, or has another number of classes.
        """
        session, num_classes = self._session, len(self.specifications.classes)
        inputs = [value.name for value in session.get_inputs()]
        outputs = [(value.name, value.shape[-1:]) for value in session.get_outputs()]
        if inputs != [INPUT] or outputs != [(OUTPUT, [num_classes])]:
            raise ValueError(
                f"{folder / ONNX} does not fit {CONFIG}, which promises {OUTPUT} of {num_classes} "
                f"classes for a {INPUT}"
            )


@torch.no_grad()
def _program(model: EmotionModel, opset: int) -> torch.onnx.ONNXProgram:
    """A model as ONNX, in memory.

    Raises
    ------
    ValueError
        If it holds what ONNX has no operators for.
    """
    from torch.export import Dim
    from torch.nn.attention import SDPBackend, sdpa_kernel

    weight = next(model.parameters())
    # Torch takes sizes of one for constants. Any others will do.
    example = torch.zeros(2, model.specifications.sample_rate, device=weight.device)
    try:
        # The fused kernels give memory layouts that torch cannot follow when the length is open.
        with _silence(), sdpa_kernel(SDPBackend.MATH):
            program = torch.onnx.export(
                model,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: Dim("batch"), 1: Dim("num_samples")}},
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(
            f"the model cannot be exported as it is; load it anew: {_first_line(error)}"
        ) from error
    assert program is not None
    passes = importlib.import_module("onnxscript.ir.passes.common")
    passes.ClearMetadataAndDocStringPass()(program.model)  # stack traces, with this machine's paths
    return program


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep torch's exporter from telling of itself: of torchvision, and of what it deprecates."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _needed(package: str, purpose: str) -> Any:
    """Module of an extra package.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ValueError(
            f"{purpose} needs {package}; pip install 'speech-emotion-diarization[onnx]'"
        ) from None


def _providers(onnxruntime: Any, device: torch.device) -> list[tuple[str, dict[str, Any]]]:
    """What onnxruntime runs on, by preference.

    Raises
    ------
    ValueError
        If it cannot run there.
    """
    cpu: tuple[str, dict[str, Any]] = ("CPUExecutionProvider", {})
    cuda = ("CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0})
    if device.type == "cpu":
        return [cpu]
    if device.type != "cuda":
        raise ValueError(f"an exported model runs on cpu or cuda, not on {device}")
    if cuda[0] not in onnxruntime.get_available_providers():
        raise ValueError(
            f"the onnxruntime that is installed does not run on {device}; pip install "
            f"onnxruntime-gpu in its place, or say cpu"
        )
    return [cuda, cpu]


def _first_line(error: Exception) -> str:
    """What an error says, in short."""
    return str(error).strip().partition("\n")[0]
