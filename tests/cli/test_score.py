"""`sed score` as a user meets it: what is printed, the exit status, one line for every mistake."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pyannote.core import Annotation, Segment
from typer.testing import CliRunner

from sed.cli.score import EPILOG, score
from sed.formats import FORMATS, AnnotatedRecording, one_file_each, write
from sed.scoring import ReportOptions
from sed.scoring import score as score_system

app = typer.Typer()
app.command(epilog=EPILOG)(score)


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def recording(uri: str, onset: float, offset: float, emotion: str, duration: float | None = None):
    annotation = Annotation(uri=uri)
    annotation[Segment(onset, offset)] = emotion
    return AnnotatedRecording(annotation, duration=duration)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A ZED folder of three recordings, a good system and a bad one."""
    said = [
        recording("a", 1, 3, "happy", 5.0),
        recording("b", 0, 4, "sad", 4.0),
        recording("c", 2, 5, "angry", 5.0),
    ]
    write(tmp_path / "zed" / "ZED.json", said, format="zed")
    good = [recording("a", 1, 2.5, "happy"), recording("b", 0, 4, "sad")]
    for heard in [*good, recording("c", 2.25, 5, "angry")]:
        write(tmp_path / "good" / f"{heard.uri}.rttm", heard)
    bad = [recording("a", 3, 4, "sad"), recording("b", 0, 1, "happy"), said[2]]
    write(tmp_path / "bad.json", bad)
    return tmp_path


def test_the_table_names_its_totals_and_its_rules(corpus):
    status, output, errors = run("--ref", corpus / "zed", "--hyp", corpus / "good")
    assert (status, errors) == (0, "")
    # 0.5 s and 0.25 s missed of 14 s; rates 0.1, 0, 0.05
    for expected in ("pooled EDER %", "macro EDER %", "5.36", "5.00", "all neutral", "always sad"):
        assert expected in output
    assert "3 recordings, 14.00 s scored; durations from the reference (3)" in output
    assert "no collar; no UEM" in output


def test_per_file_lists_every_recording(corpus):
    arguments = ("--ref", corpus / "zed", "--hyp", corpus / "good")
    assert "Recordings" not in run(*arguments)[1]
    output = run(*arguments, "--per-file")[1]
    rows = [line.split() for line in output.splitlines()]
    assert ["a", "10.00", "0.00", "0.50", "0.00", "0.00", "4.50", "5.00"] in rows
    assert ["macro", "5.00", *["–"] * 6] in rows


def test_json_holds_everything_in_full(corpus):
    status, output, _ = run(
        "--ref", corpus / "zed", "--hyp", corpus / "good", "--format", "json", "--per-file",
        "--confusion", "--transitions", "--boundaries", "--confidence", "0.9",
        "--compare", corpus / "bad.json", "--collar", "0.1",
    )  # fmt: skip
    found = json.loads(output)
    assert status == 0
    assert set(found) == {
        "rules", "recordings", "systems", "intervals", "parts", "emotions", "confusion",
        "transitions", "boundaries", "comparison",
    }  # fmt: skip
    assert found["rules"]["collar"] == 0.1
    assert found["rules"]["durations"]["reference"] == 3
    pooled = found["intervals"][0]
    assert pooled["number"] == "pooled EDER"
    assert pooled["low"] <= found["systems"][0]["pooled_eder"] == pooled["value"] <= pooled["high"]
    assert found["recordings"][0]["missed_emotion"] == 0.4
    assert len(found["comparison"]) == 4


def test_csv_is_one_table_that_any_program_reads(corpus):
    status, output, notes = run(
        "--ref", corpus / "zed", "--hyp", corpus / "good", "--format", "csv", "--per-file"
    )
    rows = list(csv.DictReader(io.StringIO(output)))
    assert status == 0
    assert [row["recording"] for row in rows] == ["a", "b", "c", "pooled", "macro"]
    assert float(rows[0]["eder"]) == 0.1 and rows[4]["total"] == ""
    assert "3 recordings" in notes


