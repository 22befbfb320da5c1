"""Checkpoints that are whole or do not count."""

from __future__ import annotations

from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer

_WHOLE = "WHOLE"


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's checkpointer, which passes over what a kill left half-written.

    SpeechBrain writes a checkpoint's description first and its tensors after it, so a run that is
    killed in between would start again from files that end in the middle. Here a last, empty file
    says that the others are whole.
    """

    def save_checkpoint(self, *arguments: Any, **options: Any) -> Checkpoint:
        """Write a checkpoint, and the mark that it is whole at the very end."""
        checkpoint = super().save_checkpoint(*arguments, **options)
        (checkpoint.path / _WHOLE).touch()
        return checkpoint

    def list_checkpoints(self) -> list[Checkpoint]:
        """Whole checkpoints."""
        return [found for found in super().list_checkpoints() if (found.path / _WHOLE).exists()]
