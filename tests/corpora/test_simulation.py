"""Simulated recordings: every sample has the emotion of the utterance that it comes from."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyannote.core import Segment, Timeline

from sed.audio import Recording
from sed.corpora import Corpus, Utterance
from sed.corpora.simulation import (
    LOUDNESS,
    Clip,
    SimulatedRecording,
    Simulation,
    load_clips,
)
from sed.decoding import Binarize
from sed.vad import Oracle, Silero

RATE = 16_000
CLASSES = ["neutral", "happy", "sad"]


def utterance(uri: str, speaker: str, emotion: str, corpus: str = "toy") -> Utterance:
    return Utterance(uri, Path(f"{uri}.wav"), speaker, corpus, emotion)


@pytest.fixture
def clips() -> list[Clip]:
    """Two clips of every speaker and emotion in two corpora; each sample says whose it is."""
    clips = []
    for corpus, speaker, emotion in (
        (corpus, speaker, emotion)
        for corpus in ("first", "second")
        for speaker in ("a", "b", "c")
        for emotion in (*CLASSES, "bored")
    ):
        for _ in range(2):
            code = len(clips) + 1
            said = utterance(f"{code}", speaker, emotion, corpus)
            clips.append(Clip(said, np.full(1000 + 37 * code, code, dtype=np.float32)))
    return clips


@pytest.fixture
def simulation(clips: list[Clip]) -> Simulation:
    return Simulation(clips, classes=CLASSES, sample_rate=RATE)


def same(one: SimulatedRecording, other: SimulatedRecording) -> bool:
    return (
        np.array_equal(one.samples, other.samples)
        and one.annotation == other.annotation
        and (one.corpus, one.speaker, one.sequence) == (other.corpus, other.speaker, other.sequence)
    )


def test_every_sample_has_the_emotion_of_its_utterance(
    simulation: Simulation, clips: list[Clip]
) -> None:
    """Boundaries are exact, and one speaker of one corpus speaks throughout."""
    for recording in simulation.draw_set(200, seed=3):
        emotion_of_sample = np.full(len(recording.samples), "neutral", dtype=object)
        for segment, _, label in recording.annotation.itertracks(yield_label=True):
            start, end = segment.start * RATE, segment.end * RATE
            assert start == pytest.approx(round(start), abs=1e-6)
            emotion_of_sample[round(start) : round(end)] = label
        said = [clips[int(code) - 1].utterance for code in recording.samples]
        assert [u.emotion for u in said] == emotion_of_sample.tolist()
        assert {(u.corpus, u.speaker) for u in said} == {(recording.corpus, recording.speaker)}
        assert recording.duration == len(recording.samples) / RATE
        kinds = ["N" if u.emotion == "neutral" else "E" for u in said]
        changes = [kinds[0]] + [new for old, new in pairwise(kinds) if new != old]
        assert "".join(changes) == recording.sequence


def test_the_same_seed_gives_the_same_recordings(simulation: Simulation, clips: list[Clip]) -> None:
    twin = Simulation(clips, classes=CLASSES, sample_rate=RATE)
    for one, other in zip(simulation.draw_set(20, 7), twin.draw_set(20, 7), strict=True):
        assert same(one, other) and one.annotation.uri == other.annotation.uri
    others = simulation.draw_set(20, 8)
    assert not all(map(same, simulation.draw_set(20, 7), others))


def test_a_larger_set_begins_with_the_smaller_one(simulation: Simulation) -> None:
    assert all(map(same, simulation.draw_set(5, 7), simulation.draw_set(9, 7)[:5]))


def test_a_set_takes_the_corpora_in_turn_and_names_its_recordings_apart(
    simulation: Simulation,
) -> None:
    recordings = simulation.draw_set(10, seed=0)
    assert [recording.corpus for recording in recordings] == ["first", "second"] * 5
    assert len({recording.annotation.uri for recording in recordings}) == 10


def test_everything_is_drawn_at_the_papers_odds(
    simulation: Simulation, rng: np.random.Generator
) -> None:
    recordings = [simulation.draw(rng) for _ in range(2000)]
    for value, share in (
        (lambda r: r.sequence, 0.25),
        (lambda r: r.corpus, 0.5),
        (lambda r: r.speaker, 1 / 3),
        (lambda r: r.annotation.labels()[0], 0.5),
    ):
        counts = Counter(map(value, recordings))
        assert len(counts) == round(1 / share)
        assert all(abs(count / 2000 - share) < 0.05 for count in counts.values())


def test_emotions_beside_each_other_stay_two_segments(clips: list[Clip]) -> None:
    simulation = Simulation(clips, classes=CLASSES, sample_rate=RATE, sequences={"EE": 1.0})
    [first, second] = simulation.draw(np.random.default_rng(0)).annotation.itersegments()
    assert first.end == second.start


def test_a_speaker_without_neutral_utterances_is_never_drawn(clips: list[Clip]) -> None:
    kept = [c for c in clips if (c.utterance.speaker, c.utterance.emotion) != ("a", "neutral")]
    simulation = Simulation(kept, classes=CLASSES, sample_rate=RATE)
    assert {r.speaker for r in simulation.draw_set(50, 0)} == {"b", "c"}


@pytest.mark.parametrize(
    "sequences", [{"NX": 1.0}, {"": 1.0}, {"NE": -1.0}, {}, {"NE": 0.0}, {"NE": float("nan")}]
)
def test_sequences_without_meaning_are_refused(
    clips: list[Clip], sequences: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="sequence"):
        Simulation(clips, classes=CLASSES, sample_rate=RATE, sequences=sequences)


def test_clips_of_which_no_speaker_fits_are_refused(clips: list[Clip]) -> None:
    happy = [clip for clip in clips if clip.utterance.emotion == "happy"]
    with pytest.raises(ValueError, match="both neutral and emotional"):
        Simulation(happy, classes=CLASSES, sample_rate=RATE)


def test_an_unknown_corpus_cannot_be_drawn_from(simulation: Simulation) -> None:
    with pytest.raises(ValueError, match="'third'.*first, second"):
        simulation.draw(np.random.default_rng(0), "third")


def test_a_clip_is_the_speech_of_its_utterance_at_equal_loudness(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    r"""Pauses up to 0.2 s stay, longer ones and the ends go.

    ::

        speech    0.5 |====| 1.0  1.15 |===| 1.5        2.0 |====| 2.4
        clip          |==================== |+|==========|
    """
    speech = Timeline([Segment(0.5, 1.0), Segment(1.15, 1.5), Segment(2.0, 2.4)])
    said = []
    for uri, level in (("loud", 0.5), ("quiet", 0.001)):
        samples = (level * rng.standard_normal(3 * RATE)).astype(np.float32)
        soundfile.write(tmp_path / f"{uri}.wav", samples, RATE, subtype="FLOAT")
        said.append(Utterance(uri, tmp_path / f"{uri}.wav", "a", "toy", "happy"))
    oracle = Oracle([Timeline(speech, uri=uri) for uri in ("loud", "quiet")])
    clips = load_clips(said, vad=oracle, binarize=Binarize(pad=0.0), sample_rate=RATE)
    assert [clip.utterance for clip in clips] == said
    for clip in clips:
        samples = Recording.open(clip.utterance.path).samples(RATE)
        expected = np.concatenate((samples[8_000:24_000], samples[32_000:38_400]))
        assert clip.samples.dtype == np.float32
        assert np.sqrt(np.mean(clip.samples**2)) == pytest.approx(LOUDNESS, rel=1e-4)
        scale = LOUDNESS / np.sqrt(np.mean(expected**2))
        np.testing.assert_allclose(clip.samples, scale * expected, rtol=1e-4, atol=1e-6)


def test_an_utterance_without_speech_gives_no_clip(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    said = Utterance("silence", tmp_path / "silence.wav", "a", "toy", "happy")
    oracle = Oracle([Timeline(uri="silence")])
    assert load_clips([said], vad=oracle, binarize=Binarize(), sample_rate=RATE) == []


def test_a_real_recording_loses_its_silences(shared: Path) -> None:
    """RAVDESS's actors are silent for about a second before and after they speak."""
    utterances = Corpus.named("ravdess").utterances(shared / "corpora" / "ravdess")
    said = [utterances[0], utterances[700]]
    clips = load_clips(said, vad=Silero(), binarize=Binarize(), sample_rate=RATE)
    assert [clip.utterance for clip in clips] == said
    for clip in clips:
        whole = Recording.open(clip.utterance.path).samples(RATE)
        assert RATE < len(clip.samples) < 0.75 * len(whole)
        assert np.sqrt(np.mean(clip.samples**2)) == pytest.approx(LOUDNESS, rel=1e-4)
        frames = clip.samples[: len(clip.samples) // 160 * 160].reshape(-1, 160)
        level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
        silent = "".join("." if value < level.max() - 50 else "#" for value in level)
        assert max(map(len, silent.split("#"))) <= 30  # 0.2 s and the padding around speech
