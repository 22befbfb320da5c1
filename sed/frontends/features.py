"""What a network without an encoder sees: spectra or cepstra, normalised over a sliding context."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sed.frontends.spectra import MFCC, LogSpectrum, Spectrum


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
    decibel : float
        One decibel in the unit of the features. No deviation counts as less.

    Examples
    --------
    >>> normalized = SlidingNormalization(context=500)(torch.randn(1, 300, 39) * 5 + 2)
    >>> bool(normalized.mean().abs() < 1e-4), round(float(normalized.std()), 2)
    (True, 1.0)
    """

    def __init__(self, context: int, *, with_deviation: bool = False, decibel: float = 1.0) -> None:
        super().__init__()
        if context < 1:
            raise ValueError(f"a context of {context} frames cannot be normalised over")
        self.context, self.with_deviation, self.decibel = context, with_deviation, decibel

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
        deviation = deviation.clamp(min=self.decibel)
        normalized = (values - mean) / deviation
        if self.with_deviation:  # about 7 dB in speech: its logarithm is brought close to zero
            liveliness = (deviation / self.decibel).log() - 2.0
            normalized = torch.cat((normalized, liveliness), dim=-1)
        return normalized.to(features)


class SpectralFeatures(nn.Module):
    """Spectra or cepstra, and their sliding normalisation.

    Parameters
    ----------
    spectrum : Spectrum
        What computes them.
    normalization : float, optional
        Seconds on each side over which they are normalised; not at all where it is None.
    with_deviation : bool
        Whether the features' deviation follows them, see `SlidingNormalization`.

    Raises
    ------
    ValueError
        If a deviation is asked for, but no normalisation that would give it.
    """

    edge_padding = 0

    def __init__(
        self, spectrum: Spectrum, *, normalization: float | None, with_deviation: bool = False
    ) -> None:
        super().__init__()
        self.spectrum = spectrum
        self.sample_rate, self.hop = spectrum.sample_rate, spectrum.hop
        self.num_features, self.context = spectrum.num_features, spectrum.context
        self.normalization: SlidingNormalization | None = None
        if normalization is not None:
            self.normalization = SlidingNormalization(
                round(normalization * self.sample_rate / self.hop),
                with_deviation=with_deviation,
                decibel=spectrum.decibel,
            )
            self.num_features = self.normalization.num_features(self.num_features)
            self.context += self.normalization.context
        elif with_deviation:
            raise ValueError("with_deviation needs a normalization in seconds, which is None")

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
            return self._of_equal_length(waveform)
        rows = zip(waveform, lengths.tolist(), strict=True)
        alone = [self._of_equal_length(row[None, :length])[0] for row, length in rows]
        return nn.utils.rnn.pad_sequence(alone, batch_first=True)

    def _of_equal_length(self, waveform: Tensor) -> Tensor:
        """Features of waveforms without padding."""
        features: Tensor = self.spectrum(waveform)
        return features if self.normalization is None else self.normalization(features)


class CepstralFeatures(SpectralFeatures):
    """MFCCs and their sliding normalisation: ``mfcc`` in a config.

    Parameters
    ----------
    normalization, with_deviation
        As in `SpectralFeatures`.
    **mfcc
        Arguments of `MFCC`.

    Examples
    --------
    >>> features = CepstralFeatures(
    ...     normalization=10.0, sample_rate=16_000, hop=320, window_length=512, fft_size=512)
    >>> features(torch.randn(2, 16_000)).shape, features.context
    (torch.Size([2, 50, 39]), 501)
    """

    def __init__(
        self, *, normalization: float | None, with_deviation: bool = False, **mfcc: Any
    ) -> None:
        super().__init__(MFCC(**mfcc), normalization=normalization, with_deviation=with_deviation)


class LogSpectralFeatures(SpectralFeatures):
    """Log-spectra, normalised if asked for: ``log-spectrum`` in a config.

    The features of da Silva et al., section 4.2, who speak of no normalisation.

    Parameters
    ----------
    normalization, with_deviation
        As in `SpectralFeatures`.
    **spectrum
        Arguments of `LogSpectrum`.

    Examples
    --------
    >>> features = LogSpectralFeatures(
    ...     sample_rate=8_000, hop=128, window_length=512, fft_size=512)
    >>> features(torch.randn(2, 8_000)).shape, features.context
    (torch.Size([2, 63, 257]), 2)
    """

    def __init__(
        self, *, normalization: float | None = None, with_deviation: bool = False, **spectrum: Any
    ) -> None:
        super().__init__(
            LogSpectrum(**spectrum), normalization=normalization, with_deviation=with_deviation
        )
