"""`sed diarize --parquet`: an archive on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Command

pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")


def test_an_archive_becomes_a_dataset_that_is_gone_on_with(
    diarize: Command, call: Path, tmp_path: Path
) -> None:
    from sed.archive.dataset import Dataset

    (tmp_path / "bad.wav").write_bytes(b"no sound")
    folder = tmp_path / "emotions"
    outcome = diarize(tmp_path, "--parquet", folder)
    assert (outcome.code, outcome.out) == (1, "")
    complaint, summary = outcome.err.splitlines()
    assert complaint.startswith(f"sed: {tmp_path / 'bad.wav'} is not audio that can be decoded")
    assert summary.startswith(f"sed: {folder}: 2 recordings, 1 failed, 0.0 h of audio at ")
    rows = {row.uri: row for row in Dataset(folder).rows()}
    assert rows["call"].annotation.labels() and rows["call"].error is None
    assert rows["bad"].error in complaint
    again = diarize(tmp_path, "--parquet", folder)
    assert (again.code, again.err) == (0, f"sed: {folder}: 0 recordings more, 2 were done before\n")
    assert diarize(tmp_path, "--parquet", folder, "--retry-failed", "--quiet").code == 1
    refused = diarize(tmp_path, "--parquet", folder, "--min-duration", "0.5")
    assert refused.code == 2
    assert "was made with decoding = {}" in refused.error


def test_an_argument_without_recordings_is_told(diarize: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = diarize(tmp_path / "empty", "--parquet", tmp_path / "emotions", "--quiet")
    assert outcome.code == 1
    assert outcome.error == f"{tmp_path / 'empty'}: no audio file found"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--jobs", "2"], "--jobs is one of archives; add --parquet FOLDER"),
        (["--engine", "ray"], "--engine is one of archives; add --parquet FOLDER"),
        (["--retry-failed"], "--retry-failed is one of archives; add --parquet FOLDER"),
        (["--parquet", "e", "--json", "-"], "--json is not for archives; write a file of each"),
        (["--parquet", "e", "--plot", "a.png"], "--plot is not for archives; draw those that"),
        (["--parquet", "e", "--timeline"], "--timeline is not for archives; print those"),
        (["--parquet", "e", "--engine", "dask"], "engine 'dask'; choose local or ray"),
        (["--parquet", "e", "--jobs", "0"], "0 jobs; give 1 or more"),
        (["--parquet", "e", "--address", "auto"], "an address is that of a Ray cluster"),
        (["--parquet", "e", "--channel", "left"], "--channel takes mix, split or a number"),
        (["-", "--parquet", "e"], "- is standard input, no archive; leave out --parquet"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    diarize: Command, call: Path, tmp_path: Path, monkeypatch, options: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = diarize(call, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error.startswith(complaint)
    assert not (tmp_path / "e").exists()


def test_archives_have_settings_in_a_file_too(diarize: Command, call: Path, tmp_path: Path) -> None:
    (tmp_path / "sed.toml").write_text('parquet = "emotions"\njobs = "two"\n')
    outcome = diarize(call, "--config", tmp_path / "sed.toml")
    assert outcome.code == 2
    assert "jobs is 'two', but must be a whole number" in outcome.error
