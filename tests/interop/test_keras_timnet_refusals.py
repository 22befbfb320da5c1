"""Files that hold no weights of TIM-Net, or more: each is told in one line, and none runs or reads
anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_network import KerasTIMNet, save

from sed.interop.keras_timnet import MAX_LINKS, MAX_SIZE, load_timnet, read_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "keras_timnet.hdf5"

Arrays = dict[str, np.ndarray]


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    """Weights to change: convolutions 8 to 17, normalisations 6 to 13."""
    return KerasTIMNet.random(rng, num_blocks=2, num_classes=3).arrays(conv=8, norm=6, last=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "10-fold_weights_best_1.hdf5"


def refused(path: Path, *parts: str) -> str:
    """Message of a file that is refused: one short line that names it and holds the parts."""
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 800
    for part in parts:
        assert part in message
    return message


def without(*names: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {
        name: values for name, values in arrays.items() if not name.startswith(names)
    }


def with_one(name: str, value: object) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: np.asarray(value)}


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: change(arrays[name])}


ZEROS = np.zeros(4, dtype=np.float32)
CONV, NORM = "conv1d_{0}/conv1d_{0}/{1}:0", "batch_normalization_{0}/batch_normalization_{0}/{1}:0"
FUSION, DENSE = "weight_layer_1/weight_layer_1/kernel:0", "dense_1/dense_1/{}:0"
UNFIT: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "an array less": (without(CONV.format(12, "bias")), "bias:0 is absent, not (4,) float32"),
    "a layer less": (
        without("conv1d_12/"),
        "conv1d_12/conv1d_12/bias:0 is absent, not (4,) float32; conv1d_12/conv1d_12/kernel:0 is "
        "absent, not (2, 4, 4)",
    ),
    "the first layer less": (
        without("conv1d_8/"), "conv1d_10/conv1d_10/kernel:0 is (2, 4, 4) float32, not (1, 5, 4)"
    ),
    "the last layer less": (without("conv1d_17/"), "conv1d_17/conv1d_17/bias:0 is absent"),
    "no convolutions": (without("conv1d"), "conv1d/conv1d/kernel:0 is absent, not (1, features"),
    "no normalisations": (
        without("batch_"), "batch_normalization/batch_normalization/beta:0 is absent"
    ),
    "no fusion": (without("weight_"), "weight_layer/weight_layer/kernel:0 is absent, not (blocks"),
    "no classifier": (without("dense"), "dense/dense/kernel:0 is absent, not (channels, classes)"),
    "no bias of the classifier": (without(DENSE.format("bias")), "bias:0 is absent, not (3,)"),
    "an array more": (with_one(CONV.format(12, "scale"), ZEROS), "is (4,) float32, not absent"),
    "a layer more": (with_one(CONV.format(18, "bias"), ZEROS), "conv1d_18/bias:0 is (4,) float32"),
    "another layer": (with_one("lstm/lstm/bias:0", ZEROS), "lstm/lstm/bias:0 is (4,) float32, not"),
    "another number": (with_one("dense_01/dense_01/bias:0", ZEROS), "dense_01/bias:0 is (4,)"),
    "another nesting": (with_one("dense_1/bias:0", ZEROS), "dense_1/bias:0 is (4,) float32, not"),
    "three taps": (
        changed(CONV.format(12, "kernel"), lambda kernel: np.concatenate([kernel, kernel[:1]])),
        "conv1d_12/conv1d_12/kernel:0 is (3, 4, 4) float32, not (2, 4, 4) float32",
    ),
    "a matrix for a kernel": (
        changed(CONV.format(8, "kernel"), lambda kernel: kernel[0]), "is (5, 4), not (1, features"
    ),
    "taps behind": (
        changed(CONV.format(8, "kernel"), np.transpose),
        "TIM-Net of 2 blocks, 1 channels, 5 features and 3 classes: batch_",
    ),
    "other features ahead": (
        changed(CONV.format(9, "kernel"), lambda kernel: kernel[:, :3]), "(1, 3, 4) float32, not (1"
    ),
    "a shorter norm": (
        changed(NORM.format(13, "moving_mean"), lambda mean: mean[:3]), "mean:0 is (3,) float32"
    ),
    "a number for a norm": (
        changed(NORM.format(13, "gamma"), lambda gamma: gamma[0]), "gamma:0 is () float32, not (4,)"
    ),
    "a turned classifier": (
        changed(DENSE.format("kernel"), np.transpose), "kernel:0 is (3, 4) float32, not (4, 4)"
    ),
    "weights for three blocks": (
        with_one(FUSION, np.ones((3, 1), "f4")),
        "TIM-Net of 3 blocks, 4 channels, 5 features and 3 classes: batch_normalization_14/",
    ),
    "weights for one block": (with_one(FUSION, np.ones((1, 1), "f4")), "float32, not absent; "),
    "a row of weights": (with_one(FUSION, np.ones((1, 2), "f4")), "TIM-Net of 1 blocks"),
    "a vector of weights": (with_one(FUSION, np.ones(2, "f4")), "is (2,), not (blocks, 1)"),
    "too many blocks": (with_one(FUSION, np.ones((21, 1), "f4")), "21 blocks, of which 20 can be"),
    "integers": (with_one(CONV.format(12, "bias"), np.arange(4)), "bias:0 is of type int64, and"),
    "texts": (with_one(CONV.format(12, "bias"), [b"a"] * 4), "bias:0 is of type |S1, and floats"),
    "wide floats": (with_one(CONV.format(12, "bias"), ZEROS.astype("g")), "and floats are read"),
    "nothing": (with_one(CONV.format(12, "bias"), ZEROS[:0]), "is (0,), which the file does not"),
    "not a number": (with_one(CONV.format(12, "bias"), ZEROS * np.nan), "bias:0 has values that"),
    "beyond float32": (with_one(CONV.format(12, "bias"), np.full(4, 1e300)), "that are not finite"),
    "a negative variance": (
        with_one(NORM.format(7, "moving_variance"), ZEROS - 1e-6), "variance:0 has negative values"
    ),
    "no arrays": (lambda _: {}, "weight_layer/weight_layer/kernel:0 is absent"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_named(
    change: Callable[[Arrays], Arrays], reason: str, arrays: Arrays, path: Path
) -> None:
    refused(save(path, change(arrays)), reason)


KERNEL = CONV.format(8, "kernel")


def test_a_damaged_file_is_told(path: Path) -> None:
    content = GOLDEN.read_bytes()
    cut = [content[: len(content) * part // 10] for part in range(1, 10)]
    for damaged in (b"", b"text", content[:8], bytes(1000), b"\x80\x02garbage", *cut, content[:-1]):
        path.write_bytes(damaged)
        refused(path, "is damaged or no HDF5 file: ")
    path.write_bytes(content)
    read_weights(path)


def test_a_changed_file_is_read_or_refused(path: Path, rng: np.random.Generator) -> None:
    content = GOLDEN.read_bytes()
    read = 0
    for attempt in range(60):
        # the first bytes say where everything is
        end, changed = (len(content), 20) if attempt % 2 else (3000, 3)
        damaged = bytearray(content)
        for position in rng.integers(0, end, changed):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_weights(path)
            read += 1
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
    assert 0 < read < 60


def linked(file: h5py.File, other: Path) -> None:
    file[KERNEL] = h5py.ExternalLink(str(other), "kernel")


def linked_group(file: h5py.File, other: Path) -> None:
    file["conv1d_8/conv1d_8"] = h5py.ExternalLink(str(other), "group")


def linked_within(file: h5py.File, other: Path) -> None:
    file["conv1d_8/conv1d_8/bias:0"] = np.ones(4, dtype=np.float32)
    file[KERNEL] = h5py.SoftLink("/conv1d_9/conv1d_9/kernel:0")


def stored_elsewhere(file: h5py.File, other: Path) -> None:
    values = other.with_suffix(".bin")
    values.write_bytes(np.ones(20, dtype=np.float32).tobytes())
    file.create_dataset(KERNEL, (1, 5, 4), "f4", external=[(str(values), 0, 80)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((1, 5, 4), "f4")
    layout[:] = h5py.VirtualSource(str(other), "kernel", (1, 5, 4))
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (linked, f"{KERNEL} is a link, and none is followed"),
        (linked_group, "conv1d_8/conv1d_8 is a link, and none is followed"),
        (linked_within, f"{KERNEL} is a link, and none is followed"),
        (stored_elsewhere, f"{KERNEL} is not stored in one piece in the file"),
        (virtual, f"{KERNEL} is not stored in one piece in the file"),
    ],
)
def test_no_other_file_is_read(
    write: Callable[[h5py.File, Path], None],
    reason: str,
    arrays: Arrays,
    path: Path,
    tmp_path: Path,
) -> None:
    other = tmp_path / "other.hdf5"
    with h5py.File(other, "w") as file:
        file["kernel"] = file["group/kernel:0"] = np.ones((1, 5, 4), dtype=np.float32)
    save(path, without("conv1d_8/")(arrays))
    with h5py.File(path, "a") as file:
        write(file, other)
    with h5py.File(path) as file:
        assert np.isfinite(file[KERNEL][...]).all()  # who follows it, finds something
    refused(path, reason)


BIAS = "conv1d_8/conv1d_8/bias:0"


def packed(file: h5py.File) -> None:
    """What a plug-in of the library may have to unpack."""
    file.create_dataset(BIAS, data=np.zeros(4, "f4"), compression="gzip")


def empty(file: h5py.File) -> None:
    file.create_dataset(BIAS, data=h5py.Empty("f4"))


def claimed(file: h5py.File) -> None:
    """Terabytes of which none were written."""
    file.create_dataset(BIAS, (1_000_000, 1_000_000), "f4")


def a_type(file: h5py.File) -> None:
    file[BIAS] = np.dtype("f4")


def a_group(file: h5py.File) -> None:
    file.create_group(BIAS)


def a_circle(file: h5py.File) -> None:
    file["conv1d_8/conv1d_8"] = file["/"]


def repeated(file: h5py.File) -> None:
    """The same array by thousands of names."""
    values = file.create_dataset(BIAS, data=np.zeros(10_000, "f4"))
    for number in range(MAX_LINKS // 10):
        file[f"conv1d_8/conv1d_8/bias:{number + 1}"] = values


def crowded(file: h5py.File) -> None:
    for number in range(MAX_LINKS):
        file.create_group(f"activation_{number}")


def named(name: str | bytes) -> Callable[[h5py.File], None]:
    def write(file: h5py.File) -> None:
        file.create_group(name)

    return write


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (packed, f"{BIAS} is not stored in one piece in the file"),
        (empty, f"{BIAS} is None, which the file does not hold"),
        (claimed, f"{BIAS} is (1000000, 1000000), which the file does not hold"),
        (a_type, f"{BIAS} is no array"),
        (a_group, f"{BIAS} is no array"),
        (a_circle, "conv1d_8/conv1d_8/batch_normalization_10 is no array"),
        (repeated, "the arrays are larger than the file"),
        (crowded, f"there are over {MAX_LINKS} names"),
        (named("layers/conv1d/vars/0"), "layers/conv1d/vars is no array"),  # Keras 3
        (named("two\nlines"), r"'two\nlines' is no name that Keras gives"),
        (named("größer"), "'gr\ufffd\ufffd\ufffd\ufffder' is no name that Keras gives"),
        (named(b"\xff"), "'\ufffd' is no name that Keras gives"),
        (named("a" * 1000), "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is no name that"),
    ],
)
def test_what_no_network_of_keras_holds_is_told(
    write: Callable[[h5py.File], None], reason: str, arrays: Arrays, path: Path
) -> None:
    save(path, without("conv1d_8/")(arrays))
    with h5py.File(path, "a") as file:
        write(file)
    refused(path, reason)


def test_a_large_file_is_not_read(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1000 * MAX_SIZE)
    refused(path, f"has over {MAX_SIZE} bytes")


def test_a_file_that_cannot_be_read_is_no_wrong_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_timnet(path)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        load_timnet(path)
