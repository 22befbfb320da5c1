"""Export: an experiment's best weights become a folder that any command loads; nothing is run."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from speechbrain.utils.run_opts import RunOptions  # noqa: E402
from tiny_training import tiny_experiment  # noqa: E402

from sed.model import EmotionModel  # noqa: E402
from sed.training.experiment import make_model, train  # noqa: E402
from sed.training.exports import best_checkpoint, export_model, load_checkpoint  # noqa: E402

WAVEFORM = 0.1 * torch.randn(1, 16_001, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiment that ended well, with a moving average."""
    folder = tmp_path_factory.mktemp("whole")
    hparams, parts = tiny_experiment("cepstra", folder, average_decay=0.5, num_epochs=3)
    torch.manual_seed(1)
    options = RunOptions.from_dictionary({"device": "cpu", "noprogressbar": True})
    train(hparams, options, make_model(hparams), parts)
    return folder / "out"


@pytest.fixture
def experiment(whole: Path, tmp_path: Path) -> Path:
    """A copy to spoil, and where the model is not written yet."""
    shutil.copytree(whole, tmp_path / "experiment")
    shutil.rmtree(tmp_path / "experiment" / "model")
    return tmp_path / "experiment"


def checkpoint_of(experiment: Path) -> Path:
    path, _ = best_checkpoint(experiment / "save", "loss")
    return path


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


def test_the_exported_model_has_the_averaged_weights_of_the_best_epoch(
    experiment: Path, tmp_path: Path
) -> None:
    """Its posteriors are those of the model that was judged best, bit for bit."""
    folder = tmp_path / "some" / "model"
    export_model(experiment, folder)
    model = EmotionModel.from_pretrained(folder)
    checkpoint = checkpoint_of(experiment)
    averaged, last = (weights_of(checkpoint / f"{name}.ckpt") for name in ("average", "model"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, averaged[f"module.{name}"]), name
    assert not torch.equal(model.head.fusion, last["head.fusion"])
    description = json.loads((experiment / "experiment.json").read_text())
    judged = EmotionModel(**description["model"]["model"]).eval()
    load_checkpoint(judged, checkpoint)
    with torch.no_grad():
        assert torch.equal(model(WAVEFORM), judged(WAVEFORM))
    assert model.decoding == description["decoding"] != {}


def test_a_training_writes_its_model_itself(whole: Path, experiment: Path, tmp_path: Path) -> None:
    export_model(experiment, tmp_path / "model")
    for name in ("model.safetensors", "config.json"):
        assert (whole / "model" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_the_best_epoch_may_not_be_the_last(experiment: Path, tmp_path: Path) -> None:
    """And without an average the weights themselves count."""
    best = checkpoint_of(experiment)
    better = best.with_name("CKPT+better")
    shutil.copytree(best, better)
    (better / "average.ckpt").unlink()
    path = better / "CKPT.yaml"
    path.write_text("# a comment\n{end-of-epoch: true, epoch: 2, loss: 0.0, eder: 0.25}\n")
    export_model(experiment, tmp_path / "model", name="a name")
    model = EmotionModel.from_pretrained(tmp_path / "model")
    assert torch.equal(model.head.fusion, weights_of(better / "model.ckpt")["head.fusion"])
    card = (tmp_path / "model" / "README.md").read_text()
    assert "# a name" in card and "2 of 3, by loss" in card and "0.250" in card


def test_what_is_no_experiment_is_refused(experiment: Path, tmp_path: Path) -> None:
    """With a word on what is missing, and nothing is written."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nosuch", tmp_path / "empty"):
        with pytest.raises(ValueError, match=f"{folder.name} is no folder of an experiment"):
            export_model(folder, tmp_path / "model")
    for path in experiment.glob("save/*/WHOLE"):
        path.unlink()
    with pytest.raises(ValueError, match="save holds no whole checkpoint; train for an epoch"):
        export_model(experiment, tmp_path / "model")
    for text in ("", "[]", "{}", '{"best": "loss"}', '{"model": {"model": {"classes": []}}}'):
        (experiment / "experiment.json").write_text(text)
        with pytest.raises(ValueError, match="experiment.json describes no experiment"):
            export_model(experiment, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Bomb:
    """What runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["average", "model"])
@pytest.mark.parametrize("kind", ["zip", "pickle"])
def test_nothing_in_a_checkpoint_is_executed(
    name: str, kind: str, experiment: Path, tmp_path: Path
) -> None:
    """The file is refused by its name, in one line."""
    exploded, path = tmp_path / "exploded", checkpoint_of(experiment) / f"{name}.ckpt"
    if name == "model":
        path.with_name("average.ckpt").unlink()
    if kind == "zip":
        torch.save({"head.fusion": Bomb(exploded)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(exploded), protocol=2))
    with pytest.raises(ValueError, match=f"{name}.ckpt holds more than weights") as caught:
        export_model(experiment, tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert not exploded.exists() and not (tmp_path / "model").exists()
    with contextlib.suppress(RuntimeError):
        torch.load(path, weights_only=False)
    assert exploded.exists()  # so it goes off elsewhere


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "number", "shape", "names"])
def test_damaged_weights_are_refused(damage: str, experiment: Path, tmp_path: Path) -> None:
    path = checkpoint_of(experiment) / "average.ckpt"
    weights = weights_of(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage in ("empty", "text"):
        path.write_bytes(b"" if damage == "empty" else b"weights, perhaps")
    elif damage == "number":
        torch.save(torch.ones(3), path)
    elif damage == "shape":
        torch.save({**weights, "module.head.fusion": torch.ones(9)}, path)
    else:
        torch.save({name.replace("head", "tail"): value for name, value in weights.items()}, path)
    with pytest.raises(ValueError, match=r"average.ckpt holds (no weights|more than)") as caught:
        export_model(experiment, tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()
