"""`sed prepare`: manifests of corpora in their own layouts, written once and never into them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, Outcome, on_terminal, write_wav

from sed.cli.prepare import ManifestFormat, SplitBy
from sed.corpora import Corpus
from sed.corpora.manifest_formats import FORMATS
from sed.corpora.manifests import RECORD
from sed.corpora.splits import PARTS
from sed.formats import read

EMODB_SPEAKERS = "03 08 09 10 11 12 13 14 15 16".split()


def emodb() -> Iterator[str]:
    """Names of 535 files: speaker, sentence, emotion, version."""
    sentences = "a01 a02 a04 a05 a07 b01 b02 b03 b09 b10".split()
    parts = itertools.product(sentences, "WLEAFTN", EMODB_SPEAKERS)
    names = (f"wav/{speaker}{sentence}{code}a.wav" for sentence, code, speaker in parts)
    return itertools.islice(names, 535)


def ravdess() -> Iterator[str]:
    """Names of 1440 files; neutral is spoken with normal intensity only."""
    for actor, emotion in itertools.product(range(1, 25), range(1, 9)):
        intensities = (1, 2) if emotion > 1 else (1,)
        for rest in itertools.product(intensities, (1, 2), (1, 2)):
            numbers = (3, 1, emotion, *rest, actor)
            yield f"Actor_{actor:02}/{'-'.join(f'{number:02}' for number in numbers)}.wav"


def zed() -> Iterator[str]:
    return (f"speaker{number % 73}/{number}.wav" for number in range(180))


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of whole corpora whose recordings last 0.05 s; nobody may write into it."""
    folder = tmp_path_factory.mktemp("corpora")
    short = write_wav(folder / "short.wav", np.zeros(800)).read_bytes()
    for home, names in (("EMO-DB", emodb()), ("ravdess", ravdess()), ("ZED", zed())):
        for name in names:
            path = folder / home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(short)
    events = [{"emo": "happy", "start": 0.01, "end": 0.03}]
    items = {
        Path(name).stem: {"wav": f"datafolder/{name}", "duration": 0.05, "emotion": events}
        for name in zed()
    }
    (folder / "ZED" / "ZED.json").write_text(json.dumps(items))
    return folder


@pytest.fixture
def own_corpora(corpora: Path, tmp_path: Path) -> Path:
    """Folder with an EmoDB that a test may damage."""
    shutil.copytree(corpora / "EMO-DB", tmp_path / "own" / "emodb")
    return tmp_path / "own"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "manifests"


@pytest.fixture
def prepare(sed: Command, corpora: Path, output: Path) -> Command:
    """`sed prepare` on the folder of corpora unless told otherwise."""

    def run(*arguments: str | Path) -> Outcome:
        folders = {"--data-folder": corpora, "--output": output}
        defaults = [
            part for name, path in folders.items() if name not in arguments for part in (name, path)
        ]
        return sed("prepare", *defaults, *arguments)

    return run


def manifest(folder: Path, part: str) -> dict[str, dict[str, object]]:
    return json.loads((folder / f"{part}.json").read_text())