def test_markdown_and_latex_are_complete_tables(corpus):
    arguments = ("--ref", corpus / "zed", "--hyp", corpus / "good", "--confusion", "--format")
    output = run(*arguments, "markdown")[1]
    assert "| total          |  14.00 |  100.00 |" in output
    for block in output.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    output = run(*arguments, "latex")[1]
    assert output.count(r"\begin{tabular}") == output.count(r"\end{tabular}") == 4
    assert r"pooled EDER \%" in output and r"reference \textbackslash{} hypothesis" in output


def test_labels_collar_and_uem_reach_the_scorer(corpus):
    (corpus / "fr.rttm").write_text(
        "SPEAKER a 1 1 2 <NA> <NA> joie <NA> <NA>\nSPEAKER b 1 0 4 <NA> <NA> triste <NA> <NA>\n"
    )
    (corpus / "ab.uem").write_text("a 1 0 3\nb 1 0 4\n")
    status, output, _ = run(
        "--ref", corpus / "zed", "--hyp", corpus / "fr.rttm", "--labels", "joie=happy,triste=sad",
        "--collar", "0.5", "--uem", corpus / "ab.uem", "--format", "json",
    )  # fmt: skip
    found = json.loads(output)
    assert status == 0
    assert found["systems"][0]["pooled_eder"] == 0.0
    # a: 0 to 3 s less 0.5 to 1.5 and 2.5 to 3; b: 0 to 4 s less half a second at each end
    assert found["rules"]["scored_seconds"] == 4.5
    assert found["rules"]["outside_uem"] == ["c"]


def test_missing_hypotheses_end_with_1_unless_allowed(corpus):
    (corpus / "good" / "b.rttm").rename(corpus / "good" / "d.rttm")
    (corpus / "good" / "d.rttm").write_text("SPEAKER d 1 0 4 <NA> <NA> sad <NA> <NA>\n")
    arguments = ("--ref", corpus / "zed", "--hyp", corpus / "good")
    status, output, _ = run(*arguments)
    assert status == 1
    assert "missing, scored as neutral (1): b" in output
    assert "extra, not scored (1): d" in output
    assert run(*arguments, "--allow-missing")[0] == 0


def test_a_missing_hypothesis_of_the_other_system_counts_too(corpus):
    (corpus / "good" / "b.rttm").unlink()
    status, output, _ = run(
        "--ref", corpus / "zed", "--hyp", corpus / "bad.json", "--compare", corpus / "good"
    )
    assert status == 1
    assert f"missing in {corpus / 'good'}, scored as neutral (1): b" in output


def test_comparing_prints_differences_and_p_values(corpus):
    status, output, _ = run(
        "--ref", corpus / "zed", "--hyp", corpus / "good", "--compare", corpus / "bad.json"
    )
    assert status == 0
    assert "Paired comparison" in output and "p-values by paired bootstrap" in output


def test_unknown_durations_are_said(corpus):
    (corpus / "said.rttm").write_text("SPEAKER a 1 1 2 <NA> <NA> happy <NA> <NA>\n")
    output = run("--ref", corpus / "said.rttm", "--hyp", corpus / "said.rttm")[1]
    assert "the extent of both sides' emotions, because none is known (1)" in output


def test_square_brackets_in_names_are_printed(corpus):
    """Rich would take them for markup."""
    folder = corpus / "[bold]good"
    (corpus / "good").rename(folder)
    assert "[bold]good" in run("--ref", corpus / "zed", "--hyp", folder)[1]


