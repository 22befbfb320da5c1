"""Checkpoints that are whole or do not count."""

from __future__ import annotations

import errno
import os
import re
import shutil
from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from sed.training.exports import WHOLE

# What torch says, as a RuntimeError, of a file that it cannot write to its end.
_UNWRITTEN = re.compile(r"iostream error|inline_container|file write failed")


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's checkpointer, which passes over what a kill left half-written.

    SpeechBrain writes a checkpoint's description first and its tensors after it, so a run that is
    killed in between would start again from files that end in the middle. Here a last, empty file
    says that the others are whole. Where the disk is full, the unfinished checkpoint is removed.
    """

    def save_checkpoint(self, *arguments: Any, **options: Any) -> Checkpoint:
        """Write a checkpoint, and the mark that it is whole at the very end.

        Raises
        ------
        OSError
            If the disk is full or must not be written.
        """
        before = set(self.checkpoints_dir.glob("*"))
        try:
            checkpoint = super().save_checkpoint(*arguments, **options)
            if if_main_process():
                (checkpoint.path / WHOLE).touch()
        except (OSError, RuntimeError) as error:
            for unfinished in set(self.checkpoints_dir.glob("*")) - before:
                shutil.rmtree(unfinished, ignore_errors=True)
            if isinstance(error, RuntimeError) and not _UNWRITTEN.search(str(error)):
                raise
            number = getattr(error, "errno", None) or errno.ENOSPC
            raise OSError(number, os.strerror(number), str(self.checkpoints_dir)) from error
        ddp_barrier()  # processes that list other checkpoints than the first would wait for ever
        return checkpoint

    def list_checkpoints(self) -> list[Checkpoint]:
        """Whole checkpoints."""
        return [found for found in super().list_checkpoints() if (found.path / WHOLE).exists()]
