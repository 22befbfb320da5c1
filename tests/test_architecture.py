"""The house: who may import whom, where heavy packages may stand, and how long a file may be.

The table is that of the architecture, in ranks from left to right: a room imports rooms of earlier
ranks, and of its own rank only its own package. What happens inside a function counts as well; what
stands under ``TYPE_CHECKING`` is no import, but must still be a room on the left.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sed

ROOT = Path(sed.__file__).parent
MAX_LINES = 400

RANKS = [
    {"frames", "labels", "files", "errors", "processes"},
    {"resampling", "formats", "smoothing", "best_paths", "colours", "heads", "frontends"}
    | {"attention", "convolutions", "processors", "repository", "specifications", "architectures"},
    {"decoders", "decoding", "scoring", "encoders", "cluster"},
    {"audio", "interop", "pcm", "pipes"},
    {"silero", "oracle", "segmentation", "hub"},
    {"vad", "cards"},
    {"model"},
    {"corpora", "precision", "windows", "onnx"},
    {"batching"},
    {"inference"},
    {"pipeline"},
    {"report", "loading", "live"},
    {"events"},
    {"training", "service", "archive"},
    {"cli"},
    {"__main__"},
]
"""Rooms by the column they stand in."""

SIDE_WING = {
    "corpora": set("frames labels files audio formats vad decoding".split()),
    "training": set(
        "frames labels files formats audio vad decoding scoring specifications encoders heads "
        "frontends model hub cards processors corpora pipeline cluster processes".split()
    ),
}
"""Rooms beside the corridor: what they may import. They know only each other and the command line,
which trains as the recipes do."""

NEVER = {
    "speechbrain": {"training", "scoring"},
    "hyperpyyaml": {"training"},
    "ruamel": {"training"},
    "tqdm": {"training"},
    "ray": {"cluster"},
    "fsspec": {"archive"},
    "pyarrow": {"formats", "archive"},
    "silero_vad": {"silero"},
    "soundfile": {"decoders", "corpora"},
    "av": {"decoders", "pipes", "corpora", "report"},
    "safetensors": {"model"},
    "transformers": {"architectures", "encoders"},
    "huggingface_hub": {"repository", "model", "encoders"},
    "h5py": {"interop"},
    "sklearn": {"training"},
    "yaml": {"interop", "training"},
    "onnxruntime": {"onnx"},
    "torchaudio": {"frontends"},
    "fastapi": {"service"},
    "fastapi_offline": {"service"},
    "starlette": {"service"},
    "pydantic": {"service"},
    "uvicorn": {"service"},
    "prometheus_client": {"service"},
    "python_multipart": {"service"},
    "typer": {"cli"},
    "matplotlib": {"scoring", "report"},
    "tomllib": {"cli", "corpora"},
}
"""Packages that only these rooms know."""

NO_TORCH = {
    "frames",
    "labels",
    "files",
    "errors",
    "processes",
    "formats",
    "decoding",
    "smoothing",
    "best_paths",
    "scoring",
}
"""Rooms that know nothing of torch, so that `sed score` and the readers of files start at once."""

LAZY_TORCH = NO_TORCH | {"audio", "resampling", "decoders", "oracle", "colours", "__init__"}
LAZY_TORCH |= {"cli", "vad", "silero", "corpora", "__main__"}
LAZY_TORCH |= {"service", "hub", "repository", "cards", "processors", "specifications", "report"}
LAZY_TORCH |= {"pcm", "pipes", "events"}
"""Rooms whose modules load without it; `cli.batch` aside, which a command loads when it works."""


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it happens when the file is loaded or only for types."""

    module: str
    at_load: bool
    for_types: bool

    @property
    def room(self) -> str | None:
        """Room of the package, None for another package."""
        first, _, rest = self.module.partition(".")
        return (rest.partition(".")[0] or "__init__") if first == "sed" else None


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[Import]:
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")), path, True, False)


