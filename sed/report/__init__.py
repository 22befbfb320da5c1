"""Pictures of what was found: one recording, its emotions, and where they are wrong."""

from sed.report.page import PageWriter
from sed.report.picture import Panel, Picture, plot

__all__ = ["PageWriter", "Panel", "Picture", "plot"]