GOOD = "SPEAKER a 1 1 2 <NA> <NA> happy <NA> <NA>\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.rttm", GOOD + "SPEAKER a 1 1\n", "x.rttm, line 2: 4 fields"),
        ("x.rttm", "speaker a 1 1 2\n", "x.rttm, line 1: 'speaker' is no RTTM type"),
        ("x.rttm", GOOD.replace(" 2 ", " -2 "), "x.rttm, line 1: duration -2 s is not above zero"),
        ("x.rttm", GOOD.replace(" 2 ", " 0 "), "x.rttm, line 1: duration 0 s is not above zero"),
        ("x.rttm", GOOD.replace(" 2 ", " nan "), "x.rttm, line 1: offset nan is not a time"),
        ("x.rttm", GOOD.replace(" 2 ", " two "), "line 1: duration is 'two', not a number"),
        ("x.rttm", "\n" + GOOD + GOOD, "x.rttm, line 3: the happy segment at 1.000 s stands twice"),
        ("x.rttm", GOOD.replace("happy", "hangry"), "line 1: unknown emotion 'hangry'; known are"),
        ("x.rttm", "", "x.rttm: no recording in it"),
        ("x.rttm", b"SPEAKER caf\xe9 1 1 2 <NA> <NA> happy", "x.rttm is not UTF-8 text"),
        ("x.json", "", "x.json, line 1: not JSON"),
        ("x.json", '{"recordings": [\n{"uri": "a"]}', "x.json, line 2: not JSON"),
        ("x.json", '{"recordings": [{"uri": "a", "duration": NaN, "segments": []}]}', "NaN"),
        ("x.json", '{"a": {"emotion": []}, "a": {"emotion": []}}', "the key 'a' stands twice"),
        ("x.json", '{"a": {"duration": -1, "emotion": []}}', "recording 'a': duration -1.0 s"),
        ("x.json", "[1, 2]", "x.json: a JSON object is expected, not a list"),
        ("x.doc", GOOD, "no ending of a known format"),
    ],
)
@pytest.mark.parametrize("side", ["--ref", "--hyp"])
def test_malformed_files_are_one_line_that_names_file_and_place(
    corpus, name, content, message, side
):
    file = corpus / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    other = {"--ref": ("--hyp", corpus / "good"), "--hyp": ("--ref", corpus / "zed")}[side]
    status, output, errors = run(side, file, *other)
    assert (status, output) == (2, "")
    assert errors.count("\n") == 1
    assert name in errors and message in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hyp", "nowhere"), "nowhere: no such file or directory"),
        (("--hyp", "empty"), "empty: no annotation file (.rttm, .json, .TextGrid, .eaf"),
        (("--hyp", "good", "--collar", "-1"), "a collar of -1.0 s is not possible"),
        (("--hyp", "good", "--collar", "nan"), "a collar of nan s is not possible"),
        (("--hyp", "good", "--confidence", "95"), "a confidence of 95.0 is not between 0 and 1"),
        (("--hyp", "good", "--boundaries", "--tolerance", "-1"), "a tolerance of -1.0 s"),
        (("--hyp", "good", "--labels", "joie"), "cannot map 'joie'; write SPELLING=EMOTION"),
        (("--hyp", "good", "--uem", "bad.uem"), "bad.uem, line 2: 3 fields; a UEM line has 4"),
        (("--hyp", "good", "--uem", "empty.uem"), "empty.uem: no region in this UEM"),
        (("--hyp", "good", "--plot", "picture.doc"), "picture.doc"),
        (("--hyp", "good", "--audio", "nowhere"), "nowhere: no such file or directory"),
    ],
)
def test_wrong_options_are_one_line_and_status_2(corpus, monkeypatch, arguments, message):
    monkeypatch.chdir(corpus)
    Path("empty").mkdir()
    Path("empty.uem").touch()
    Path("bad.uem").write_text("a 1 0 5\na 1 0\n")
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    status, output, errors = run("--ref", "zed", *arguments)
    assert (status, output) == (2, "")
    assert message in errors and errors.count("\n") == 1


