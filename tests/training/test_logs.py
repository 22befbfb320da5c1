"""The log: a line for each epoch, and curves that TensorBoard reads."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")
accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

from sed.training.logs import EpochLog  # noqa: E402


def write(folder: Path, epoch: int, loss: float, *, tensorboard: bool = True) -> None:
    log = EpochLog(folder, tensorboard=tensorboard)  # anew, as in a run that goes on
    log.write(
        epoch,
        {"encoder_lr": 1e-5 / epoch, "head_lr": 1e-4 / epoch},
        train={"loss": 2 * loss, "audio_per_second": 50.0},
        valid={"loss": loss, "eder": loss / 2},
    )


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every curve, as TensorBoard shows them."""
    events = accumulators.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_every_number_of_an_epoch_is_a_point_of_a_curve(tmp_path: Path) -> None:
    for epoch, loss in ((1, 1.0), (2, 0.5)):
        write(tmp_path, epoch, loss)
    found = curves(tmp_path)
    assert found["loss/train"] == [(1, 2.0), (2, 1.0)]
    assert found["loss/valid"] == [(1, 1.0), (2, 0.5)]
    assert found["eder/valid"] == [(1, 0.5), (2, 0.25)]
    assert found["audio_per_second/train"] == [(1, 50.0), (2, 50.0)]
    assert found["learning_rate/encoder_lr"] == [(1, pytest.approx(1e-5)), (2, pytest.approx(5e-6))]
    assert found["learning_rate/head_lr"] == [(1, pytest.approx(1e-4)), (2, pytest.approx(5e-5))]
    assert len(found) == 6


def test_an_epoch_that_is_repeated_replaces_the_lost_one(tmp_path: Path) -> None:
    """The second and third epoch are lost with an interrupted run, which goes on from the first."""
    for epoch, loss in ((1, 1.0), (2, 0.5), (3, 0.4), (2, 0.8)):
        write(tmp_path, epoch, loss)
    assert curves(tmp_path)["loss/valid"] == [(1, 1.0), (2, pytest.approx(0.8))]


@pytest.mark.parametrize("tensorboard", [False, True])
def test_every_epoch_is_a_line_of_text(tensorboard: bool, tmp_path: Path) -> None:
    """Curves are written on request alone."""
    for epoch, loss in ((1, 1.0), (2, 0.5)):
        write(tmp_path, epoch, loss, tensorboard=tensorboard)
    first, second = (tmp_path / "train_log.txt").read_text().splitlines()
    assert first.startswith("epoch: 1, encoder_lr: 1.0000e-05, head_lr: 1.0000e-04 - train loss: 2")
    assert second.startswith("epoch: 2") and "valid loss: 5.0000e-01, valid eder: 2.5" in second
    assert (tmp_path / "tensorboard").exists() == tensorboard
