"""Whole archives of recordings: found as a stream, diarized by many, kept as a Parquet dataset."""
