"""A model that is uploaded to the hub is the one that is saved, and the one that is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_hub import FakeHub, Files, closed_address, commit_of, model_files, run_with_hub
from tiny_model import tiny_model

from sed.hub import CARD, CONFIG, WEIGHTS

TOKEN = {"token": "hf_right"}

# Prints what each upload gives, or its error, and whether the first one is then fetched the same.
SCRIPT = """
import json, sys, torch
from sed.model import EmotionModel
from tiny_model import tiny_model
model, uploads = tiny_model(), json.loads(sys.argv[1])
for repo_id, options in uploads:
    try:
        print(model.push_to_hub(repo_id, **options))
    except ValueError as error:
        print(type(error).__name__, error)
if sys.argv[2:] == ["fetch"]:
    waveform = torch.randn(1, 16_001, generator=torch.Generator().manual_seed(0))
    fetched = EmotionModel.from_pretrained(uploads[0][0])
    print(torch.equal(fetched(waveform), model(waveform)))
"""

Upload = tuple[str, dict[str, object]]


def upload(address: str, home: Path, uploads: list[Upload], *fetch: str) -> list[str]:
    """Lines that the script prints in a Python of its own."""
    command = ("-c", SCRIPT, json.dumps(uploads), *fetch)
    result = run_with_hub(address, home, *command, PYTHONPATH=str(Path(__file__).parent))
    assert result.stderr == ""
    return result.stdout.splitlines()


class Uploaded(NamedTuple):
    """What came of three uploads, and the files that `save_pretrained` writes."""

    hub: FakeHub
    lines: list[str]
    saved: dict[str, Files]


NEW, SECRET, OLD = "org/new", "org/secret", "org/old"


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploaded]:
    """Of one model: to a new repository, to a private one, and to one that is there already."""
    home = tmp_path_factory.mktemp("home")
    saved = {}
    for name in (NEW, SECRET, OLD):
        tiny_model().save_pretrained(home / name, name=name)
        saved[name] = model_files(home / name)
    uploads = [
        (NEW, TOKEN),
        (SECRET, {**TOKEN, "private": True}),
        (OLD, {**TOKEN, "private": True}),
    ]
    with FakeHub({OLD: {CARD: b"# Older", "notes.txt": b"kept"}}) as hub:
        yield Uploaded(hub, upload(hub.address, home, uploads, "fetch"), saved)


def test_the_hub_is_given_the_folder_that_is_saved(uploaded: Uploaded) -> None:
    """The fake one creates and commits only with the token."""
    hub, lines, saved = uploaded
    assert set(saved[NEW]) == {CONFIG, WEIGHTS, CARD}
    assert hub.repositories == {**saved, OLD: {**saved[OLD], "notes.txt": b"kept"}}
    assert lines[:3] == [
        f"{hub.address}/{name}/commit/{commit_of(hub.repositories[name])}" for name in saved
    ]


def test_the_card_names_the_repository_and_its_owner(uploaded: Uploaded) -> None:
    card = uploaded.hub.repositories[NEW][CARD].decode()
    assert f"\n# {NEW}\n" in card
    assert f"--model {NEW}\n" in card
    assert f'from_pretrained("{NEW}")' in card


def test_only_a_new_repository_is_made_private(uploaded: Uploaded) -> None:
    assert uploaded.hub.private == {SECRET}


def test_what_is_fetched_gives_the_posteriors_of_what_was_uploaded(uploaded: Uploaded) -> None:
    fetched = [line.split("/")[-1] for line in uploaded.hub.requests if line.startswith("GET")]
    assert WEIGHTS in fetched
    assert uploaded.lines[3:] == ["True"]


DENIED = "the hub wants a token that may write there: log in with hf auth login"
REFUSALS = [
    ("org/new", {}, f"org/new cannot be uploaded: {DENIED}"),
    ("org/old", {}, f"org/old cannot be uploaded: {DENIED}"),  # though it can be seen
    ("org/old", {"token": "hf_wrong"}, f"org/old cannot be uploaded: {DENIED}"),
    ("other/new", TOKEN, f"other/new cannot be uploaded: {DENIED}"),
    (
        "org/old",
        {**TOKEN, "revision": "v9"},
        "org/old cannot be uploaded: the hub has no revision 'v9' of it",
    ),
    ("name", TOKEN, "'name' is no repository of the hub, which is OWNER/NAME"),
]


def test_why_the_hub_takes_nothing_is_one_line(tmp_path: Path) -> None:
    old = {"org/old": {CARD: b"# Old"}}
    with FakeHub(old) as hub:
        lines = upload(hub.address, tmp_path, [(name, options) for name, options, _ in REFUSALS])
        assert lines == [f"ValueError {line}" for *_, line in REFUSALS]
        assert hub.repositories == old


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path) -> None:
    [line] = upload(closed_address(), tmp_path, [("org/name", TOKEN)])
    assert line.startswith("ValueError org/name cannot be uploaded: the hub cannot be reached (")
