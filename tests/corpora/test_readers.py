"""Readers of corpora whose file names do not tell the emotion."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sed.corpora import Corpus
from sed.corpora.readers import by_name
from sed.corpora.utterance import Turn

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
LABELS = ("neu", "exc", "xxx", "fru", "oth")


def evaluation(uri: str, code: str, at: int) -> str:
    """What IEMOCAP's file says of a sentence: the agreed line, and each evaluator's."""
    return (
        f"[{at}.2901 - {at + 1}.2357]\t{uri}\t{code}\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tNeutral; Excited;\t(curious)\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n\n"
    )


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Two dialogs in every session of IEMOCAP, five sentences of each speaker in each."""
    root = tmp_path / "IEMOCAP_full_release"
    for session in range(1, 6):
        for dialog in (f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1b"):
            text, at = HEADER, 0
            audio = root / f"Session{session}" / "sentences" / "wav" / dialog
            audio.mkdir(parents=True)
            for speaker in "FM":
                for number, code in enumerate(LABELS):
                    uri = f"{dialog}_{speaker}{number:03d}"
                    text += evaluation(uri, code, at := at + 2)
                    (audio / f"{uri}.wav").touch()
            labels = root / f"Session{session}" / "dialog" / "EmoEvaluation"
            labels.mkdir(parents=True, exist_ok=True)
            (labels / f"{dialog}.txt").write_text(text)
            (labels / f"._{dialog}.txt").write_bytes(b"\x00\x05\x16\x07")
            (labels / "Categorical").mkdir(exist_ok=True)
            (labels / "Categorical" / f"{dialog}_e2_cat.txt").write_text(
                f"{dialog}_F000 :Anger; ()"
            )
    return root


@pytest.fixture
def iemocap() -> Corpus:
    """The descriptor, with the counts of the small folder."""
    return replace(Corpus.named("iemocap"), num_files=100, num_kept=60, min_files=100)


def test_iemocap_is_labelled_by_its_evaluators(sessions: Path, iemocap: Corpus) -> None:
    utterances = iemocap.utterances(iemocap.find(sessions.parent))
    assert len(utterances) == 60
    said = {utterance.uri: utterance for utterance in utterances}
    assert said["Ses01F_impro01_F001"].emotion == "excited"
    assert said["Ses01F_impro01_F003"].emotion == "frustrated"
    assert "Ses01F_impro01_F002" not in said and "Ses01F_impro01_F004" not in said
    path = sessions / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert said["Ses01F_impro01_M000"].path == path


def test_iemocap_names_who_speaks_not_who_wears_the_markers(
    sessions: Path, iemocap: Corpus
) -> None:
    said = {utterance.uri: utterance for utterance in iemocap.utterances(sessions)}
    assert said["Ses01F_impro01_M000"].speaker == "Ses01M"
    assert said["Ses05M_script01_1b_F001"].speaker == "Ses05F"
    assert said["Ses05M_script01_1b_F001"].gender == "female"
    assert len({utterance.speaker for utterance in said.values()}) == 10


def test_iemocap_may_be_compressed_and_lie_a_level_deeper(sessions: Path, iemocap: Corpus) -> None:
    for path in sessions.rglob("*.wav"):
        path.rename(path.with_suffix(".flac"))
    assert iemocap.find(sessions.parent) == sessions
    assert len(iemocap.utterances(sessions.parent)) == 60


def test_sessions_and_audio_of_iemocap_that_are_missing_are_named(
    sessions: Path, iemocap: Corpus
) -> None:
    for path in (sessions / "Session5").rglob("*.wav"):
        path.unlink()
    complaint = "80 of the 100 recordings of iemocap, none of speaker Ses05F, Ses05M; request it"
    with pytest.raises(ValueError, match=complaint):
        iemocap.utterances(sessions)
    for path in sessions.rglob("EmoEvaluation/Ses*.txt"):
        path.unlink()
    with pytest.raises(ValueError, match="holds no recording of iemocap; .*EmoEvaluation"):
        iemocap.utterances(sessions)


def test_an_iemocap_with_other_labels_is_refused(sessions: Path, iemocap: Corpus) -> None:
    labels = sessions / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    before = labels.read_text()
    labels.write_text(before.replace("\txxx\t", "\tang\t"))
    with pytest.raises(ValueError, match="38 recordings of iemocap have no emotion, where 40"):
        iemocap.utterances(sessions)
    labels.write_text(before.replace("\tneu\t", "\tbor\t"))
    with pytest.raises(ValueError, match=r"wav: iemocap has no emotion 'bor'; it has ang, dis"):
        iemocap.utterances(sessions)


EVENTS = {
    "happy_1": [{"emo": "happy", "start": 0.5, "end": 1.75}],
    "sad_2": [{"emo": "s", "start": 0, "end": 2}, {"emo": "n", "start": 2, "end": 3}],
    "calm_3": [],
}


@pytest.fixture
def zaion(tmp_path: Path) -> Path:
    """Three recordings in the shape of ZED."""
    items = {
        uri: {"wav": f"datafolder/wavs/{uri}.wav", "duration": 4.0, "emotion": events}
        for uri, events in EVENTS.items()
    }
    (tmp_path / "ZED" / "wavs").mkdir(parents=True)
    (tmp_path / "ZED" / "ZED.json").write_text(json.dumps(items))
    for uri in EVENTS:
        (tmp_path / "ZED" / "wavs" / f"{uri}.wav").touch()
    return tmp_path / "ZED"


@pytest.fixture
def zed() -> Corpus:
    """The descriptor, with the counts of the small folder."""
    return replace(Corpus.named("zed"), num_files=3, num_kept=3, min_files=3)


def test_zed_keeps_where_the_emotion_is(zaion: Path, zed: Corpus) -> None:
    said = {utterance.uri: utterance for utterance in zed.utterances(zed.find(zaion.parent))}
    assert said["happy_1"].emotion == "happy"
    assert said["happy_1"].turns == (Turn(0.5, 1.75, "happy"),)
    assert said["happy_1"].path == zaion / "wavs" / "happy_1.wav"
    # neutral is the absence of a turn
    assert (said["sad_2"].emotion, said["sad_2"].turns) == ("sad", (Turn(0.0, 2.0, "sad"),))
    assert (said["calm_3"].emotion, said["calm_3"].turns) == ("neutral", ())
    assert len({utterance.speaker for utterance in said.values()}) == 3


def test_recordings_of_zed_that_are_missing_are_counted(zaion: Path, zed: Corpus) -> None:
    (zaion / "wavs" / "calm_3.wav").unlink()
    with pytest.raises(ValueError, match="2 of the 3 recordings of zed, .*; download"):
        zed.utterances(zaion)
    (zaion / "wavs" / "calm_3.flac").touch()
    assert len(zed.utterances(zaion)) == 3
    (zaion / "ZED.json").unlink()
    with pytest.raises(ValueError, match=r"holds no recording of zed; .*ZED\.json"):
        zed.utterances(zaion)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([*EVENTS["happy_1"], *EVENTS["sad_2"]], "turns of happy and sad"),
        ([{"emo": "bored", "start": 0, "end": 1}], "zed has no emotion 'bored'; it has angry"),
        ([{"emo": "happy", "start": 1, "end": 1}], "duration 0 s is not above zero"),
    ],
)
def test_an_annotation_that_is_not_that_of_zed_is_refused(
    zaion: Path, zed: Corpus, events: list[dict], complaint: str
) -> None:
    items = json.loads((zaion / "ZED.json").read_text())
    items["calm_3"]["emotion"] = events
    (zaion / "ZED.json").write_text(json.dumps(items))
    with pytest.raises(ValueError, match=complaint):
        zed.utterances(zaion)


def test_the_uri_is_what_was_matched_or_what_the_pattern_names(tmp_path: Path) -> None:
    (tmp_path / "x" / "a").mkdir(parents=True)
    (tmp_path / "x" / "a" / "H_1.wav").touch()
    [found] = by_name(tmp_path, r"(?P<speaker>\w)/(?P<emotion>[A-Z])_\d")
    assert (found.uri, found.speaker, found.code) == ("a_H_1", "a", "H")
    [found] = by_name(tmp_path, r"(?P<speaker>\w)/(?P<uri>(?P<emotion>[A-Z])_\d)")
    assert found.uri == "H_1"
    assert list(by_name(tmp_path, r"(?P<speaker>\w)/(?P<emotion>[A-Z])")) == []
