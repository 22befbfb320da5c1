"""`sed plot` and `sed diarize --plot`: pictures of files and of what was just found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, write_wav

from sed.colours import colour
from sed.report.lanes import ERRORS

pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")

HYPOTHESIS = """\
SPEAKER call 1 0.500 1.000 <NA> <NA> happy 0.8 <NA>
SPEAKER call 2 1.000 0.500 <NA> <NA> sad <NA> <NA>
"""
REFERENCE = """{"recordings": [
  {"uri": "call", "channel": 1, "duration": 2.0,
   "segments": [{"onset": 0.5, "offset": 1.5, "emotion": "angry"}]},
  {"uri": "call", "channel": 3, "duration": 2.0,
   "segments": [{"onset": 0.0, "offset": 2.0, "emotion": "fearful"}]}]}
"""


@pytest.fixture
def files(tmp_path: Path, voice: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Annotations of a call of three channels, of others, and its audio, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("call.rttm").write_text(HYPOTHESIS)
    Path("gold.json").write_text(REFERENCE)
    Path("two.rttm").write_text(HYPOTHESIS + HYPOTHESIS.replace("call", "talk"))
    Path("nothing.rttm").touch()
    Path("broken.rttm").write_text("SPEAKER call 1 x 1 <NA> <NA> happy <NA> <NA>\n")
    Path("joie.rttm").write_text("SPEAKER call 1 0.5 1 <NA> <NA> joie <NA> <NA>\n")
    write_wav(Path("call.wav"), np.stack([voice] * 3, axis=1))
    return tmp_path


def leftovers(folder: Path, before: set[Path]) -> set[Path]:
    return set(folder.rglob("*")) - before


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_an_annotation_alone_is_a_picture(sed: Command, ending: str) -> None:
    outcome = sed("plot", "call.rttm", "--out", f"new/call.{ending}")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    [path] = Path("new").iterdir()
    assert path.read_bytes().startswith(magic)


@pytest.mark.usefixtures("files")
def test_audio_reference_and_another_system_have_their_lanes(sed: Command) -> None:
    options = ("--audio", "call.wav", "--ref", "gold.json", "--other", "two.rttm")
    outcome = sed("plot", "call.rttm", *options, "--out", "call.svg")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    svg = Path("call.svg").read_text()
    for channel in (1, 2, 3):  # the third one is only in the reference
        assert f">channel {channel}<" in svg
    assert svg.count(">waveform<") == svg.count(">reference<") == 3
    assert svg.count(">call<") == 3 + 1  # the system, and the title
    assert svg.count(">two<") == 3
    for emotion in ("happy", "sad", "angry", "fearful"):
        assert f"fill: {colour(emotion).lower()}" in svg
    for part, times in (("confusion", 1), ("false_alarm", 1), ("missed_emotion", 1)):
        assert svg.count(f"fill: {ERRORS[part][0].lower()}") >= 2 * times
    # 1 s of 2 s confused; half a second of the extent, which is all that is known of channel 2
    assert svg.count(">EDER 50.0 %<") == 2
    assert svg.count(">EDER 25.0 %<") == 2


@pytest.mark.usefixtures("files")
def test_the_rate_is_the_one_that_is_scored(sed: Command) -> None:
    Path("a.rttm").write_text("SPEAKER call 1 0.2 1.1 <NA> <NA> angry <NA> <NA>\n")
    Path("gold.json").write_text(REFERENCE.replace('"call", "channel": 3', '"talk", "channel": 1'))
    scored = sed("score", "--ref", "gold.json", "--hyp", "a.rttm", "--per-file", "--allow-missing")
    assert "25.00" in scored.out
    assert sed("plot", "a.rttm", "--uri", "call", "--ref", "gold.json", "--out", "a.svg").code == 0
    assert ">EDER 25.0 %<" in Path("a.svg").read_text()


@pytest.mark.usefixtures("files")
def test_one_of_many_is_chosen_and_a_stretch_of_it(sed: Command) -> None:
    view = ("--start", "0.5", "--end", "1.5")
    assert sed("plot", "two.rttm", "--uri", "talk", *view, "--out", "talk.svg").code == 0
    svg = Path("talk.svg").read_text()
    assert ">talk<" in svg and ">0:00.50<" in svg and ">0:00.00<" not in svg


@pytest.mark.usefixtures("files")
def test_a_file_of_one_recording_may_be_named_as_the_file(sed: Command) -> None:
    """As formats that hold no name are read."""
    Path("new.rttm").write_text("SPEAKER new 1 0 1 <NA> <NA> happy <NA> <NA>\n")
    Path("old.rttm").write_text("SPEAKER old 1 0 1 <NA> <NA> happy <NA> <NA>\n")
    assert sed("plot", "new.rttm", "--ref", "old.rttm", "--out", "new.svg").code == 0
    assert ">EDER 0.0 %<" in Path("new.svg").read_text()


@pytest.mark.usefixtures("files")
def test_a_recording_without_emotions_needs_its_audio(sed: Command) -> None:
    outcome = sed("plot", "nothing.rttm", "--out", "a.png")
    assert outcome.code == 2
    assert outcome.error.startswith("nothing to draw of nothing: no segment, and no audio")
    assert sed("plot", "nothing.rttm", "--audio", "call.wav", "--out", "a.png").code == 0


@pytest.mark.usefixtures("files")
def test_spellings_of_ones_own_are_known(sed: Command) -> None:
    options = ("--labels", "joie=bliss", "--ref", "joie.rttm")
    assert sed("plot", "joie.rttm", *options, "--out", "a.svg").code == 0
    svg = Path("a.svg").read_text()
    assert ">bliss<" in svg and ">EDER 0.0 %<" in svg


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("call.rttm", "--out", "call.doc"), "call.doc is named like no picture; give it one of"),
        (("none.rttm", "--out", "a.png"), "none.rttm: no such file or directory"),
        (("call.wav", "--out", "a.png"), "call.wav"),
        (("broken.rttm", "--out", "a.png"), "broken.rttm, line 1: onset is 'x', not a number"),
        (("joie.rttm", "--out", "a.png"), "joie.rttm, line 1: unknown emotion 'joie'"),
        (
            ("two.rttm", "--out", "a.png"),
            "two.rttm holds 2 recordings; choose one with --uri: call",
        ),
        (("two.rttm", "--uri", "x", "--out", "a.png"), "two.rttm holds no recording 'x'; it holds"),
        (("call.rttm", "--uri", "x", "--out", "a.png"), "call.rttm holds no recording 'x'"),
        (("call.rttm", "--ref", "joie.rttm", "--out", "a.png"), "unknown emotion 'joie'"),
        (("call.rttm", "--ref", "nothing.rttm", "--audio", "x.wav", "--out", "a.png"), "x.wav"),
        (("call.rttm", "--audio", "gold.json", "--out", "a.png"), "gold.json"),
        (("call.rttm", "--start", "9", "--out", "a.png"), "cannot begin at 9 s; the recording has"),
        (("call.rttm", "--start", "1", "--end", "1", "--out", "a.png"), "has no extent"),
        (("call.rttm", "--end", "nan", "--out", "a.png"), "has no extent"),
        (("call.rttm", "--out", "call.rttm/a.png"), "call.rttm"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    sed: Command, files: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    before = set(files.rglob("*"))
    outcome = sed("plot", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error
    assert leftovers(files, before) == set()


@pytest.mark.usefixtures("permissions")
def test_a_folder_that_must_not_be_written_is_one_line(sed: Command, files: Path) -> None:
    (files / "locked").mkdir(mode=0o555)
    outcome = sed("plot", "call.rttm", "--out", "locked/a.png")
    assert outcome.code == 2
    assert outcome.error.endswith("permission denied")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(sed: Command, files: Path, diarize: Command) -> None:
    Path("full.png").symlink_to("/dev/full")
    assert sed("plot", "call.rttm", "--out", "full.png").error == (
        "full.png: no space left on device"
    )
    assert diarize("call.wav", "--plot", "full.png").error == "full.png: no space left on device"


def test_a_picture_of_files_needs_no_torch(files: Path) -> None:
    program = (
        "import sys\n"
        "from sed.cli import app\n"
        "try:\n"
        "    app(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'torchaudio', 'scipy', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    arguments = ["plot", "call.rttm", "--audio", "call.wav", "--out", "a.png"]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, cwd=files)
    assert (files / "a.png").stat().st_size > 1000


def test_what_is_diarized_is_drawn(diarize: Command, files: Path) -> None:
    """With its posteriors and speech, channels above each other."""
    outcome = diarize("call.wav", "--channel", "split", "--plot", "call.svg", "--rttm", "-")
    assert (outcome.code, outcome.err) == (0, "")
    svg = Path("call.svg").read_text()
    for lane in ("waveform", "posteriors", "speech", "emotions"):
        assert svg.count(f">{lane}<") == 3
    assert all(
        f"fill: {colour(line.split()[7]).lower()}" in svg for line in outcome.out.splitlines()
    )
    assert diarize("call.wav", "--plot", "call.svg").out == ""  # no timeline beside it


def test_several_recordings_are_drawn_into_a_folder(
    diarize: Command, files: Path, voice: np.ndarray
) -> None:
    write_wav(Path("calls/deep/a.wav"), voice)
    write_wav(Path("calls/b.wav"), voice)
    assert diarize("calls", "--plot", "pictures/").code == 0
    drawn = sorted(
        path.relative_to("pictures").as_posix() for path in Path("pictures").rglob("*.*")
    )
    assert drawn == ["b.png", "deep/a.png"]
    Path("there").mkdir()
    assert diarize("call.wav", "--plot", "there").code == 0
    assert (files / "there" / "call.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("call.wav", "--plot", "call.doc"), "one of the endings .png, .svg, .pdf, or end it in /"),
        (("call.wav", "--plot", "new"), "or end it in / for a folder"),
        (("call.wav", "call.wav", "--plot", "a.png"), "for several name a folder, such as a/"),
        ((".", "--plot", "a.png"), "a.png is one picture, of one recording"),
        (("*.wav", "--plot", "a.png"), "a.png is one picture, of one recording"),
        (("call.wav", "--plot", "a.png", "--rttm", "a.png"), "--plot cannot write a.png too"),
        (("call.wav", "--plot", "call.rttm/"), "call.rttm"),
        (("call.wav", "--plot", "call.rttm/a.png"), "call.rttm"),
    ],
)
def test_pictures_that_cannot_be_meant_stop_the_run_before_it_works(
    diarize: Command, files: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    before = set(files.rglob("*"))
    outcome = diarize(*arguments, "--model", "no such model")
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error
    assert leftovers(files, before) == set()


def test_a_run_that_fails_leaves_the_old_picture(diarize: Command, files: Path) -> None:
    Path("old.png").write_bytes(b"old")
    Path("empty.wav").touch()
    before = set(files.rglob("*"))
    assert diarize("empty.wav", "--plot", "old.png").code == 1
    assert Path("old.png").read_bytes() == b"old"
    assert leftovers(files, before) == set()


@pytest.mark.usefixtures("files")
def test_a_recording_of_a_dataset_is_drawn_as_that_of_a_file(sed: Command) -> None:
    pytest.importorskip("pyarrow", reason="datasets need the extra 'archive'")
    from sed.archive.dataset import Dataset, Row
    from sed.formats import read

    dataset = Dataset.open("emotions", {})
    for held in read("two.rttm"):
        row = Row("x.wav", held.uri, held.channel, None, None, held.annotation, None)
        dataset.write(f"{held.uri}{held.channel}", [row])
    for source in ("two.rttm", "emotions"):
        outcome = sed("plot", source, "--uri", "talk", "--out", f"{source}.svg")
        assert (outcome.code, outcome.err) == (0, "")
    assert Path("emotions.svg").read_text() == Path("two.rttm.svg").read_text()
    assert (
        "holds no recording 'chat'"
        in sed("plot", "emotions", "--uri", "chat", "--out", "x.png").error
    )
