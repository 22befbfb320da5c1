"""Settings: a file, those it extends, and the command line; what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("speechbrain", reason="training needs the extra 'train'")

from sed.training.schedules import WarmupCosine  # noqa: E402
from sed.training.settings import load_settings, read_settings, resolved  # noqa: E402

TRAIN = """\
seed: 78
data_folder: !PLACEHOLDER
output_folder: !ref results/<seed>
frontend:
  source: wavlm
  output_norm: true
rate: 0.1
schedule: !new:sed.training.schedules.WarmupCosine
  peak: !ref <rate>
  warmup_steps: 10
  num_steps: !ref <steps> * 2
steps: 50
"""
FILLED = "data_folder: corpora"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.yaml").write_text(TRAIN)
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_tags_and_references_become_objects(folder: Path) -> None:
    settings = load_settings(read_settings(folder / "train.yaml"), FILLED)
    assert settings["schedule"] == WarmupCosine(0.1, warmup_steps=10, num_steps=100)
    assert settings["output_folder"] == "results/78" and settings["data_folder"] == "corpora"
    assert "extends" not in settings


def test_a_file_replaces_whole_keys_of_the_one_it_extends(folder: Path) -> None:
    """References see the new values."""
    path = write(folder, "hubert.yaml", "extends: train.yaml\nfrontend: {source: hubert}\nseed: 1")
    settings = load_settings(read_settings(path), FILLED)
    assert settings["frontend"] == {"source": "hubert"}
    assert settings["output_folder"] == "results/1"
    assert settings["schedule"].num_steps == 100


def test_extended_files_extend_others_beside_them(folder: Path) -> None:
    """Each names the next from its own folder; the outermost counts."""
    write(folder, "hubert.yaml", "extends: train.yaml\nfrontend: {source: hubert}\nsteps: 7")
    path = write(folder, "more/timnet.yaml", "extends: ../hubert.yaml\nsteps: 9\nhead: timnet")
    settings = load_settings(read_settings(path), FILLED)
    assert (settings["frontend"], settings["head"]) == ({"source": "hubert"}, "timnet")
    assert settings["schedule"].num_steps == 18 and settings["seed"] == 78


def test_changes_reach_into_mappings(folder: Path) -> None:
    """And into what is made of them; the others stay."""
    text = read_settings(folder / "train.yaml")
    changes = f"{FILLED}\nfrontend: {{source: hubert}}\nschedule: {{warmup_steps: 3}}\nrate: 0.2"
    settings = load_settings(text, changes)
    assert settings["frontend"] == {"source": "hubert", "output_norm": True}
    assert settings["schedule"] == WarmupCosine(0.2, warmup_steps=3, num_steps=100)


def test_the_record_has_changes_and_references_filled_in(folder: Path) -> None:
    """So that two experiments are the same where their records are."""
    text = read_settings(folder / "train.yaml")
    record = resolved(text, f"{FILLED}\nseed: 5")
    assert "results/5" in record and "corpora" in record and "!new:" in record
    assert record == resolved(text, f"{FILLED}\nseed: 5") != resolved(text, FILLED)
    assert load_settings(record)["schedule"].num_steps == 100


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ("steps_: 3", "there is no 'steps_'; did you mean steps"),
        ("frontend_source: x", "there is no 'frontend_source'; did you mean frontend"),
        ("zzz: 3", "there is no 'zzz'$"),
        ("steps: [", "settings: while parsing"),
        ("3", "settings: "),
        (f"{FILLED}\nschedule: {{warmup: 3}}", "argument 'warmup'"),
        ("rate: !ref <nosuch>", "settings: "),
        ("", "'data_folder' is a !PLACEHOLDER"),
    ],
)
def test_wrong_changes_are_one_line(folder: Path, changes: str, complaint: str) -> None:
    text = read_settings(folder / "train.yaml")
    assert load_settings(text, FILLED)
    with pytest.raises(ValueError, match=complaint) as caught:
        load_settings(text, changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed: [1", "settings.yaml is no YAML: while parsing"),
        ("seed: 1\nseed: 2", "settings.yaml is no YAML: .*duplicate key"),
        ("- 1\n- 2", "settings.yaml holds no settings"),
        ("", "settings.yaml holds no settings"),
        ("extends: settings.yaml\nseed: 1", "settings.yaml extends a file that extends it"),
        ("extends: other.yaml\nseed: 1", "extends a file that extends it"),
        ("extends: [train.yaml]", r"extends names one file, not \['train.yaml'\]"),
        ("extends: broken.yaml", "broken.yaml is no YAML"),
    ],
)
def test_malformed_files_are_named(folder: Path, text: str, complaint: str) -> None:
    write(folder, "other.yaml", "extends: settings.yaml")
    write(folder, "broken.yaml", "a: {b")
    path = write(folder, "settings.yaml", text)
    with pytest.raises(ValueError, match=complaint) as caught:
        read_settings(path)
    assert "\n" not in str(caught.value)


def test_a_file_may_be_extended_along_two_ways(folder: Path) -> None:
    """Only a file that extends itself is refused, not one that two others extend."""
    one, two = (write(folder, f"{n}.yaml", f"extends: train.yaml\nseed: {n}") for n in (1, 2))
    assert [load_settings(read_settings(path), FILLED)["seed"] for path in (one, two)] == [1, 2]


def test_a_missing_file_is_named(folder: Path) -> None:
    path = write(folder, "settings.yaml", "extends: nosuch.yaml")
    with pytest.raises(FileNotFoundError) as caught:
        read_settings(path)
    assert Path(caught.value.filename) == folder / "nosuch.yaml"
    write(folder, "latin.yaml", "")
    (folder / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(ValueError, match="latin.yaml is no YAML"):
        read_settings(folder / "latin.yaml")


def test_what_cannot_be_made_is_refused() -> None:
    for text in ("a: !new:no.such.Thing", "a: !name:torch.optim.Adamm", "a: !ref <b>"):
        with pytest.raises(ValueError, match="settings: "):
            load_settings(text)
