"""The log of a training: a line for each epoch, and curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speechbrain.utils.train_logger import FileTrainLogger

from sed.training.processes import rank


class EpochLog:
    """Writes ``train_log.txt`` and, on request, what TensorBoard shows; in the first process alone.

    Parameters
    ----------
    folder : str or Path
        Of the experiment.
    tensorboard : bool
        Whether curves are written to its folder ``tensorboard``.
    """

    def __init__(self, folder: str | Path, *, tensorboard: bool) -> None:
        self.folder, self.tensorboard = Path(folder), tensorboard
        self._text = FileTrainLogger(str(self.folder / "train_log.txt"), precision=4)

    def write(
        self, epoch: int, rates: Mapping[str, float], **statistics: Mapping[str, float]
    ) -> None:
        """Add an epoch; in the curves it replaces one that was lost with an interrupted run.

        Parameters
        ----------
        epoch : int
        rates : mapping of str to float
            Learning rates.
        **statistics : mapping of str to float
            ``train`` and ``valid``.
        """
        self._text.log_stats(  # all processes meet in it, and the first writes
            {"epoch": epoch, **rates},
            train_stats=statistics["train"],
            valid_stats=statistics["valid"],
        )
        if rank() > 0 or not self.tensorboard:
            return
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(self.folder / "tensorboard", purge_step=epoch) as writer:
            for name, rate in rates.items():
                writer.add_scalar(f"learning_rate/{name}", rate, epoch)
            for part, values in statistics.items():
                for name, value in values.items():
                    writer.add_scalar(f"{name}/{part}", value, epoch)
