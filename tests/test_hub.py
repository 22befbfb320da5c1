"""Models are found in the package, a folder, the cache and on the hub, in this order."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from fake_hub import FakeHub, closed_address, fill_cache, model_files, run_with_hub
from huggingface_hub import constants

from sed.hub import (
    CHECKPOINT,
    CONFIG,
    ONNX,
    PRETRAINED,
    WEIGHTS,
    cached_models,
    download,
    embedded_models,
    kind_of,
    locate,
)
from sed.repository import NotFetchedError, Repository, fetch_files

EMBEDDED = PRETRAINED / "timnet-mfcc"
OURS = model_files(EMBEDDED)
EXPORTED = {CONFIG: OURS[CONFIG], ONNX: b"graph", f"{ONNX}.data": b"weights"}
SPEECHBRAIN = {
    **dict.fromkeys(CHECKPOINT, b"data"),
    CONFIG: b'{"speechbrain_interface": "EncoderClassifier"}',
    "hyperparams.yaml": b"wav2vec2: !new:package.WavLM\n    source: org/encoder\n",
}
OF_ANOTHER = {CONFIG: b'{"model_type": "wavlm"}', WEIGHTS: b"large"}
KINDS = {"sed": OURS, "onnx": EXPORTED, "speechbrain": SPEECHBRAIN}

# Prints what a function of the room gives, or its error, as a script of its own.
SCRIPT = """
import json, sys
from sed.hub import download, fetch_files, locate
name, arguments, options = sys.argv[1], *map(json.loads, sys.argv[2:])
try:
    print(vars()[name](*arguments, **options))
except (OSError, ValueError) as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt to reach the network, whatever its outcome, fails the test."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"asked the network: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A hub with a model of each kind, and with what is no model of ours."""
    encoder = {CONFIG: b"{}", "preprocessor_config.json": b"{}", WEIGHTS: b"large"}
    repositories = {
        **{f"org/{kind}": {**files, "other.bin": b"large"} for kind, files in KINDS.items()},
        "org/encoder": encoder,
        "org/another": OF_ANOTHER,
        "org/gated": OURS,
        "org/empty": {},
    }
    with FakeHub(repositories, gated=frozenset({"org/gated"})) as hub:
        yield hub


Call = Callable[..., str]


@pytest.fixture
def ask(hub: FakeHub, tmp_path: Path) -> Call:
    """A function of the room in a Python of its own, whose hub is the fake one."""

    def run(function: str, *arguments: object, env: dict[str, str] | None = None, **options) -> str:
        environment = {"HF_ENDPOINT": hub.address, **(env or {})}
        given = json.dumps(arguments), json.dumps(options)
        result = run_with_hub(hub.address, tmp_path, "-c", SCRIPT, function, *given, **environment)
        assert result.stderr == ""
        return result.stdout.removesuffix("\n")

    return run


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def without(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in names}


NO_MODELS = {
    "another package's": OF_ANOTHER,
    "no weights": without(OURS, WEIGHTS),
    "no config": without(OURS, CONFIG),
    "broken config": {**OURS, CONFIG: b"{"},
    "no object": {**OURS, CONFIG: b"[1]"},
    "half a checkpoint": without(SPEECHBRAIN, "model.ckpt"),
    "nothing": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_known_by_its_files(tmp_path: Path, kind: str) -> None:
    folder = write(tmp_path / "model", KINDS[kind])
    assert kind_of(folder) == kind_of(str(folder)) == kind
    assert locate(folder) == locate(str(folder)) == folder


@pytest.mark.parametrize("what", NO_MODELS)
def test_a_folder_without_a_model_is_named_and_never_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None, what: str
) -> None:
    """Not even where its path could be the name of a repository, as results/model could."""
    monkeypatch.chdir(tmp_path)
    folder = write(Path("results/model"), NO_MODELS[what])
    assert kind_of(folder) is None
    with pytest.raises(ValueError, match=r"^results/model") as error:
        locate("results/model")
    assert "\n" not in str(error.value)
    if (folder / CONFIG).exists() and (folder / WEIGHTS).exists():
        assert str(error.value).startswith(f"{folder / CONFIG} is not")


def test_a_file_is_no_folder_of_a_model(no_network: None) -> None:
    with pytest.raises(ValueError, match=f"{WEIGHTS} is no folder of a model: it needs config"):
        locate(EMBEDDED / WEIGHTS)
    assert kind_of(EMBEDDED / WEIGHTS) is None


@pytest.mark.parametrize(
    "name",
    ["nosuch", "", "a b/c", "./org/name", "a/b/c", "~/model", "org/na--me", "/no/such", "org/.."],
)
def test_a_name_that_no_repository_has_is_not_looked_up(no_network: None, name: str) -> None:
    with pytest.raises(ValueError, match=r"no model .*: neither embedded \(timnet-mfcc\) nor a f"):
        locate(name)
    with pytest.raises(ValueError, match="is no repository of the hub, which is OWNER/NAME"):
        download(name)


def test_a_path_is_a_folder_and_never_a_repository(no_network: None) -> None:
    with pytest.raises(ValueError, match="no model 'org/name'"):
        locate(Path("org/name"))


def test_an_embedded_model_needs_no_download(no_network: None) -> None:
    assert embedded_models() == ["timnet-mfcc"]
    assert locate("timnet-mfcc") == download("timnet-mfcc") == EMBEDDED


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_model_is_found_without_a_network(
    tmp_path: Path, no_network: None, kind: str
) -> None:
    folder = fill_cache(tmp_path, "org/name", KINDS[kind])
    assert locate("org/name", cache_dir=tmp_path) == folder
    assert locate("org/name", cache_dir=tmp_path, local_files_only=True) == folder
    assert locate("org/name", cache_dir=tmp_path, revision=folder.name) == folder


def test_revisions_in_the_cache_are_told_apart(tmp_path: Path, no_network: None) -> None:
    main = fill_cache(tmp_path, "org/name", OURS)
    tagged = fill_cache(tmp_path, "org/name", without(OURS, "README.md"), revision="v1")
    assert locate("org/name", cache_dir=tmp_path) == main
    assert locate("org/name", cache_dir=tmp_path, revision="v1") == tagged
    with pytest.raises(ValueError, match="download org/name --revision v2 --cache-dir '?/"):
        locate("org/name", cache_dir=tmp_path, revision="v2", local_files_only=True)


# Names every address that Python asks for, before it does.
WATCHED = """
import sys
sys.addaudithook(lambda event, arguments: event in ("socket.connect", "socket.getaddrinfo")
                 and print("NETWORK", event, arguments, file=sys.stderr))
