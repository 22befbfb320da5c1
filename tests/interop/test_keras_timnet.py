"""Weights of the authors' TIM-Net: the same posteriors as by Keras's formulas and by Keras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from keras_network import KerasTIMNet, save

from sed.heads import TIMNet
from sed.interop.keras_timnet import load_timnet, read_weights

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "10-fold_weights_best_1.hdf5"


@torch.no_grad()
@pytest.mark.parametrize("first", [{}, {"conv": 34, "norm": 32, "last": 1}], ids=["1st", "2nd"])
@pytest.mark.parametrize(
    ("num_blocks", "num_classes", "num_frames"), [(8, 7, 188), (8, 2, 30), (10, 4, 600), (1, 3, 1)]
)
def test_posteriors_are_those_of_kerass_formulas(
    num_blocks: int,
    num_classes: int,
    num_frames: int,
    first: dict[str, int],
    path: Path,
    rng: np.random.Generator,
) -> None:
    keras = KerasTIMNet.random(rng, num_blocks, num_classes)
    network = load_timnet(save(path, keras.arrays(**first), attributes=bool(first)))
    features = rng.standard_normal((num_frames, 5)) * 3
    expected = keras.softmax(features)
    assert expected.max() - expected.min() > 0.05  # it makes up its mind
    found = network.utterance(torch.tensor(features[None], dtype=torch.float32)).softmax(dim=-1)
    np.testing.assert_allclose(found[0], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_frames_are_in_order_of_time_and_their_mean_is_that_of_the_reversed_branch(
    path: Path, rng: np.random.Generator
) -> None:
    keras = KerasTIMNet.random(rng, num_blocks=3, num_classes=4)
    network = load_timnet(save(path, keras.arrays()))
    features = rng.standard_normal((40, 5))
    expected = keras.frame_logits(features)
    logits = network(torch.tensor(features[None], dtype=torch.float32))
    np.testing.assert_allclose(logits[0], expected, atol=1e-5, rtol=0)
    assert np.abs(expected - expected[::-1]).max() > 0.1  # the order matters
    powers = np.exp(expected.mean(axis=0))
    np.testing.assert_allclose(powers / powers.sum(), keras.softmax(features), atol=1e-12)


@torch.no_grad()
def test_posteriors_are_those_of_keras_itself() -> None:
    """See ``make_keras_timnet.py``: convolutions 10 to 19, normalisations 8 to 15."""
    golden = json.loads((GOLDEN / "keras_timnet.json").read_text())
    network = load_timnet(GOLDEN / "keras_timnet.hdf5")
    found = network.utterance(torch.tensor(golden["features"])).softmax(dim=-1)
    torch.testing.assert_close(found, torch.tensor(golden["softmax"]), atol=1e-5, rtol=0)
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == golden["parameters"]


def test_the_network_of_the_paper_has_106_992_parameters(
    path: Path, rng: np.random.Generator
) -> None:
    keras = KerasTIMNet.random(rng, 8, 7, num_features=39, channels=39)
    before = torch.get_rng_state()
    network = load_timnet(save(path, keras.arrays()))
    assert torch.equal(torch.get_rng_state(), before)
    state, expected = network.state_dict(), TIMNet(39, 7).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    assert {(tensor.dtype, tensor.device.type) for tensor in state.values()} == {
        (torch.float32, "cpu")
    }
    assert sum(tensor.numel() for tensor in state.values()) == 106_992
    assert (network.num_blocks, network.context) == (8, 510)
    assert not any(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_sizes_are_those_of_the_shapes(path: Path, rng: np.random.Generator) -> None:
    keras = KerasTIMNet.random(rng, 3, 6, num_features=13, channels=7)
    state = read_weights(save(path, keras.arrays()))
    assert {name: state[name].shape for name in ("fusion", "classify.weight")} == {
        "fusion": (3,),
        "classify.weight": (6, 7),
    }
    assert state["back.into.weight"].shape == state["ahead.into.weight"].shape == (7, 13)
    assert state["ahead.blocks.2.second.weight"].shape == (7, 14)


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4"])
def test_other_floats_are_read_as_well(dtype: str, path: Path, rng: np.random.Generator) -> None:
    """And the order in a file says nothing."""
    arrays = KerasTIMNet.random(rng, num_blocks=2, num_classes=3).arrays(conv=8, norm=6)
    expected = read_weights(save(path, arrays))
    others = {name: values.astype(dtype) for name, values in reversed(arrays.items())}
    for name, tensor in read_weights(save(path, others)).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[name], atol=1e-3, rtol=1e-3)
