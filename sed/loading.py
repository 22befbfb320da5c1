"""A pipeline, and the channels of a recording, by the names that commands and workers get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sed.audio import Recording
from sed.decoding import Binarize
from sed.pipeline import Pipeline
from sed.processors import set_threads
from sed.vad import VAD, VADS, Oracle, vad_named


def load_pipeline(
    model: str,
    *,
    device: str,
    dtype: str,
    vad: str,
    decoding: Mapping[str, Any],
    speech: Mapping[str, Any],
) -> Pipeline:
    """Pipeline of a command's options, on as many threads as there are cores for it.

    Raises
    ------
    ValueError
        If the model, device, VAD or a setting does not exist.
    """
    set_threads()
    return Pipeline.from_pretrained(
        model,
        device=choose_device(device),
        dtype=dtype,
        vad=choose_vad(vad),
        binarize=Binarize(**speech),
        decoding=dict(decoding),
    )


def choose_device(name: str) -> str:
    """Torch device of a name; "auto" is a CUDA GPU where there is one, else the processor.

    Raises
    ------
    ValueError
        If this machine has no such device.
    """
    import torch

    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return "cuda" if available["cuda"] else "cpu"
    kind, colon, index = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not available.get(kind) or (colon and index not in map(str, range(count))):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"--device {name} is not available here; choose auto or {usable}")
    return name


def choose_vad(name: str) -> VAD:
    """Detector of a name, or the regions of an RTTM or UEM file.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if name in VADS:
        return vad_named(name)
    if not Path(name).is_file():
        raise ValueError(f"--vad takes {', '.join(VADS)} or an RTTM or UEM file, not {name!r}")
    return Oracle.from_file(name)


def open_channels(path: str | Path, channel: str, *, uri: str) -> tuple[Recording, ...]:
    """What is diarized of a file: its mix, one channel, or each channel on its own.

    Parameters
    ----------
    path : str or Path
    channel : str
        "mix", "split" or a channel's number, counted from 1.
    uri : str

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or has no such channel.
    """
    number = int(channel) if channel.isdecimal() else None
    recording = Recording.open(path, uri=uri, channel=number)
    return recording.split() if channel == "split" else (recording,)
