"""Spectra of a waveform, one vector per cell of the frame grid: logarithms of them, and MFCCs."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn


class Spectrum(nn.Module):
    """Short-time spectra on the frame grid; what comes of them is a subclass's.

    ::

        samples   |---- hop ----|---- hop ----|---- hop ----|
        cells            0             1             2
        windows     [======+======]
                                  centred on its cell, or (as in librosa) on the cell's onset

    Parameters
    ----------
    sample_rate : int
        Samples per second.
    hop : int
        Samples between frames.
    window_length, fft_size : int
        Samples under the window, and of the transform it is zero-padded to.
    window : {"hann", "hamming"}
        Shape of the (periodic) window.
    centre : {"cell", "onset"}
        What the windows are centred on.

    Attributes
    ----------
    num_features : int
        Width of a vector.
    decibel : float
        One decibel in the unit of the features.
    """

    taper: Tensor
    num_features: int
    decibel: float

    def __init__(
        self,
        *,
        sample_rate: int,
        hop: int,
        window_length: int,
        fft_size: int,
        window: Literal["hann", "hamming"] = "hann",
        centre: Literal["cell", "onset"] = "cell",
    ) -> None:
        super().__init__()
        if window_length > fft_size:
            raise ValueError(f"window_length {window_length} exceeds fft_size {fft_size}")
        _check_choice("window", window, "hann", "hamming")
        _check_choice("centre", centre, "cell", "onset")
        self.sample_rate, self.hop, self.fft_size = sample_rate, hop, fft_size
        self.left = fft_size // 2 - (hop // 2 if centre == "cell" else 0)
        shape = torch.hann_window if window == "hann" else torch.hamming_window
        margin = fft_size - window_length
        taper = nn.functional.pad(shape(window_length), (margin // 2, margin - margin // 2))
        self.register_buffer("taper", taper, persistent=False)

    @property
    def context(self) -> int:
        """Frames on each side whose samples a frame's window reaches into."""
        return math.ceil(self.fft_size / 2 / self.hop)

    def power(self, waveform: Tensor) -> Tensor:
        """Power spectra of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, fft_size // 2 + 1) Tensor
            ``num_frames = ceil(num_samples / hop)``; windows that reach past the ends see zeros.
        """
        num_frames = (waveform.shape[-1] + self.hop - 1) // self.hop  # in ONNX, -5 // 2 is -2
        right = (num_frames - 1) * self.hop + self.fft_size - self.left - waveform.shape[-1]
        padded = nn.functional.pad(waveform, (self.left, max(0, right)))
        frames = padded.unfold(-1, self.fft_size, self.hop)[:, :num_frames]
        return torch.fft.rfft(frames * self.taper).abs().square()


class LogSpectrum(Spectrum):
    """Natural logarithm of the power in each bin of the transform.

    Power below 1e-10 (samples reach 1) counts as that.

    Parameters
    ----------
    **spectrum
        Arguments of `Spectrum`.

    Examples
    --------
    >>> LogSpectrum.from_paper()(torch.randn(2, 8_000)).shape
    torch.Size([2, 63, 257])
    """

    decibel = math.log(10.0) / 10.0

    def __init__(self, **spectrum: Any) -> None:
        super().__init__(**spectrum)
        self.num_features = self.fft_size // 2 + 1

    @classmethod
    def from_paper(cls) -> LogSpectrum:
        """Setting of da Silva et al., section 4.2: 8 kHz, 512 samples every 128, 257 bins.

        The paper names no window: Hann's.
        """
        return cls(sample_rate=8_000, hop=128, window_length=512, fft_size=512)

    def forward(self, waveform: Tensor) -> Tensor:
        """Log-spectra of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, fft_size // 2 + 1) Tensor
            As many frames as `power` gives.
        """
        return torch.log(torch.clamp(self.power(waveform), min=1e-10))


class MFCC(Spectrum):
    """Mel-frequency cepstral coefficients, one vector per cell of the frame grid.

    Parameters
    ----------
    num_coefficients, num_mels : int
        Cepstral coefficients kept, mel bands they are made from.
    fmin, fmax : float
        Edges of the mel filters in Hz; the Nyquist frequency where `fmax` is None.
    top_db : float
        Decibels below the loudest band at which bands are clamped.
    top_db_over : {"frame", "input"}
        Where the loudest band is looked for: in each frame, which needs no context and is the same
        for a clip, a call and a stream, or in the whole input, as librosa does: in inference that
        is a window with its context, and posteriors then depend a little on where windows end.
    **spectrum
        Arguments of `Spectrum`.

    Examples
    --------
    >>> features = MFCC(sample_rate=16_000, hop=320, window_length=512, fft_size=512)
    >>> features(torch.randn(2, 16_000)).shape
    torch.Size([2, 50, 39])
    """

    decibel = 1.0
    mel: Tensor
    dct: Tensor

    def __init__(
        self,
        *,
        num_coefficients: int = 39,
        num_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        top_db: float = 80.0,
        top_db_over: Literal["frame", "input"] = "frame",
        **spectrum: Any,
    ) -> None:
        from torchaudio.functional import create_dct, melscale_fbanks

        super().__init__(**spectrum)
        if num_coefficients > num_mels:
            raise ValueError(f"{num_coefficients} coefficients need as many mels, not {num_mels}")
        _check_choice("top_db_over", top_db_over, "frame", "input")
        self.top_db, self.top_db_over = top_db, top_db_over
        self.num_features = self.num_coefficients = num_coefficients
        mel = melscale_fbanks(
            self.fft_size // 2 + 1,
            fmin,
            self.sample_rate / 2 if fmax is None else fmax,
            num_mels,
            self.sample_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("mel", mel, persistent=False)
        self.register_buffer(
            "dct", create_dct(num_coefficients, num_mels, norm="ortho"), persistent=False
        )

    @classmethod
    def from_paper(cls) -> MFCC:
        """Setting of the TIM-Net paper's text (Ye et al. 2023, section 2.1).

        39 coefficients, 50 ms Hamming windows every 12.5 ms, 2048-point transform, 22.05 kHz. The
        shift of 275.625 samples is rounded to 276.
        """
        return cls(
            sample_rate=22_050, hop=276, window_length=1102, fft_size=2048, window="hamming",
            top_db_over="input",
        )  # fmt: skip

    @classmethod
    def from_code(cls) -> MFCC:
        """Setting of the TIM-Net authors' code: librosa's defaults at 22.05 kHz.

        Agrees with ``librosa.feature.mfcc(y=…, sr=22050, n_mfcc=39)`` to 2e-3 (values reach
        several hundred), but for librosa's one more frame where the length is a multiple of the
        hop.
        """
        return cls(
            sample_rate=22_050, hop=512, window_length=2048, fft_size=2048,
            top_db_over="input", centre="onset",
        )  # fmt: skip

    def forward(self, waveform: Tensor) -> Tensor:
        """Cepstra of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_coefficients) Tensor
            As many frames as `power` gives.
        """
        decibels = 10.0 * torch.log10(torch.clamp(self.power(waveform) @ self.mel, min=1e-10))
        dims = (-1,) if self.top_db_over == "frame" else (-1, -2)
        loudest = decibels.amax(dim=dims, keepdim=True)
        return torch.maximum(decibels, loudest - self.top_db) @ self.dct


def _check_choice(name: str, value: str, *known: str) -> None:
    """Refuse a value that is none of those known.

    Raises
    ------
    ValueError
        If it is not.
    """
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; known are {', '.join(known)}")