SAID = [
    recording("a", 1, 3, "happy"),
    recording("deep/b", 0, 4, "sad"),
    recording("c", 2, 5, "angry"),
]
HEARD = [SAID[0], recording("deep/b", 0, 4, "sad"), recording("c", 2.5, 5, "angry")]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "zed"])
def test_files_and_folders_of_every_format_are_scored(tmp_path, name):
    """On either side, other texts and tables in the same folder notwithstanding."""
    for side, recordings in (("ref", SAID), ("hyp", HEARD)):
        for path, held in one_file_each(recordings, FORMATS[name]):
            write(tmp_path / side / path, held, format=name)
        (tmp_path / side / "notes.txt").write_text("to do")
        (tmp_path / side / "scores.csv").write_text("recording,eder\n")
    ref, hyp = tmp_path / "ref", tmp_path / "hyp"
    status, output, errors = run("--ref", ref, "--hyp", hyp, "--format", "json", "--per-file")
    assert (status, errors) == (0, "")
    found = {item["recording"]: item["missed_emotion"] for item in json.loads(output)["recordings"]}
    assert [found[uri] for uri in ("a", "c", "deep/b")] == [0.0, 0.5, 0.0]
    suffix = FORMATS[name].suffixes[0]
    arguments = ("--ref", ref / f"a{suffix}", "--hyp", hyp / f"a{suffix}", "--format", "json")
    status, output, _ = run(*arguments)
    assert (status, json.loads(output)["systems"][0]["pooled_eder"]) == (0, 0.0)