from sed.__main__ import main
main()
"""


def test_a_cached_model_diarizes_without_a_single_attempt_to_connect(tmp_path: Path) -> None:
    """The whole command, with a hub that could be asked."""
    fill_cache(tmp_path / "hub", "org/name", OURS)
    recording = Path(__file__).parents[1] / "examples" / "call.wav"
    command = ("-c", WATCHED, "diarize", str(recording), "--model", "org/name", "--rttm", "-")
    with FakeHub({"org/name": OURS}) as hub:
        result = run_with_hub(hub.address, tmp_path, *command, "--vad", "energy")
        assert (result.returncode, result.stderr, hub.requests) == (0, "", [])
    assert result.stdout.startswith("SPEAKER call 1 ")


def test_half_a_model_in_the_cache_is_no_model(tmp_path: Path, no_network: None) -> None:
    fill_cache(tmp_path, "org/name", without(OURS, WEIGHTS))
    with pytest.raises(ValueError, match="nor in the cache, and the hub must not be asked"):
        locate("org/name", cache_dir=tmp_path, local_files_only=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_the_hub_is_fetched_once_and_no_more_than_needed(
    ask: Call, hub: FakeHub, kind: str
) -> None:
    """Nor is anything else told or asked, such as which tools the caller uses."""
    folder = Path(ask("locate", f"org/{kind}"))
    assert model_files(folder) == KINDS[kind]
    asked = [request.split()[1] for request in hub.requests]
    named = (kind, "encoder") if kind == "speechbrain" else (kind,)
    places = tuple(f"{start}/org/{name}" for start in ("", "/api/models") for name in named)
    assert [path for path in asked if not path.startswith(places)] == []
    assert [path for path in asked if path.endswith("other.bin")] == []
    hub.requests.clear()
    assert ask("locate", f"org/{kind}") == str(folder)
    assert hub.requests == []


def test_a_checkpoint_brings_what_it_needs_of_its_encoder(
    ask: Call, hub: FakeHub, tmp_path: Path, no_network: None
) -> None:
    """So that it loads without a network later on."""
    ask("download", "org/speechbrain")
    names = [CONFIG, "preprocessor_config.json"]
    folder = fetch_files("org/encoder", names, cache_dir=tmp_path / "hub", local_files_only=True)
    assert model_files(folder) == without(hub.repositories["org/encoder"], WEIGHTS)


LOCATED = "ValueError no model '{}': neither embedded (timnet-mfcc), nor a folder, nor in the cache"
REFUSALS = {
    "org/nosuch": ({}, "and the hub has none, unless it is private: then log in with hf auth log"),
    "org/gated": ({}, "and the hub gives it only to those whom its owner admits: ask at {}/org/g"),
    "org/sed": ({"revision": "v9"}, "and the hub has no revision 'v9' of it"),
    "org/onnx": ({"token": "hf_wrong"}, "and the hub wants a valid token: log in with hf auth l"),
    "org/another": ({}, "and what the hub has there is no model of this package"),
    "org/empty": ({}, "and what the hub has there is no model of this package"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_why_the_hub_gives_nothing_is_one_line(ask: Call, hub: FakeHub, name: str) -> None:
    options, reason = REFUSALS[name]
    line = ask("locate", name, **options)
    assert line.startswith(f"{LOCATED.format(name)}, {reason.format(hub.address)}")
    assert "\n" not in line
    assert not any(WEIGHTS in request for request in hub.requests)  # nothing large in vain


def test_a_token_opens_what_is_gated(ask: Call) -> None:
    folder = Path(ask("locate", "org/gated", token="hf_right"))
    assert kind_of(folder) == "sed"


def test_a_hub_out_of_reach_is_one_line_with_the_command_that_fetches(
    ask: Call, hub: FakeHub
) -> None:
    command = "; where there is a network: sed models download org/name"
    line = ask("locate", "org/name", env={"HF_ENDPOINT": closed_address()})
    assert line.startswith(f"{LOCATED.format('org/name')}, and the hub cannot be reached (")
    assert line.endswith(command)
    line = ask("locate", "org/name", env={"HF_HUB_OFFLINE": "1"})
    told = "and HF_HUB_OFFLINE forbids asking the hub"
    assert line == f"{LOCATED.format('org/name')}, {told}{command}"
    hub.broken = "org/name"
    line = ask("locate", "org/name")
    assert line.endswith("nor in the cache, and the hub answers 503 Service Unavailable")


def test_download_asks_the_hub_for_what_is_new(ask: Call, hub: FakeHub) -> None:
    """And says so where it cannot, though an older state is cached and still there."""
    old = ask("download", "org/sed")
    hub.repositories["org/sed"] = {**OURS, "README.md": b"# Better"}
    assert ask("locate", "org/sed") == old
    new = ask("download", "org/sed")
    assert (Path(new) / "README.md").read_text() == "# Better"
    assert ask("locate", "org/sed") == new
    line = ask("download", "org/sed", env={"HF_ENDPOINT": closed_address()})
    assert line.startswith("ValueError org/sed cannot be downloaded: the hub cannot be reached (")
    assert ask("locate", "org/sed", env={"HF_ENDPOINT": closed_address()}) == new


def test_files_are_fetched_once_and_a_missing_one_is_named(ask: Call, hub: FakeHub) -> None:
    folder = Path(ask("fetch_files", "org/encoder", [CONFIG]))
    assert list(model_files(folder)) == [CONFIG]
    hub.requests.clear()
    assert ask("fetch_files", "org/encoder", [CONFIG]) == str(folder)
    assert hub.requests == []
    line = ask("fetch_files", "org/encoder", [CONFIG, "vocab.json"])
    reason = "not in the cache, and the hub has no vocab.json there"
    assert line == f"ValueError org/encoder: {CONFIG}, vocab.json {reason}"
    line = ask("fetch_files", "org/encoder", [WEIGHTS], local_files_only=True)
    assert line.endswith(f"where there is a network: hf download org/encoder {WEIGHTS}")


def test_a_cache_that_cannot_be_written_is_named(ask: Call, tmp_path: Path) -> None:
    """Here there is a file in its place; a full disk takes the same way."""
    (tmp_path / "cache").write_text("")
    line = ask("locate", "org/sed", cache_dir=str(tmp_path / "cache"))
    assert line.startswith(("NotADirectoryError", "FileExistsError"))
    assert line.endswith(f"'{tmp_path / 'cache'}'")


def test_a_download_that_the_disk_has_no_room_for_names_the_cache(
    hub: FakeHub, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a full disk; nothing half-written is left."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    arguments = ("locate", '["org/sed"]', "{}")
    result = run_with_hub(hub.address, tmp_path, "-c", f"{limit}{SCRIPT}", *arguments)
    assert result.stderr == ""
    assert result.stdout == f"OSError [Errno 27] File too large: '{tmp_path / 'hub'}'\n"
    assert list(tmp_path.rglob("*.incomplete")) == []
    assert cached_models(tmp_path / "hub") == []


def test_a_part_of_what_was_asked_for_is_not_taken_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's client gives what is cached where the network breaks off in between."""
    folder = fill_cache(tmp_path, "org/name", {CONFIG: b"{}"})
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    repository = Repository("org/name", cache_dir=tmp_path)
    assert repository.fetch([CONFIG], quiet=True) == folder
    with pytest.raises(NotFetchedError, match="could not be reached any more"):
        repository.fetch([CONFIG, WEIGHTS], quiet=True)


