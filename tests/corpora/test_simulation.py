"""Simulated recordings: every sample has the emotion of the utterance that it comes from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from pyannote.core import Segment, Timeline

from sed.audio import Recording
from sed.corpora import Corpus, Utterance
from sed.corpora.joining import join
from sed.corpora.selection import select
from sed.corpora.simulation import (
    LOUDNESS,
    SHORT_SILENCES,
    Clip,
    LazyClip,
    SimulatedRecording,
    Simulation,
    lazy_clips,
    load_clips,
)
from sed.corpora.utterance import Turn
from sed.decoding import Binarize
from sed.frames import FrameGrid
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


@pytest.mark.parametrize("options", [{}, {"pause": (0.1, 0.3)}, {"crossfade": 0.01}])
def test_how_much_speech_there_will_be_is_known_beforehand(
    clips: list[Clip], options: dict[str, object]
) -> None:
    """From the lengths of the clips alone: no samples are asked for."""

    def unread(said: Utterance, length: int) -> SimpleNamespace:
        return SimpleNamespace(utterance=said, num_samples=length)

    lengths = {clip.utterance.uri: clip.num_samples for clip in clips}
    sizes = [unread(clip.utterance, clip.num_samples) for clip in clips]
    drawn, measured = (
        Simulation(c, classes=CLASSES, sample_rate=RATE, **options) for c in (clips, sizes)
    )
    found = set()
    for seed in range(30):
        recording = drawn.draw(np.random.default_rng(seed))
        speech = measured.speech_samples(np.random.default_rng(seed))
        assert speech == sum(lengths[uri] for uri in recording.clips)
        assert speech == len(recording.samples) or options
        found.add(speech)
    assert len(found) > 20


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


def tone(frequency: float, num_samples: int) -> np.ndarray:
    return np.cos(2 * np.pi * frequency * np.arange(num_samples) / RATE).astype(np.float32)


@pytest.mark.parametrize("fade", [0, 1, 160, 100_000])
@pytest.mark.parametrize("pauses", [[], [0, 800], [1, 0], [400, 400]])
def test_a_piece_is_where_its_span_says(fade: int, pauses: list[int]) -> None:
    """Outside of fades every sample is the piece's own, pauses are silent, and nothing is lost."""
    pieces = [tone(200, 1000), tone(700, 801), tone(300, 1200)]
    samples, spans = join(pieces, pauses=pauses, fade=fade)
    gaps = pauses or [0, 0]
    lengths = [min(fade, len(a) // 2, len(b) // 2) for a, b in pairwise(pieces)]
    overlaps = [0 if gap else length for gap, length in zip(gaps, lengths, strict=True)]
    assert len(samples) == sum(map(len, pieces)) + sum(gaps) - sum(overlaps)
    assert (spans[0][0], spans[-1][1]) == (0, len(samples))
    start = 0
    for number, (piece, (first, last)) in enumerate(zip(pieces, spans, strict=True)):
        before = lengths[number - 1] if number else 0
        after = lengths[number] if number < 2 else 0
        body = slice(start + before, start + len(piece) - after)
        np.testing.assert_array_equal(samples[body], piece[before : len(piece) - after])
        if number < 2:
            following = start + len(piece) + gaps[number] - overlaps[number]
            assert spans[number + 1][0] - last == gaps[number]
            assert not samples[last : last + gaps[number]].any()
            assert abs((last - following) - overlaps[number] / 2) <= 0.5 or gaps[number]
            start = following
        assert first < last


def test_a_cross_fade_keeps_the_power(rng: np.random.Generator) -> None:
    noises = [rng.standard_normal(32_000).astype(np.float32) for _ in range(2)]
    samples, [(_, boundary), _] = join(noises, fade=8_000)
    middle = samples[boundary - 4_000 : boundary + 4_000]
    assert np.mean(middle**2) == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.diff(np.sqrt(np.mean(middle.reshape(8, -1) ** 2, axis=1)))).max() < 0.15


def test_joining_leaves_the_clips_as_they_are(rng: np.random.Generator) -> None:
    piece = rng.standard_normal(100).astype(np.float32)
    before = piece.copy()
    join([piece, piece], fade=50)
    np.testing.assert_array_equal(piece, before)
    with pytest.raises(ValueError, match="2 pieces have 1 pauses, not 3"):
        join([piece, piece], pauses=[1, 2, 3])


def test_pauses_are_of_the_range_and_belong_to_no_emotion(clips: list[Clip]) -> None:
    options = {"classes": CLASSES, "sample_rate": RATE, "sequences": {"EEN": 1.0}}
    simulation = Simulation(clips, **options, pause=(0.1, 0.3))
    durations = []
    for recording in simulation.draw_set(100, seed=2):
        assert len(recording.clips) == 3
        [first, second] = recording.annotation.itersegments()
        for start, end in ((first.start, first.end), (second.start, second.end)):
            assert recording.samples[round(start * RATE) : round(end * RATE)].all()
        assert not recording.samples[round(first.end * RATE) : round(second.start * RATE)].any()
        durations.append(second.start - first.end)
    assert 0.1 <= min(durations) < 0.12 and 0.28 < max(durations) <= 0.3


def test_pauses_and_cross_fades_change_no_other_choice(simulation: Simulation) -> None:
    """The clips of a set are those of the set without a cross-fade."""
    clips = [
        clip
        for emotions in simulation._by_speaker.values()
        for e in emotions.values()
        for clip in e
    ]
    faded = Simulation(clips, classes=CLASSES, sample_rate=RATE, crossfade=0.02)
    for one, other in zip(simulation.draw_set(30, 1), faded.draw_set(30, 1), strict=True):
        assert one.clips == other.clips and one.sequence == other.sequence
        num_joints = len(one.sequence) - 1
        assert len(one.samples) - len(other.samples) == num_joints * 320
        assert len(list(one.annotation.itersegments())) == len(
            list(other.annotation.itersegments())
        )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pause": (0.3, 0.1)}, "pauses cannot last 0.3 to 0.1 s"),
        ({"pause": (-1.0, 0.1)}, "pauses cannot last"),
        ({"pause": (0.0, float("nan"))}, "pauses cannot last"),
        ({"crossfade": -0.1}, "a cross-fade cannot last -0.1 s"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    clips: list[Clip], options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Simulation(clips, classes=CLASSES, sample_rate=RATE, **options)


def test_a_speaker_needs_only_what_the_sequences_ask_for(clips: list[Clip]) -> None:
    emotional = [clip for clip in clips if clip.utterance.emotion != "neutral"]
    options = {"classes": CLASSES, "sample_rate": RATE}
    recordings = Simulation(emotional, **options, sequences={"EE": 1.0, "N": 0.0}).draw_set(9, 0)
    assert {recording.sequence for recording in recordings} == {"EE"}
    with pytest.raises(ValueError, match="no speaker has neutral utterances"):
        Simulation(emotional, **options, sequences={"N": 1.0})


def test_clips_that_are_read_when_drawn_give_the_same_recordings(clips: list[Clip]) -> None:
    samples = {clip.utterance: clip.samples for clip in clips}
    lazy = [LazyClip(clip.utterance, samples.__getitem__) for clip in clips]
    one, other = (Simulation(c, classes=CLASSES, sample_rate=RATE) for c in (clips, lazy))
    assert all(map(same, one.draw_set(30, 4), other.draw_set(30, 4)))


def test_a_clip_without_speech_makes_way_for_another(clips: list[Clip]) -> None:
    silent = {clip.utterance for clip in clips[::2]}  # one of two of each kind
    lazy = [
        LazyClip(c.utterance, lambda u, c=c: c.samples[: 0 if u in silent else None]) for c in clips
    ]
    simulation = Simulation(lazy, classes=CLASSES, sample_rate=RATE)
    drawn = {uri for recording in simulation.draw_set(60, 0) for uri in recording.clips}
    assert drawn and not drawn & {said.uri for said in silent}
    nothing = [LazyClip(c.utterance, lambda u: np.empty(0, np.float32)) for c in clips]
    with pytest.raises(ValueError, match="no speech .* of speaker . of first; leave the speaker"):
        Simulation(nothing, classes=CLASSES, sample_rate=RATE).numbered(0, 0)


def test_few_clips_stay_in_memory(tmp_path: Path, rng: np.random.Generator) -> None:
    """The last ones are not read again; what is read again is the same."""
    said = []
    for number in range(3):
        noise = rng.standard_normal(8_000)
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * noise, RATE)
        said.append(Utterance(str(number), tmp_path / f"{number}.wav", "a", "toy", "happy"))
    lines = [Timeline([Segment(0.0, 0.5)], uri=str(number)) for number in range(3)]
    options = {"vad": Oracle(lines), "binarize": SHORT_SILENCES, "sample_rate": RATE}
    eager, lazy = load_clips(said, **options), lazy_clips(said, **options, num_kept=2)
    for clip, read in zip(eager, lazy, strict=True):
        np.testing.assert_array_equal(clip.samples, read.samples)
    assert lazy[2].samples is lazy[2].samples
    first = lazy[0].samples
    _ = lazy[1].samples, lazy[2].samples
    assert lazy[0].samples is not first
    np.testing.assert_array_equal(lazy[0].samples, first)


@pytest.mark.parametrize("hop", [160, 320, 512])
@pytest.mark.parametrize("silence", [0.1, 0.19, 0.21, 0.25, 0.3, 1.0])
def test_short_silences_are_at_most_those_of_the_paper(hop: int, silence: float) -> None:
    """On the grid of every detector, where a silence is a whole number of frames."""
    grid = FrameGrid(RATE, hop)
    num_silent = round(silence * RATE / hop)
    scores = np.concatenate((np.ones(50), np.zeros(num_silent), np.ones(50)))
    speech = SHORT_SILENCES(grid.feature(scores[:, None]), len(scores) * hop / RATE)
    left = speech.duration() - 100 * hop / RATE
    assert left <= min(0.2, num_silent * hop / RATE) + 1e-9


def test_recordings_of_one_emotion_are_selected_in_the_order_of_their_names() -> None:
    """What says where its emotion is has several; a name may stand for another emotion."""
    said = [
        utterance("c", "a", "excited"),
        utterance("b", "a", "neutral"),
        replace(utterance("a", "a", "happy"), turns=(Turn(1.0, 2.0, "happy"),)),
        utterance("d", "b", "bored"),
    ]
    corpus = SimpleNamespace(find=lambda folder: folder, utterances=lambda home: said)
    found = select([corpus], Path(), classes=CLASSES, labels={"excited": "happy"})
    assert [(one.uri, one.emotion) for one in found] == [("b", "neutral"), ("c", "happy")]
    assert select([corpus], Path(), classes=["bored"], speakers=["b"]) == [said[3]]
