"""What is drawn: training recordings as the settings say, judged ones as in the paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from tiny_training import KINDS, tiny_experiment  # noqa: E402

from sed.training.speech import simulation  # noqa: E402


def test_only_training_recordings_have_pauses(tmp_path: Path) -> None:
    hparams, parts = tiny_experiment(next(iter(KINDS)), tmp_path, pause=[0.5, 0.5])
    silences = {}
    for part in ("train", "valid"):
        drawn = simulation(hparams, parts[part], part=part, quiet=True)
        several = [found for found in drawn.draw_set(8, seed=1) if len(found.sequence) > 1]
        silences[part] = [int(np.diff(np.flatnonzero(found.samples)).max()) for found in several]
    assert min(silences["train"]) > 8_000 > 100 > max(silences["valid"])
