"""References and hypotheses of folders: what is read, what is matched, what is never guessed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, Segment, Timeline
from scoring_cases import annotation

from sed.formats import AnnotatedRecording, write
from sed.scoring import match, read_side, score


def rttm(uri: str, onset: float = 1.0, duration: float = 2.0, *, channel: int = 1) -> str:
    return f"SPEAKER {uri} {channel} {onset} {duration} <NA> <NA> happy <NA> <NA>\n"


def zed(folder: Path, durations: dict[str, float | None]) -> Path:
    """ZED folder in which every recording is happy from 1 to 3 s."""
    folder.mkdir(exist_ok=True)
    content = {
        uri: {
            "wav": f"datafolder/wav/{uri}.wav",
            **({} if duration is None else {"duration": duration}),
            "emotion": [{"emo": "happy", "start": 1.0, "end": 3.0}],
        }
        for uri, duration in durations.items()
    }
    (folder / "ZED.json").write_text(json.dumps(content))
    return folder


def test_every_kind_of_reference_gives_the_same_score(tmp_path):
    """ZED folder, its file, a manifest of letters, our JSON, and RTTM with a UEM."""
    folder = zed(tmp_path / "zed", {"a": 5.0, "b": 5.0})
    manifest = tmp_path / "test.json"
    manifest.write_text((folder / "ZED.json").read_text().replace("happy", "h"))
    said = list(read_side(folder).recordings.values())
    write(tmp_path / "said.json", said)
    write(tmp_path / "said.rttm", said)
    (tmp_path / "all.uem").write_text("a 1 0 5\nb 1 0 5\n")
    (tmp_path / "heard").mkdir()
    (tmp_path / "heard" / "a.rttm").write_text(rttm("a"))
    (tmp_path / "heard" / "b.rttm").write_text(rttm("b", 2.0, 2.0))
    heard = tmp_path / "heard"
    scores = [
        score(reference, heard)
        for reference in (folder, folder / "ZED.json", manifest, tmp_path / "said.json")
    ]
    scores.append(score(tmp_path / "said.rttm", heard, uem=tmp_path / "all.uem"))
    assert {found.macro for found in scores} == {0.2}
    assert {found.pooled for found in scores} == {scores[0].pooled}
    assert scores[0].matched.durations["reference"] == 2
    assert scores[-1].matched.durations["uem"] == 2


def test_missing_hypotheses_are_neutral_and_extra_ones_are_not_scored(tmp_path):
    said = zed(tmp_path / "zed", {"a": 4.0, "b": 4.0})
    (tmp_path / "heard.rttm").write_text(rttm("b") + rttm("bb") + rttm("a-1"))
    found = score(said, tmp_path / "heard.rttm")
    assert found.uris == ("a", "b")
    assert [errors.eder for errors in found.errors] == [0.5, 0.0]
    assert (found.matched.missing, found.matched.extra) == (("a",), ("a-1", "bb"))


def test_an_empty_rttm_in_a_folder_is_a_recording_without_emotions(tmp_path):
    """It is what a neutral recording is written as, so it is there and not missing."""
    said = zed(tmp_path / "zed", {"a": 4.0})
    (tmp_path / "heard").mkdir()
    (tmp_path / "heard" / "a.rttm").touch()
    found = score(said, tmp_path / "heard")
    assert found.matched.missing == ()
    assert found.pooled.missed_emotion == 2_000_000


def test_folders_are_read_to_the_bottom_and_other_files_left_alone(tmp_path):
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "b.rttm").write_text(rttm("b"))
    (tmp_path / "x" / "a.RTTM").write_text(rttm("a"))
    (tmp_path / "x" / ".a.rttm").write_text("unfinished")
    (tmp_path / "x" / "a.wav").write_bytes(b"RIFF")
    assert list(read_side(tmp_path / "x").recordings) == [("a", 1), ("b", 1)]


def test_a_recording_that_stands_twice_names_both_files(tmp_path):
    (tmp_path / "one.rttm").write_text(rttm("a"))
    (tmp_path / "two.rttm").write_text(rttm("a", 5.0))
    with pytest.raises(ValueError, match=r"'a' stands twice, in .*two.rttm and in .*one.rttm"):
        read_side(tmp_path)


def test_white_space_in_a_uri_matches_the_rttm_that_had_to_replace_it():
    said = AnnotatedRecording(annotation([(0, 10, "sad")], "my call"), duration=1.0)
    found = score([said], [annotation([(0, 10, "sad")], "my_call")])
    assert (found.macro, found.matched.missing) == (0.0, ())


def test_channels_matter_where_a_recording_has_several():
    """Each side of a call is scored against its own."""
    left, right = annotation([(0, 10, "sad")], "call"), annotation([(0, 10, "happy")], "call")
    said = [AnnotatedRecording(left, 1.0, 1), AnnotatedRecording(right, 1.0, 2)]
    heard = [AnnotatedRecording(right, None, 2), AnnotatedRecording(left, None, 1)]
    found = score(said, heard)
    assert found.uris == ("call, channel 1", "call, channel 2")
    assert found.pooled.eder == 0.0
    one_channel = score([said[0]], [AnnotatedRecording(left, None, 0)])
    assert (one_channel.uris, one_channel.pooled.eder) == (("call",), 0.0)


def test_a_uem_says_what_is_scored_and_what_is_left_out():
    said = [annotation([(0, 10, "sad")], uri) for uri in "abc"]
    uem = [Timeline([Segment(0, 2)], uri="a"), Timeline([Segment(0, 1)], uri="z")]
    found = score(said, said, uem=uem)
    assert found.uris == ("a",)
    assert (found.matched.outside_uem, found.matched.only_in_uem) == (("b", "c"), ("z",))
    with pytest.raises(ValueError, match="UEM names none of the 3 recordings"):
        score(said, said, uem=uem[1:])


def test_a_known_duration_cuts_a_uem_that_passes_it():
    said = AnnotatedRecording(annotation([(0, 10, "sad")], "a"), duration=2.0)
    found = score([said], [said], uem=[Timeline([Segment(1, 9)], uri="a")])
    assert found.pooled.total == 1_000_000


def test_unknown_durations_come_from_the_audio(tmp_path):
    """From the path of the reference, or from a folder of recordings named as the uris."""
    folder = zed(tmp_path / "zed", {"a": None, "b": 4.0, "c": None})
    (folder / "wav").mkdir()
    soundfile.write(folder / "wav" / "a.wav", np.zeros(16_000), 4_000)
    found = score(folder, [annotation([(10, 20, "happy")], uri) for uri in "abc"])
    assert found.matched.durations == {"reference": 1, "uem": 0, "audio": 1, "extent": 1}
    assert [errors.total for errors in found.errors] == [4_000_000, 4_000_000, 2_000_000]
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "c.flac", np.zeros(20_000), 4_000)
    found = score(
        folder, [annotation([(10, 20, "happy")], uri) for uri in "abc"], audio=tmp_path / "audio"
    )
    assert found.errors[2].total == 5_000_000
    soundfile.write(tmp_path / "audio" / "c.wav", np.zeros(20_000), 4_000)
    with pytest.raises(ValueError, match="both audio of 'c'"):
        score(folder, folder, audio=tmp_path / "audio")


def test_a_hypothesis_never_says_how_long_a_recording_is():
    """It could make its own rate smaller by claiming an hour of right silence."""
    said = annotation([(0, 10, "sad")], "a")
    heard = AnnotatedRecording(Annotation(uri="a"), duration=3600.0)
    found = score([said], [heard])
    assert found.pooled.eder == 1.0
    assert found.matched.durations["extent"] == 1


def test_a_swap_of_two_labels_is_applied_once(tmp_path):
    """Mapping happy to sad and sad to happy must not undo itself in the scorer."""
    (tmp_path / "said.rttm").write_text(rttm("a"))
    swap = {"happy": "sad", "sad": "happy"}
    found = score(tmp_path / "said.rttm", [annotation([(10, 20, "sad")], "a")], labels=swap)
    assert found.matched.pairs[0].reference.labels() == ["sad"]
    assert found.matched.pairs[0].hypothesis.labels() == ["happy"]
    assert found.atoms.emotions == ("sad", "happy")


def test_labels_may_map_onto_an_emotion_of_ones_own(tmp_path):
    (tmp_path / "said.rttm").write_text(rttm("a").replace("happy", "wistful"))
    said = tmp_path / "said.rttm"
    with pytest.raises(ValueError, match=r"said.rttm, line 1: unknown emotion 'wistful'"):
        score(said, said)
    found = score(said, said, labels={"wistful": "wistful"})
    assert found.atoms.emotions == ("wistful",)


def test_recordings_in_memory_need_a_uri_and_there_must_be_some():
    with pytest.raises(ValueError, match="without a uri"):
        read_side([Annotation()])
    with pytest.raises(ValueError, match="no recording"):
        read_side([])


def test_speechbrains_total_stands_only_where_its_function_applies():
    one = AnnotatedRecording(annotation([(0, 10, "sad")], "a"), duration=2.0)
    two = AnnotatedRecording(annotation([(0, 5, "sad"), (9, 3, "happy")], "b"), duration=2.0)
    heard = [annotation([(5, 10, "sad")], uri) for uri in "ab"]
    assert score([one], heard).speechbrain == pytest.approx(score([one], heard).macro)
    assert score([one, two], heard).speechbrain is None
    assert score([one], heard, collar=0.1).speechbrain is None
    assert score([one.annotation], heard).speechbrain is None
    overlapping = annotation([(0, 10, "sad"), (5, 10, "happy")], "a")
    assert score([one], [overlapping]).speechbrain is None


def test_speechbrains_total_shows_where_first_letters_deceive():
    """The cross-check disagrees in the open instead of being right by accident."""
    said = AnnotatedRecording(annotation([(0, 20, "surprised")], "a"), duration=2.0)
    found = score([said], [annotation([(0, 20, "sad")], "a")])
    assert (found.macro, found.speechbrain) == (1.0, 0.0)


def test_a_folder_of_ten_thousand_files_is_read_in_seconds(tmp_path):
    for i in range(10_000):
        (tmp_path / f"{i}.rttm").write_text(rttm(str(i)))
    start = time.perf_counter()
    side = read_side(tmp_path)
    assert len(match(side, side).pairs) == 10_000
    assert time.perf_counter() - start < 20  # about 1 s; ten times that on a busy machine