def test_words_beside_the_annotations_do_not_matter(corpus):
    """Corpora ship transcripts in the formats of annotation tools."""
    (corpus / "good" / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,750\nhello there\n")
    assert run("--ref", corpus / "zed", "--hyp", corpus / "good")[0] == 0


def test_duplicate_recordings_name_both_files(corpus):
    (corpus / "good" / "again.rttm").write_text(GOOD)
    status, _, errors = run("--ref", corpus / "zed", "--hyp", corpus / "good")
    assert status == 2
    assert "'a' stands twice" in errors and "again.rttm" in errors and "a.rttm" in errors


def test_a_picture_without_matplotlib_says_what_to_install(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, errors = run(
        "--ref", corpus / "zed", "--hyp", corpus / "good", "--plot", corpus / "picture.png"
    )
    assert status == 2
    assert "pip install 'speech-emotion-diarization[plot]'" in errors


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_drawn(corpus, ending):
    pytest.importorskip("matplotlib")
    picture = corpus / "pictures" / f"score.{ending}"
    status, _, _ = run("--ref", corpus / "zed", "--hyp", corpus / "good", "--plot", picture)
    assert status == 0
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert picture.read_bytes().startswith(magic)
    assert [file.name for file in picture.parent.iterdir()] == [picture.name]


def test_nothing_scored_is_shown_as_nothing(corpus):
    """A UEM of files without emotions and a collar over all leave no number, and no warning."""
    (corpus / "none.rttm").write_text("SPEAKER a 1 1 2 <NA> <NA> neutral <NA> <NA>\n")
    none = corpus / "none.rttm"
    status, output, _ = run("--ref", none, "--hyp", none, "--confidence", "0.95")
    assert status == 0
    assert "without scored time, not in the macro mean (1): a" in output
    assert "–" in output and "nan" not in output
    output = run("--ref", none, "--hyp", none, "--confidence", "0.95", "--format", "json")[1]
    assert json.loads(output)["intervals"][1]["value"] is None


def test_options_are_those_of_the_api():
    """Same names, same defaults: whoever knows one knows the other."""
    command = inspect.signature(score).parameters
    options = {field.name: field.default for field in dataclasses.fields(ReportOptions)}
    for name, parameter in inspect.signature(score_system).parameters.items():
        if name not in ("reference", "hypothesis"):
            options[name] = parameter.default
        assert name in command
    assert {name: command[name].default for name in options} == options


def test_scoring_imports_nothing_heavy(corpus):
    """No torch, no scipy, no pandas, no decoder; rich only for the table."""
    program = (
        "import sys, typer\n"
        "from sed.cli.score import score\n"
        "app = typer.Typer(); app.command()(score)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'scipy', 'pandas', 'sklearn', 'av', 'soundfile',\n"
        "         'speechbrain', 'transformers', 'silero_vad'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    arguments = ["--ref", corpus / "zed", "--hyp", corpus / "good", "--confidence", "0.95"]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


@pytest.fixture
def archive(corpus: Path) -> Path:
    """The good system's hypotheses as a dataset, in which `b` failed."""
    pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")
    from sed.archive.dataset import Dataset, Row

    dataset = Dataset.open(corpus / "archive", {"model": "tiny"})
    heard = [recording("a", 1, 2.5, "happy", 5.0), recording("c", 2.25, 5, "angry", 5.0)]
    for number, each in enumerate(heard):
        row = Row(f"{each.uri}.wav", each.uri, 1, each.duration, 4.0, each.annotation, None)
        dataset.write(f"{number}{number}", [row])
    dataset.write("ff", [Row("b.wav", "b", None, None, None, None, "b.wav: no audio in it")])
    return dataset.folder


def test_a_dataset_is_scored_as_a_folder_of_files_is(corpus, archive):
    (corpus / "good" / "b.rttm").unlink()
    arguments = ("--ref", corpus / "zed", "--per-file", "--format", "json", "--hyp")
    folder, dataset = run(*arguments, corpus / "good"), run(*arguments, archive)
    found, expected = (json.loads(outcome[1]) for outcome in (dataset, folder))
    assert dataset[0] == folder[0] == 1  # b is missing
    assert found["recordings"] == expected["recordings"] and found["parts"] == expected["parts"]
    assert found["rules"]["missing"] == {str(archive): ["b"]}
    assert dataset[2] == f"sed: 1 recording of {archive} failed: no hypothesis\n"
    assert run(*arguments, archive, "--allow-missing")[0] == 0


def test_a_dataset_may_be_the_reference_and_the_other_system(corpus, archive):
    status, output, errors = run(
        "--ref", archive, "--hyp", corpus / "good", "--compare", archive, "--format", "json"
    )
    found = json.loads(output)
    assert status == 0 and found["rules"]["durations"]["reference"] == 2
    assert [system["macro_eder"] for system in found["systems"][:2]] == [0.0, 0.0]
    assert errors.splitlines() == [
        f"sed: 1 recording of {archive} failed: not scored",
        f"sed: 1 recording of {archive} failed: no hypothesis",
    ]


def test_a_dataset_beside_files_is_not_one_of_them(corpus, archive):
    archive.rename(corpus / "good" / "archive")
    status, _, errors = run("--ref", corpus / "zed", "--hyp", corpus / "good")
    assert (status, errors) == (0, "")


def test_a_dataset_without_recordings_is_refused(corpus, archive):
    for part in sorted(archive.glob("part=*/*.parquet"))[:2]:
        part.unlink()
    status, _, errors = run("--ref", corpus / "zed", "--hyp", archive)
    assert status == 2
    assert errors == f"sed: {archive}: no recording in it but 1 that failed\n"


def test_a_damaged_dataset_is_one_line(corpus, archive):
    part = archive / "part=11" / "11.parquet"
    part.write_bytes(part.read_bytes()[:50])
    status, _, errors = run("--ref", corpus / "zed", "--hyp", archive)
    assert status == 2 and errors.startswith(f"sed: {part}: damaged") and errors.count("\n") == 1


def test_what_stands_twice_in_a_dataset_is_named_with_its_files(corpus, archive):
    copy = archive / "part=22" / "22.parquet"
    copy.parent.mkdir()
    copy.write_bytes((archive / "part=11" / "11.parquet").read_bytes())
    status, _, errors = run("--ref", corpus / "zed", "--hyp", archive)
    assert status == 2 and f"'c' stands twice, in {copy} and in {archive}/part=11" in errors


def test_pyarrow_is_loaded_for_a_dataset_only(corpus, archive):
    def loads(hypotheses: Path) -> bool:
        code = (
            "import sys; from sed.scoring import read_side; read_side(sys.argv[1]); "
            "print('pyarrow' in sys.modules, 'torch' in sys.modules)"
        )
        found = subprocess.run(
            [sys.executable, "-c", code, str(hypotheses)], capture_output=True, text=True
        )
        pyarrow, torch = found.stdout.split()
        assert torch == "False"
        return pyarrow == "True"

    assert loads(archive) and not loads(corpus / "good")
