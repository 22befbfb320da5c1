"""Models of other packages, read as data."""
