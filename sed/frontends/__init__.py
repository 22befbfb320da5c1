"""Features that need no pre-trained encoder: cepstra and log-spectra, normalised or not, by name.

Everything here looks at a bounded stretch of signal around a frame, so a recording gives the same
features in one piece, in blocks, or as a stream.
"""

from __future__ import annotations

from sed.frontends.features import (
    CepstralFeatures,
    LogSpectralFeatures,
    SlidingNormalization,
    SpectralFeatures,
)
from sed.frontends.spectra import MFCC, LogSpectrum, Spectrum

__all__ = [
    "FRONTENDS",
    "MFCC",
    "CepstralFeatures",
    "LogSpectralFeatures",
    "LogSpectrum",
    "SlidingNormalization",
    "SpectralFeatures",
    "Spectrum",
]

FRONTENDS: dict[str, type[SpectralFeatures]] = {
    "mfcc": CepstralFeatures,
    "log-spectrum": LogSpectralFeatures,
}