def _walk(node: ast.AST, path: Path, at_load: bool, for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for name in node.names:
            yield Import(name.name, at_load, for_types)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{path}: imports are absolute here"
        for name in node.names:  # `from sed import frames` names a room as well
            inner = f"{node.module}.{name.name}"
            known = node.module == "sed" and (ROOT / name.name).with_suffix(".py").exists()
            yield Import(inner if known else str(node.module), at_load, for_types)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        for child in node.body:
            yield from _walk(child, path, False, True)
        for child in node.orelse:
            yield from _walk(child, path, at_load, for_types)
    else:
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _walk(child, path, at_load and not inside, for_types)


FILES = sorted(ROOT.rglob("*.py"))
ROOMS = sorted({room_of(path) for path in FILES} - {"__init__"})
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def test_every_room_has_its_place() -> None:
    """A new file is put into the table on purpose."""
    assert set(ROOMS) == set(RANK)


@by_file
def test_left_never_imports_right(path: Path) -> None:
    room = room_of(path)
    for imported in imports_of(path):
        if imported.room in (None, room) or room == "__init__":
            continue
        if imported.room == "__init__":
            assert room in ("service", "cli", "__main__"), f"{room} imports the whole of sed"
            continue
        if (room, imported.room) == ("oracle", "vad"):
            assert imported.for_types  # the protocol that it fulfils
            continue
        if (room, imported.room) == ("scoring", "audio"):
            assert not imported.at_load  # durations, where nothing else states them
            continue
        if room in SIDE_WING:
            assert imported.room in SIDE_WING[room], f"{room} imports {imported.room}"
        assert RANK[imported.room] < RANK[room], f"{room} imports {imported.room}"
        assert imported.room != "training" or room == "cli", f"{room} imports the training"
        assert imported.room != "corpora" or room in ("training", "cli")


@by_file
def test_a_package_is_imported_where_it_belongs(path: Path) -> None:
    room = room_of(path)
    for imported in imports_of(path):
        package = imported.module.partition(".")[0]
        assert room in NEVER.get(package, {room}), f"{room} imports {package}"


@by_file
def test_torch_waits_until_it_is_used(path: Path) -> None:
    room = room_of(path)
    heavy = {"torch", "torchaudio", "speechbrain", "silero_vad", "av", "matplotlib", "transformers"}
    for imported in imports_of(path):
        package = imported.module.partition(".")[0]
        if room in LAZY_TORCH and package in heavy:
            assert not imported.at_load, f"{path.name} imports {package} when it is loaded"
        if room in NO_TORCH - {"scoring"}:
            assert package not in heavy, f"{path.name} imports {package}"


@by_file
def test_no_file_is_long(path: Path) -> None:
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= MAX_LINES, f"{path.name} has {num_lines} lines; it holds two concepts"


def loaded_by(statement: str) -> set[str]:
    """Modules of a fresh Python after a statement, packages only."""
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_and_changes_nothing() -> None:
    loaded = loaded_by(
        "import os, logging, signal, threading;"
        "before = (dict(os.environ), logging.root.handlers[:], signal.getsignal(signal.SIGTERM));"
        "import sed;"
        "after = (dict(os.environ), logging.root.handlers[:], signal.getsignal(signal.SIGTERM));"
        "assert before == after and threading.active_count() == 1"
    )
    assert {"numpy", "torch", "pyannote.core", "sed.pipeline", "sed.audio"} & loaded == set()


@pytest.mark.parametrize("names", ["score", "formats, labels, frames, files, decoding, cli"])
def test_light_rooms_load_without_torch(names: str) -> None:
    """Through everything that they import in turn."""
    rooms = "scoring" if names == "score" else names
    statement = "; ".join(f"import sed.{room.strip()}" for room in rooms.split(","))
    assert {"torch", "av", "soundfile", "speechbrain"} & loaded_by(statement) == set()


def test_the_model_of_a_training_is_found_without_the_extra_that_trains() -> None:
    """So that `sed models convert` works where nobody trains."""
    extra = {"speechbrain", "hyperpyyaml", "ruamel.yaml", "tensorboard"}
    assert extra & loaded_by("import sed.training.exports") == set()


def test_every_public_name_is_there() -> None:
    for name in sed.__all__:
        assert getattr(sed, name).__name__ == name
    assert set(sed.__all__) == set(sed._HOMES)
    assert list(sed.__all__) == sorted(sed.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Emotions'"):
        _ = sed.Emotions
