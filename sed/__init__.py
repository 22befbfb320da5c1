"""Speech emotion diarization: which emotion appears when in a recording."""

__version__ = "0.1.0"