def speakers(folder: Path) -> dict[str, list[str]]:
    return {
        part: sorted({str(item["speaker"]) for item in manifest(folder, part).values()})
        for part in PARTS
    }


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its number, size and time of change."""
    paths = {path: path.stat() for path in folder.rglob("*")}
    return {str(p): (s.st_ino, s.st_size, s.st_mtime_ns) for p, s in paths.items()}


def test_corpora_become_manifests_without_a_speaker_on_two_sides(
    prepare: Command, output: Path
) -> None:
    outcome = prepare("emodb", "RAVDESS", "EmoDB")
    assert (outcome.code, outcome.err) == (0, "")
    one, other = outcome.out.splitlines()
    assert one.startswith("emodb: ") and one.endswith(f" test in {output / 'emodb'}")
    assert other == f"ravdess: 1200 train, 120 valid, 120 test in {output / 'ravdess'}"
    for name, num_files, num_speakers in (("emodb", 535, 10), ("ravdess", 1440, 24)):
        parts = speakers(output / name)
        assert len({s for part in parts.values() for s in part}) == num_speakers
        assert sum(map(len, parts.values())) == num_speakers
        assert sum(len(manifest(output / name, part)) for part in PARTS) == num_files
    uri, item = next(iter(manifest(output / "ravdess", "train").items()))
    assert item["wav"] == f"{{data_root}}/ravdess/Actor_{item['speaker']}/{uri}.wav"
    assert item["duration"] == 0.05
    assert item["emotion"] == [{"emo": "neutral", "start": 0.0, "end": 0.05}]


def test_a_second_run_rewrites_nothing(prepare: Command, output: Path) -> None:
    prepare("emodb", "--seed", "3")
    before = state(output)
    outcome = prepare("emodb", "--seed", "3")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"emodb: {output / 'emodb'} is up to date\n"
    assert state(output) == before


def test_other_options_write_anew(prepare: Command, output: Path) -> None:
    prepare("emodb")
    for options in (("--seed", "1"), ("--test", "0.3"), ("--split", "utterance")):
        before = (output / "emodb" / "test.json").read_bytes()
        assert "up to date" not in prepare("emodb", *options).out
        assert (output / "emodb" / "test.json").read_bytes() != before


def test_a_split_by_utterance_repeats_the_papers(prepare: Command, output: Path) -> None:
    prepare("emodb", "--split", "utterance", "--valid", "0.2", "--test", "0")
    assert [len(manifest(output / "emodb", part)) for part in ("train", "valid")] == [428, 107]
    assert not (output / "emodb" / "test.json").exists()
    sides = [
        {item["speaker"] for item in manifest(output / "emodb", part).values()}
        for part in ("train", "valid")
    ]
    assert sides[0] == sides[1] == set(EMODB_SPEAKERS)


def test_speakers_can_be_named(prepare: Command, output: Path) -> None:
    prepare("emodb", "--test", "03,08", "--valid", "16")
    assert speakers(output / "emodb") == {
        "train": EMODB_SPEAKERS[2:-1],
        "valid": ["16"],
        "test": ["03", "08"],
    }


def test_every_format_is_written(prepare: Command, output: Path) -> None:
    assert {format.value for format in ManifestFormat} == set(FORMATS)
    prepare("emodb", *(part for name in FORMATS for part in ("--format", name)))
    kinds = {"".join(path.suffixes) for path in (output / "emodb").iterdir()}
    assert kinds == {".json", ".csv", ".jsonl.gz"}
    assert (output / "emodb" / "emodb_supervisions_valid.jsonl.gz").exists()


def test_times_of_emotions_are_kept(prepare: Command, output: Path, corpora: Path) -> None:
    """ZED says where the emotion is; the manifest is read as ZED's own file is."""
    assert prepare("zed", "--valid", "0", "--test", "1").code == 0
    original = {r.uri: r.annotation for r in read(corpora / "ZED" / "ZED.json")}
    written = {r.uri: r.annotation for r in read(output / "zed" / "test.json")}
    assert written == original


def test_speakers_that_are_not_known_are_not_said_to_be_apart(
    prepare: Command, output: Path
) -> None:
    outcome = prepare("zed")
    assert outcome.code == 2
    assert outcome.error.startswith("zed does not tell its 73 speakers apart")
    assert not output.exists()
    assert prepare("zed", "--split", "utterance").code == 0