def test_the_hubs_client_is_as_it_was_afterwards() -> None:
    """Its telemetry and its warnings are off for our calls alone."""
    logger = logging.getLogger("huggingface_hub")
    before = (constants.HF_HUB_DISABLE_TELEMETRY, logger.level)
    with pytest.raises(NotFetchedError, match="it failed"), Repository("a/b").asking():
        assert constants.HF_HUB_DISABLE_TELEMETRY
        assert not logger.isEnabledFor(logging.WARNING)
        raise RuntimeError("from deep inside")
    assert (constants.HF_HUB_DISABLE_TELEMETRY, logger.level) == before


def test_the_cache_lists_what_can_be_loaded(tmp_path: Path, no_network: None) -> None:
    main = fill_cache(tmp_path, "org/sed", OURS)
    tagged = fill_cache(tmp_path, "org/sed", without(OURS, "README.md"), revision="v1")
    unnamed = fill_cache(tmp_path, "org/sed", {**OURS, "extra": b""}, revision="gone")
    (tmp_path / "models--org--sed" / "refs" / "gone").unlink()
    fill_cache(tmp_path, "b/onnx", EXPORTED)
    fill_cache(tmp_path, "c/speechbrain", SPEECHBRAIN)
    fill_cache(tmp_path, "d/another", OF_ANOTHER)
    fill_cache(tmp_path, "e/half", without(OURS, WEIGHTS))
    shutil.copytree(tmp_path / "models--b--onnx", tmp_path / "datasets--b--onnx", symlinks=True)
    (tmp_path / "models--broken--one").mkdir()
    found = cached_models(tmp_path)
    assert [(model.name, model.kind, model.revision) for model in found] == [
        ("b/onnx", "onnx", "main"),
        ("c/speechbrain", "speechbrain", "main"),
        ("org/sed", "sed", "main"),
        *sorted([("org/sed", "sed", "v1"), ("org/sed", "sed", unnamed.name)]),
    ]
    assert {model.folder for model in found[2:]} == {main, tagged, unnamed}
    assert found[2].size == sum(len(content) for content in OURS.values())
    for model in found:
        assert locate(model.name, revision=model.revision, cache_dir=tmp_path) == model.folder


def test_no_cache_lists_nothing(tmp_path: Path) -> None:
    assert cached_models(tmp_path / "none") == []


@pytest.mark.usefixtures("permissions")
def test_a_cache_that_must_not_be_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fill_cache(cache, "org/name", OURS)
    os.chmod(cache, 0)
    try:
        with pytest.raises(PermissionError):
            cached_models(cache)
    finally:
        os.chmod(cache, 0o700)
