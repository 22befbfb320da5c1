"""Temperature: fitted on the validation recordings, kept in the experiment, exported with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from speechbrain.utils.run_opts import RunOptions  # noqa: E402
from tiny_training import KINDS, tiny_experiment  # noqa: E402

from sed.heads import HEADS, divide_logits, head_named  # noqa: E402
from sed.model import EmotionModel  # noqa: E402
from sed.scoring import Calibration, calibration  # noqa: E402
from sed.training.calibration import calibrate, fitted_temperature, frames_of  # noqa: E402
from sed.training.checks import check_same  # noqa: E402
from sed.training.experiment import make_model, train  # noqa: E402
from sed.training.exports import best_model, export_model, stored_temperature  # noqa: E402
from sed.training.speech import simulation  # noqa: E402
from sed.training.waveforms import SimulatedWaveforms, Waveforms  # noqa: E402

OPTIONS = RunOptions.from_dictionary({"device": "cpu", "noprogressbar": True})
WAVEFORM = 0.1 * torch.randn(1, 16_001, generator=torch.Generator().manual_seed(0))


def sure(logits: torch.Tensor, targets: torch.Tensor) -> Calibration:
    confidence, classes = logits.softmax(dim=-1).max(dim=-1)
    return calibration(confidence.numpy(), (classes == targets).numpy())


def boasting(num_frames: int = 20_000, factor: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are too large by a factor."""
    generator = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(num_frames, 4, generator=generator)
    targets = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
    return factor * logits, targets


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_temperature_takes_a_boast_back(factor: float) -> None:
    """What is right, it leaves; half of the frames suffice for the others."""
    logits, targets = boasting(factor=factor)
    temperature = fitted_temperature(logits[::2], targets[::2])
    assert temperature == pytest.approx(factor, rel=0.05)
    before, after = (sure(found[1::2], targets[1::2]) for found in (logits, logits / temperature))
    assert after.error < 0.02 < 0.1 < before.error
    assert sum(after.right) == sum(before.right)


def test_the_temperature_has_the_least_cross_entropy() -> None:
    """Less than any other in a grid of thousandths."""
    logits, targets = boasting(500)
    found = fitted_temperature(logits, targets)
    grid = torch.arange(0.1, 10.0, 0.001).tolist()
    losses = [float(F.cross_entropy(logits / each, targets)) for each in grid]
    assert abs(found - grid[losses.index(min(losses))]) < 0.01
    assert float(F.cross_entropy(logits / found, targets)) <= min(losses) + 1e-6


def test_a_temperature_has_bounds() -> None:
    """Frames that are all right, and all wrong."""
    logits = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert fitted_temperature(logits, torch.tensor([0, 1])) == pytest.approx(0.1)
    assert fitted_temperature(logits, torch.tensor([1, 0])) == pytest.approx(10.0)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_divides_its_logits(name: str) -> None:
    head = head_named(name, 6, 4).eval()
    features = torch.randn(2, 30, 6)
    with torch.no_grad():
        before = head(features)
        divide_logits(head, 2.5)
        torch.testing.assert_close(head(features), before / 2.5)


