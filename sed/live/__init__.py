"""Live streams: audio in blocks of any size, emotion segments out as they settle."""

from sed.live.stream import Live, Update

__all__ = ["Live", "Update"]
