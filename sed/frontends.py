"""Features that need no pre-trained encoder: MFCCs, normalised over a sliding context.

Everything here looks at a bounded stretch of signal around a frame, so a recording gives the same
features in one piece, in blocks, or as a stream.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn


class MFCC(nn.Module):
    """Mel-frequency cepstral coefficients, one vector per cell of the frame grid.

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
    num_coefficients, num_mels : int
        Cepstral coefficients kept, mel bands they are made from.
    window : {"hann", "hamming"}
        Shape of the (periodic) window.
    fmin, fmax : float
        Edges of the mel filters in Hz; the Nyquist frequency where `fmax` is None.
    top_db : float
        Decibels below the loudest band at which bands are clamped.
    top_db_over : {"frame", "input"}
        Where the loudest band is looked for: in each frame, which needs no context and is the same
        for a clip, a call and a stream, or in the whole input, as librosa does: in inference that
        is a window with its context, and posteriors then depend a little on where windows end.
    centre : {"cell", "onset"}
        What the windows are centred on.

    Examples
    --------
    >>> features = MFCC(sample_rate=16_000, hop=320, window_length=512, fft_size=512)
    >>> features(torch.randn(2, 16_000)).shape
    torch.Size([2, 50, 39])
    """

    taper: Tensor
    mel: Tensor
    dct: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        hop: int,
        window_length: int,
        fft_size: int,
        num_coefficients: int = 39,
        num_mels: int = 128,
        window: Literal["hann", "hamming"] = "hann",
        fmin: float = 0.0,
        fmax: float | None = None,
        top_db: float = 80.0,
        top_db_over: Literal["frame", "input"] = "frame",
        centre: Literal["cell", "onset"] = "cell",
    ) -> None:
        from torchaudio.functional import create_dct, melscale_fbanks

        super().__init__()
        if window_length > fft_size:
            raise ValueError(f"window_length {window_length} exceeds fft_size {fft_size}")
        if num_coefficients > num_mels:
            raise ValueError(f"{num_coefficients} coefficients need as many mels, not {num_mels}")
        choices = {"window": "hann hamming", "top_db_over": "frame input", "centre": "cell onset"}
        for name, value in zip(choices, (window, top_db_over, centre), strict=True):
            if value not in choices[name].split():
                known = choices[name].replace(" ", ", ")
                raise ValueError(f"unknown {name} {value!r}; known are {known}")
        self.sample_rate, self.hop = sample_rate, hop
        self.fft_size, self.num_coefficients = fft_size, num_coefficients
        self.top_db, self.top_db_over = top_db, top_db_over
        self.num_features = num_coefficients
        self.left = fft_size // 2 - (hop // 2 if centre == "cell" else 0)
        shape = torch.hann_window if window == "hann" else torch.hamming_window
        margin = fft_size - window_length
        taper = nn.functional.pad(shape(window_length), (margin // 2, margin - margin // 2))
        mel = melscale_fbanks(
            fft_size // 2 + 1,
            fmin,
            sample_rate / 2 if fmax is None else fmax,
            num_mels,
            sample_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("taper", taper, persistent=False)
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

    @property
    def context(self) -> int:
        """Frames on each side whose samples a frame's window reaches into."""
        return math.ceil(self.fft_size / 2 / self.hop)

    def forward(self, waveform: Tensor) -> Tensor:
        """Cepstra of waveforms of equal length.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor

        Returns
        -------
        (batch, num_frames, num_coefficients) Tensor
            ``num_frames = ceil(num_samples / hop)``; windows that reach past the ends see zeros.
        """
        num_frames = (waveform.shape[-1] + self.hop - 1) // self.hop  # in ONNX, -5 // 2 is -2
        right = (num_frames - 1) * self.hop + self.fft_size - self.left - waveform.shape[-1]
        padded = nn.functional.pad(waveform, (self.left, max(0, right)))
        frames = padded.unfold(-1, self.fft_size, self.hop)[:, :num_frames]
        power = torch.fft.rfft(frames * self.taper).abs().square()
        decibels = 10.0 * torch.log10(torch.clamp(power @ self.mel, min=1e-10))
        dims = (-1,) if self.top_db_over == "frame" else (-1, -2)
        loudest = decibels.amax(dim=dims, keepdim=True)
        return torch.maximum(decibels, loudest - self.top_db) @ self.dct


