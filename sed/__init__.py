"""Speech emotion diarization: which emotion appears when in a recording.

>>> from sed import Pipeline
>>> pipeline = Pipeline.from_pretrained("timnet-mfcc")
>>> annotation = pipeline("examples/call.wav")
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: its import costs every stream-editor line 6 ms
if TYPE_CHECKING:
    from sed.audio import Recording
    from sed.decoding import Binarize, Decoding
    from sed.formats import AnnotatedRecording, read, read_uem, write, write_uem
    from sed.labels import Emotion
    from sed.model import EmotionModel
    from sed.pipeline import Pipeline
    from sed.report import plot
    from sed.scoring import EmotionErrors, eder, score

__version__ = "0.1.0"

_HOMES = {
    "AnnotatedRecording": "sed.formats",
    "Binarize": "sed.decoding",
    "Decoding": "sed.decoding",
    "Emotion": "sed.labels",
    "EmotionErrors": "sed.scoring",
    "EmotionModel": "sed.model",
    "Pipeline": "sed.pipeline",
    "Recording": "sed.audio",
    "eder": "sed.scoring",
    "plot": "sed.report",
    "read": "sed.formats",
    "read_uem": "sed.formats",
    "score": "sed.scoring",
    "write": "sed.formats",
    "write_uem": "sed.formats",
}

__all__ = [
    "AnnotatedRecording",
    "Binarize",
    "Decoding",
    "Emotion",
    "EmotionErrors",
    "EmotionModel",
    "Pipeline",
    "Recording",
    "eder",
    "plot",
    "read",
    "read_uem",
    "score",
    "write",
    "write_uem",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `import sed` itself costs nothing."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'sed' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