def trained(kind: str, folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    hparams, parts = tiny_experiment(kind, folder, calibrated=True, **changes)
    torch.manual_seed(1)
    train(hparams, OPTIONS, make_model(hparams), parts)
    return hparams, parts


def validation(
    hparams: dict[str, Any], parts: dict[str, Any], model: EmotionModel
) -> list[Waveforms]:
    drawn = simulation(hparams, parts["valid"], part="valid", quiet=True)
    judged = SimulatedWaveforms(drawn, model.specifications, seed=hparams["valid_seed"])
    return [judged.numbered(index) for index in range(hparams["num_valid"])]


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_of_a_training_is_calibrated(kind: str, tmp_path: Path) -> None:
    """The averaged weights, where there are some; no frame changes its class."""
    decay = 0.5 if kind == "cepstra" else None
    hparams, parts = trained(kind, tmp_path, average_decay=decay)
    best, _, meta = best_model(tmp_path / "out")
    temperature = stored_temperature(tmp_path / "out", meta["epoch"])
    assert temperature is not None and abs(temperature - 1.0) > 1e-3
    model = EmotionModel.from_pretrained(tmp_path / "out" / "model").eval()
    examples = validation(hparams, parts, model)
    logits, targets = frames_of(best, examples)
    found, again = frames_of(model, examples)
    assert torch.equal(targets, again) and set(targets.tolist()) == {0, 1, 2}
    torch.testing.assert_close(found, logits / temperature, rtol=1e-4, atol=1e-5)
    clear = logits.topk(2).values.diff()[:, 0].abs() > 1e-5
    assert torch.equal(found.argmax(dim=-1)[clear], logits.argmax(dim=-1)[clear])
    assert clear.sum() > 0.9 * len(clear)
    assert F.cross_entropy(found, targets) < F.cross_entropy(logits, targets)
    assert fitted_temperature(logits, targets) == pytest.approx(temperature)
    assert f"{temperature:.3f}, by which" in (tmp_path / "out" / "model" / "README.md").read_text()


def test_the_frames_are_those_of_the_validation(tmp_path: Path) -> None:
    """Heard alone, each recording has the logits that it has beside others."""
    hparams, parts = trained("cepstra", tmp_path)
    best, _, meta = best_model(tmp_path / "out")
    logits, targets = frames_of(best, validation(hparams, parts, best))
    loss = F.cross_entropy(logits, targets, label_smoothing=hparams["loss"]["label_smoothing"])
    assert float(loss) == pytest.approx(meta["loss"], rel=1e-4)


def test_an_experiment_gives_the_same_model_again(tmp_path: Path) -> None:
    """From its folder alone, without the corpora."""
    trained("cepstra", tmp_path)
    export_model(tmp_path / "out", tmp_path / "again")
    for name in ("model.safetensors", "config.json"):
        own = (tmp_path / "out" / "model" / name).read_bytes()
        assert own == (tmp_path / "again" / name).read_bytes()


def test_an_epoch_is_fitted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes on and finds a better one fits that; until then it has none."""
    hparams, parts = trained("cepstra", tmp_path)
    output, path = tmp_path / "out", tmp_path / "out" / "calibration.json"
    _, _, meta = best_model(output)
    assert "temperature" in capsys.readouterr().out
    path.write_text(json.dumps({"temperature": 4.0, "epoch": meta["epoch"]}))
    train(hparams, OPTIONS, make_model(hparams), parts)
    assert stored_temperature(output, meta["epoch"]) == 4.0
    assert "temperature" not in capsys.readouterr().out
    path.write_text(json.dumps({"temperature": 4.0, "epoch": meta["epoch"] + 1}))
    assert stored_temperature(output, meta["epoch"]) is None
    export_model(output, tmp_path / "without")
    best, _, _ = best_model(output)
    with torch.no_grad():
        model = EmotionModel.from_pretrained(tmp_path / "without").eval()
        assert torch.equal(model(WAVEFORM), best(WAVEFORM))
    calibrate(hparams, parts, "cpu")
    assert stored_temperature(output, meta["epoch"]) not in (None, 4.0)
    calibrate({**hparams, "calibrated": False}, parts, "cpu")
    assert not path.exists()


def test_a_finished_training_can_be_calibrated_without_another(tmp_path: Path) -> None:
    """The setting may change in its folder, where the weights are kept."""
    (tmp_path / "hyperparams.yaml").write_text("calibrated: false\nseed: 1\n")
    check_same(tmp_path / "hyperparams.yaml", "calibrated: true\nseed: 1\n")
    with pytest.raises(ValueError, match="began with another seed"):
        check_same(tmp_path / "hyperparams.yaml", "calibrated: true\nseed: 2\n")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"temperature": 0, "epoch": 1}', "null"])
def test_a_file_without_a_temperature_is_named(text: str, tmp_path: Path) -> None:
    assert stored_temperature(tmp_path, 1) is None
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ValueError, match=r"calibration.json.* remove it") as caught:
        stored_temperature(tmp_path, 1)
    assert "\n" not in str(caught.value)