class SlidingNormalization(nn.Module):
    """Zero mean and unit variance of every feature over the frames around each frame.

    ::

        frames     0 . . . . . . t . . . . . . . . end
        context          [=======+=======]           at most `context` frames on each side,
                                                     fewer at the ends of the recording

    A clip shorter than the context is normalised as a whole, a call over a sliding stretch of it;
    training recordings and calls therefore look the same to the network.

    Parameters
    ----------
    context : int
        Frames on each side.
    with_deviation : bool
        Whether the logarithm of each feature's deviation follows the normalised features. It says
        how lively the voice is, which normalising takes away, and no microphone changes it.

    Examples
    --------
    >>> normalized = SlidingNormalization(context=500)(torch.randn(1, 300, 39) * 5 + 2)
    >>> bool(normalized.mean().abs() < 1e-4), round(float(normalized.std()), 2)
    (True, 1.0)
    """

    def __init__(self, context: int, *, with_deviation: bool = False) -> None:
        super().__init__()
        if context < 1:
            raise ValueError(f"a context of {context} frames cannot be normalised over")
        self.context, self.with_deviation = context, with_deviation

    def num_features(self, num_features: int) -> int:
        """Width of the output for an input of `num_features`."""
        return 2 * num_features if self.with_deviation else num_features

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features of equal length.

        Parameters
        ----------
        features : (batch, num_frames, num_features) Tensor

        Returns
        -------
        (batch, num_frames, num_features) Tensor
            Twice as wide with the deviation.
        """
        num_frames = features.shape[1]
        # Sums in float64: a difference of two long float32 sums would lose the small variances.
        # Apple's GPU has no float64, so there it is the processor that sums.
        values = (features.cpu() if features.device.type == "mps" else features).double()
        time = torch.arange(num_frames, device=values.device)
        first = torch.clamp(time - self.context, min=0)
        end = torch.clamp(time + self.context + 1, max=num_frames)
        sums_of = torch.stack((values, values.square()))
        sums = nn.functional.pad(sums_of.cumsum(dim=2), (0, 0, 1, 0))
        mean, square = (sums[:, :, end] - sums[:, :, first]) / (end - first)[:, None]
        deviation = (square - mean.square()).clamp(min=0.0).sqrt()
        # A context without variance (silence, a single frame) is only centred: 1 dB is the floor.
        deviation = deviation.clamp(min=1.0)
        normalized = (values - mean) / deviation
        if self.with_deviation:  # about 7 dB in speech: its logarithm is brought close to zero
            normalized = torch.cat((normalized, deviation.log() - 2.0), dim=-1)
        return normalized.to(features)


class CepstralFeatures(nn.Module):
    """MFCCs and their sliding normalisation: what a model without an encoder sees.

    Parameters
    ----------
    normalization : float
        Seconds on each side over which features are normalised.
    with_deviation : bool
        Whether the features' deviation follows them, see `SlidingNormalization`.
    **mfcc
        Arguments of `MFCC`.

    Examples
    --------
    >>> features = CepstralFeatures(
    ...     normalization=10.0, sample_rate=16_000, hop=320, window_length=512, fft_size=512)
    >>> features(torch.randn(2, 16_000)).shape, features.context
    (torch.Size([2, 50, 39]), 501)
    """

    edge_padding = 0

    def __init__(self, *, normalization: float, with_deviation: bool = False, **mfcc: Any) -> None:
        super().__init__()
        self.mfcc = MFCC(**mfcc)
        frames = round(normalization * self.mfcc.sample_rate / self.mfcc.hop)
        self.normalization = SlidingNormalization(frames, with_deviation=with_deviation)
        self.sample_rate, self.hop = self.mfcc.sample_rate, self.mfcc.hop
        self.num_features = self.normalization.num_features(self.mfcc.num_features)
        self.context = self.mfcc.context + self.normalization.context

    def num_frames(self, num_samples: int) -> int:
        """Frames of an input: one for every cell of the grid that holds a sample."""
        return -(-num_samples // self.hop)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of waveforms.

        Parameters
        ----------
        waveform : (batch, num_samples) Tensor
        lengths : (batch,) Tensor of int, optional
            True samples of each waveform, all by default. What lies beyond is not looked at: a
            recording has the same features alone and beside a longer one.

        Returns
        -------
        (batch, ceil(num_samples / hop), num_features) Tensor
            Zero beyond a waveform's own frames, which `num_frames` counts. In mixed precision they
            stay in float32: of a hundred decibels, bfloat16 leaves two digits.
        """
        kind = waveform.device.type
        if torch.is_autocast_enabled(kind):
            with torch.autocast(kind, enabled=False):
                return self(waveform, lengths)
        if lengths is None:
            features: Tensor = self.normalization(self.mfcc(waveform))
            return features
        rows = zip(waveform, lengths.tolist(), strict=True)
        alone = [self.normalization(self.mfcc(row[None, :length]))[0] for row, length in rows]
        return nn.utils.rnn.pad_sequence(alone, batch_first=True)