def test_an_unreadable_recording_does_not_stop_the_others(
    prepare: Command, own_corpora: Path, output: Path
) -> None:
    damaged = [own_corpora / "emodb" / "wav" / f"{name}.wav" for name in ("03a01Wa", "16a01Wa")]
    for path in damaged:
        path.write_bytes(b"no audio")
    outcome = prepare("emodb", "--quiet", "--data-folder", own_corpora)
    assert (outcome.code, outcome.out) == (1, "")
    errors = sorted(outcome.err.splitlines())
    assert [error.startswith(f"sed: {path}") for error, path in zip(errors, damaged, strict=True)]
    assert sum(len(manifest(output / "emodb", part)) for part in PARTS) == 533
    record = json.loads((output / "emodb" / RECORD).read_text())
    assert sorted(record["unreadable"]) == ["emodb/wav/03a01Wa.wav", "emodb/wav/16a01Wa.wav"]
    for path in damaged:
        shutil.copy(own_corpora / "emodb" / "wav" / "03a01La.wav", path)
    assert prepare("emodb", "--data-folder", own_corpora).code == 0
    assert sum(len(manifest(output / "emodb", part)) for part in PARTS) == 535


def test_a_missing_corpus_is_told_before_anything_is_written(
    prepare: Command, output: Path
) -> None:
    outcome = prepare("emodb", "emovo")
    assert outcome.code == 2
    assert "emovo" in outcome.error
    assert not output.exists()


def test_a_half_unpacked_corpus_is_told_before_anything_is_written(
    prepare: Command, own_corpora: Path, output: Path
) -> None:
    (own_corpora / "emodb" / "wav" / "03a01Wa.wav").unlink()
    outcome = prepare("emodb", "--data-folder", own_corpora)
    assert outcome.code == 2
    assert "534 of the 535 recordings" in outcome.error
    assert not output.exists()


@pytest.mark.parametrize("place", ["emodb/manifests", "emodb", ".", "link"])
def test_nothing_is_written_into_a_corpus(
    prepare: Command, own_corpora: Path, tmp_path: Path, place: str
) -> None:
    """Neither below it nor beside others, where its own folder would be that of the manifests."""
    (own_corpora / "link").symlink_to(own_corpora / "emodb")
    before = state(own_corpora)
    outcome = prepare("emodb", "--data-folder", own_corpora, "--output", own_corpora / place)
    assert outcome.code == 2
    assert "is part of the corpus in" in outcome.error
    assert state(own_corpora) == before


def test_a_corpus_is_the_same_afterwards(prepare: Command, corpora: Path) -> None:
    before = state(corpora)
    assert prepare("emodb", *(part for name in FORMATS for part in ("--format", name))).code == 0
    assert state(corpora) == before


def test_the_folder_may_be_the_corpus_itself(prepare: Command, corpora: Path, output: Path) -> None:
    assert prepare("emodb", "--data-folder", corpora / "EMO-DB").code == 0
    uri, item = next(iter(manifest(output / "emodb", "train").items()))
    assert item["wav"] == f"{{data_root}}/wav/{uri}.wav"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no corpus is named; sed prepare --list shows"),
        (["emodbb"], "unknown corpus 'emodbb'; known are"),
        (["emodb", "--json"], "--json is that of the list; add --list"),
        (["emodb", "--format", "kaldi"], "invalid value for '--format'"),
        (["emodb", "--split", "sentence"], "invalid value for '--split'"),
        (["emodb", "--test", "99"], "emodb: no speaker '99' to choose; there are 03, 08"),
        (["emodb", "--test", "1.5"], "emodb: the share of test is 1.5"),
        (["emodb", "--valid", ","], "a part of the split is empty text"),
        (["emodb", "--valid", ",".join(EMODB_SPEAKERS)], "0 speakers cannot be split into"),
        (["emodb", "--data-folder", "absent"], "absent is no folder"),
    ],
)
def test_wrong_use_is_one_line(
    prepare: Command, output: Path, arguments: list[str], complaint: str
) -> None:
    outcome = prepare(*arguments)
    assert outcome.code == 2
    assert complaint in outcome.error
    assert not output.exists()


