from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hyperpyyaml import load_hyperpyyaml

from sed.interop.hyperparams import Hyperparams, Part

PARTS = """\
folder: results
deep: !ref <folder>/deep
size: 4
layer: !new:package.Layer
    size: !ref <size>
    path: !ref <deep>/<size>
    name: <size>
"""


def read(tmp_path: Path, text: str) -> Hyperparams:
    path = tmp_path / "hyperparams.yaml"
    path.write_text(text)
    return Hyperparams(path)


def test_references_are_what_hyperpyyaml_makes_of_them(tmp_path: Path) -> None:
    text = PARTS.replace("!new:package.Layer", "!new:collections.OrderedDict")
    expected = dict(load_hyperpyyaml(text)["layer"])
    assert read(tmp_path, text).part("layer").given == expected
    assert expected == {"size": 4, "path": "results/deep/4", "name": "<size>"}


def test_a_part_may_have_one_of_several_names_and_stand_among_the_modules(tmp_path: Path) -> None:
    hyperparams = read(tmp_path, f"{PARTS}\nmodules: {{inner: !ref <layer>}}\n")
    for names in (("layer",), ("inner",), ("other", "inner")):
        part = hyperparams.part(*names)
        assert (part.kind, part.given["size"]) == ("Layer", 4)
    with pytest.raises(ValueError, match=r"hyperparams.yaml describes no other or none"):
        hyperparams.part("other", "none")


def test_aliases_are_read(tmp_path: Path) -> None:
    """SpeechBrain writes them into the file of an experiment with overrides."""
    text = "size: &id1 3\nother: *id1\nlayer: !new:Layer {size: !ref <other>}\n"
    assert read(tmp_path, text).part("layer").given == {"size": 3}


def test_arguments_are_checked() -> None:
    part = Part("file: layer", "Layer", {"size": 3, "path": None})
    assert part.arguments(size=1, path=None, bias=True) == {"size": 3, "path": None, "bias": True}
    with pytest.raises(ValueError, match="file: layer: 'path' is not understood; known are size"):
        part.arguments(size=1)
    with pytest.raises(ValueError, match="file: layer: size must be of type bool, not 3"):
        part.arguments(size=True, path=None)


MALICIOUS = [
    "!apply:os.system [touch SENTINEL]",
    "!apply:pathlib.Path.touch [!apply:pathlib.Path [SENTINEL]]",
    "!new:subprocess.Popen [[touch, SENTINEL]]",
    "!include:SENTINEL.yaml",
    "!module:os",
    "!name:os.system [touch SENTINEL]",
]


@pytest.mark.parametrize("value", MALICIOUS)
def test_a_malicious_value_is_a_word_with_data(value: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    value = value.replace("SENTINEL", str(sentinel))
    hyperparams = read(tmp_path, f"seed: {value}\n{PARTS}\nmodules: {{evil: !ref <seed>}}\n")
    assert hyperparams.part("layer").given["size"] == 4  # who does not ask for it, is served
    with pytest.raises(ValueError, match="evil is no !new: object with named arguments$"):
        hyperparams.part("evil")
    hyperparams = read(tmp_path, f"layer: !new:Layer\n    size: {value}\n")
    with pytest.raises(ValueError, match="size must be of type int, not a Tagged"):
        hyperparams.part("layer").arguments(size=0)
    hyperparams = read(tmp_path, f"seed: {value}\nlayer: !new:Layer {{size: !ref a<seed>}}\n")
    with pytest.raises(ValueError, match="<seed> stands within a text"):
        hyperparams.part("layer")
    assert not sentinel.exists()


def test_the_malicious_value_works_where_objects_are_made(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    load_hyperpyyaml(f"seed: {MALICIOUS[0].replace('SENTINEL', str(sentinel))}\n")
    assert sentinel.exists()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [touch SENTINEL]",
        "!!python/object/new:os.system [touch SENTINEL]",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "{? !!python/object/apply:os.system [touch SENTINEL] : 1}",
    ],
)
def test_objects_of_python_are_refused(value: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    with pytest.raises(ValueError, match="hyperparams.yaml is not YAML: .*none is made") as caught:
        read(tmp_path, f"seed: {value.replace('SENTINEL', str(sentinel))}\n{PARTS}")
    assert "\n" not in str(caught.value)
    assert not sentinel.exists()


def bomb(first: str) -> str:
    """Every level stands ten times for the one before."""
    levels = [f"a{level}: !ref {f'<a{level - 1}>' * 10}" for level in range(1, 20)]
    return "\n".join([f"a0: {first}", *levels, "layer: !new:Layer {size: !ref x<a19>}"])


CHAIN = "\n".join(f"a{level}: !ref <a{level + 1}>" for level in range(999))
TOO_MUCH = {
    "a bomb of references": bomb("word"),
    "a bomb of merges": "a: &a {k: v}\nb: &b {<<: [*a, *a]}\nlayer: !new:Layer {size: *b}",
    "a long text": f"a: {'x' * 300_000}",
    "many values": f"a: [{'1, ' * 20_000}]",
    "deep lists": "[" * 5000,
    "deep mappings": "{a: " * 5000,
    "a circle": "a: !ref <b>\nb: !ref x<a>\nlayer: !new:Layer {size: !ref <a>}",
    "a small circle": "a: !ref <a>\nlayer: !new:Layer {size: !ref <a>}",
    "a long chain": f"{CHAIN}\na999: 1\nlayer: !new:Layer {{size: !ref <a0>}}",
}


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_bombs_and_circles_end_soon_in_one_line(text: str, tmp_path: Path) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="hyperparams.yaml") as caught:
        read(tmp_path, text).part("layer")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.process_time() - start < 20.0


def test_what_is_referred_to_often_is_looked_up_once(tmp_path: Path) -> None:
    start = time.process_time()
    assert read(tmp_path, bomb("''")).part("layer").given == {"size": "x"}
    assert time.process_time() - start < 20.0


def test_aliases_do_not_grow(tmp_path: Path) -> None:
    levels = [f"a{level}: &a{level} [{f'*a{level - 1}, ' * 10}]" for level in range(1, 20)]
    text = "\n".join(["a0: &a0 word", *levels, "layer: !new:Layer {size: *a19}"])
    part = read(tmp_path, text).part("layer")
    with pytest.raises(ValueError, match="size must be of type int, not a list") as caught:
        part.arguments(size=0)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "text",
        "a: [",
        "a: !!int ''",
        "a: !!float x",
        "? [1]\n: 2",
        "? !x [1]\n: 2",
        "a: !!timestamp 2000-99-99",
        "a: *nobody",
        "a: &a !x [*a]",
        "\x00",
        "a: 1\n--- \nb: 2",
        "%YAML 9.9\n---\na: 1",
        "a: !!int 0b",
    ],
)
def test_garbage_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hyperparams.yaml") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_changed_file_is_read_or_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    for _ in range(300):
        content = bytearray(PARTS.encode())
        for position in rng.integers(0, len(content), rng.integers(1, 6)):
            content[position] = rng.choice(list(b"!&*<>[]{}:-?%@'\"\n\t |\x00\xff a0"))
        (tmp_path / "hyperparams.yaml").write_bytes(content)
        try:
            Hyperparams(tmp_path / "hyperparams.yaml").part("layer").arguments(size=0, path="")
        except ValueError as error:
            assert "\n" not in str(error) and "hyperparams.yaml" in str(error)