@pytest.mark.parametrize("missing", ["--data-folder", "--output"])
def test_both_folders_are_needed(sed: Command, tmp_path: Path, missing: str) -> None:
    given = {"--data-folder", "--output"} - {missing}
    outcome = sed("prepare", "emodb", *given, tmp_path)
    assert outcome.code == 2
    assert outcome.error == f"{missing} FOLDER is missing; see sed prepare --help"


def test_an_output_that_cannot_be_written_is_named(
    prepare: Command, tmp_path: Path, permissions: None
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    outcome = prepare("emodb", "--output", locked)
    assert outcome.code == 2
    assert "permission denied" in outcome.error and "locked" in outcome.error
    (tmp_path / "file").touch()
    outcome = prepare("emodb", "--output", tmp_path / "file")
    assert outcome.code == 2
    assert str(tmp_path / "file") in outcome.error


def test_all_corpora_are_listed(sed: Command) -> None:
    outcome = sed("prepare", "--list")
    assert (outcome.code, outcome.err) == (0, "")
    heading, _, *rows = (line.strip() for line in outcome.out.strip().splitlines())
    assert heading.split() == ["name", "language", "files", "speakers", "emotions", "licence"]
    assert [row.split()[0] for row in rows] == [corpus.name for corpus in Corpus.all()]
    [row] = [row for row in rows if row.startswith("emodb")]
    assert row.split()[1:4] == ["de", "535", "10"]
    assert "angry, bored, disgusted, fearful, happy, neutral, sad" in row


def test_the_list_can_be_read_by_programs(sed: Command) -> None:
    found = json.loads(sed("prepare", "--list", "--json").out)["corpora"]
    assert [corpus["name"] for corpus in found] == [corpus.name for corpus in Corpus.all()]
    [ravdess] = [corpus for corpus in found if corpus["name"] == "ravdess"]
    assert set(ravdess) == {
        "name", "title", "language", "num_files", "num_speakers", "licence", "homepage", "emotions",
    }  # fmt: skip
    assert (ravdess["num_files"], ravdess["num_speakers"]) == (1440, 24)
    assert ravdess["emotions"] == sorted(ravdess["emotions"]) and "calm" in ravdess["emotions"]


@pytest.mark.parametrize("arguments", [["--list"], ["emodb", "--data-folder", "absent"]])
def test_torch_is_not_loaded(arguments: list[str]) -> None:
    code = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules))
from sed.cli import app
app()
"""
    result = subprocess.run(
        [sys.executable, "-c", code, "prepare", "--output", "never", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    _, _, modules = result.stdout.partition("MODULES")
    assert "sed.corpora" in modules.split()
    assert {"torch", "soundfile", "av", "speechbrain"} & set(modules.split()) == set()


def test_the_splits_are_those_of_the_library() -> None:
    from typing import get_args

    from sed.corpora.splits import By

    assert tuple(choice.value for choice in SplitBy) == get_args(By)


def test_progress_is_shown_on_a_terminal_and_taken_away(corpora: Path, output: Path) -> None:
    folders = ["--data-folder", str(corpora), "--output", str(output)]
    code, printed, shown = on_terminal("prepare", "emodb", *folders)
    assert code == 0
    assert printed.startswith(b"emodb: ") and printed.count(b"\n") == 1
    assert b"535/535" in shown
    assert shown.rstrip().endswith(b"\x1b[2K")  # the last thing that happens to its line


def test_the_real_corpus_is_prepared(prepare: Command, shared: Path, output: Path) -> None:
    outcome = prepare("emodb", "--data-folder", shared / "corpora")
    assert (outcome.code, outcome.err) == (0, "")
    parts = speakers(output / "emodb")
    assert sorted(s for part in parts.values() for s in part) == EMODB_SPEAKERS
    counts = {part: len(manifest(output / "emodb", part)) for part in PARTS}
    assert sum(counts.values()) == 535
    assert outcome.out == (
        f"emodb: {counts['train']} train, {counts['valid']} valid, {counts['test']} test in "
        f"{output / 'emodb'}\n"
    )
