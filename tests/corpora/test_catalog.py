"""Every corpus of the catalog: the real ones against tables, the others in their genuine layout."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from sed.corpora import Corpus, Utterance
from sed.corpora.descriptor import CATALOG
from sed.corpora.readers import READERS
from sed.labels import EMOTIONS, canonical

NAMES = sorted(path.stem for path in CATALOG.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_descriptor_is_complete(name: str) -> None:
    corpus = Corpus.named(name)
    assert corpus.name == name
    assert all((corpus.title, corpus.licence, corpus.citation, corpus.obtain))
    assert re.fullmatch(r"https?://\S+[^/]", corpus.homepage)
    assert re.fullmatch(r"[a-z]{2}(, [a-z]{2})*", corpus.language)
    assert {"neutral"} < set(corpus.emotions.values()) <= set(EMOTIONS)
    assert set(corpus.genders.values()) <= {"female", "male", None}
    assert not set(corpus.left_out) & set(corpus.emotions)
    assert set(corpus.aliases.values()) <= set(corpus.genders)
    for part in corpus.parts:
        assert 0 < Corpus.named(f"{name}:{part}").num_files < corpus.num_files


def test_the_catalog_is_listed_by_name() -> None:
    assert [corpus.name for corpus in Corpus.all()] == NAMES
    assert len(NAMES) == 12
    assert {corpus.reader for corpus in Corpus.all()} - {""} == set(READERS)


def test_the_published_numbers() -> None:
    """Recordings and speakers, as the corpora's authors count them."""
    assert {corpus.name: (corpus.num_files, corpus.num_speakers) for corpus in Corpus.all()} == {
        "casia": (1200, 4),
        "cremad": (7442, 91),
        "emodb": (535, 10),
        "emovdb": (7000, 4),
        "emovo": (588, 6),
        "esd": (35000, 20),
        "iemocap": (10039, 10),
        "jlcorpus": (2400, 4),
        "ravdess": (1440, 24),
        "savee": (480, 4),
        "tess": (2800, 2),
        "zed": (180, 73),
    }
    genders = Counter(Corpus.named("cremad").genders.values())
    assert genders == {"female": 43, "male": 48}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("emodb", {"angry": 127, "bored": 81, "disgusted": 46, "fearful": 69, "happy": 71,
                   "neutral": 79, "sad": 62}),
        ("emovo", dict.fromkeys(["angry", "disgusted", "fearful", "happy", "neutral", "sad",
                                 "surprised"], 84)),
        ("ravdess", {"neutral": 96, **dict.fromkeys(["angry", "calm", "disgusted", "fearful",
                                                     "happy", "sad", "surprised"], 192)}),
    ],
)  # fmt: skip
def test_every_recording_of_the_real_corpora_is_found(
    shared: Path, name: str, counts: dict[str, int]
) -> None:
    """The counts are those that the corpora's authors published."""
    corpus = Corpus.named(name)
    utterances = corpus.utterances(corpus.find(shared / "corpora"))
    assert Counter(utterance.emotion for utterance in utterances) == counts
    assert len({utterance.uri for utterance in utterances}) == len(utterances)
    assert all(utterance.corpus == name and utterance.sentence for utterance in utterances)
    paths = [utterance.path for utterance in utterances]
    assert paths == sorted(paths)


REAL = [
    ("emodb", "emodb", ""),
    ("emovo", "emovo", ""),
    ("ravdess", "ravdess", ""),
    ("tess", "tess", ""),
    ("cremad", "english_samples", "crema_d/"),
    ("jlcorpus", "english_samples", "jl_corpus/"),
]


@pytest.mark.parametrize(("name", "folder", "below"), REAL)
def test_all_that_is_read_is_that_of_a_table(
    shared: Path, name: str, folder: str, below: str
) -> None:
    """A table that was made from the file names by someone else."""
    root = shared / "corpora" / folder
    with open(root / "manifest.csv", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"].startswith(below)]
    corpus = Corpus.named(name)
    assert {
        utterance.path.relative_to(root).as_posix(): (
            utterance.speaker,
            utterance.gender,
            utterance.emotion,
            utterance.sentence,
        )
        for utterance in corpus.utterances(root / below, complete=False)
    } == {
        row["file"]: (
            row["speaker"],
            {"f": "female", "m": "male"}[row["gender"]],
            canonical(row["emotion"]),
            row["sentence_id"],
        )
        for row in rows
    }


@pytest.mark.parametrize(
    ("name", "folder", "complaint"),
    [
        ("tess", "", r"420 of the 2800 recordings of tess, fewest of speaker OAF \(210\); down"),
        ("cremad", "english_samples", "12 of the 7442 .* none of speaker 1003, .* and 84 more; "),
        ("jlcorpus", "english_samples", "5 of the 2400 .* none of speaker female2, male1; down"),
    ],
)
def test_a_subset_of_a_real_corpus_is_no_corpus(
    shared: Path, name: str, folder: str, complaint: str
) -> None:
    corpus = Corpus.named(name)
    with pytest.raises(ValueError, match=complaint) as caught:
        corpus.utterances(corpus.find(shared / "corpora" / folder))
    assert "\n" not in str(caught.value) and corpus.homepage in str(caught.value)


SAVEE = [*((code, 15) for code in ("a", "d", "f", "h", "sa", "su")), ("n", 30)]
JL = "angry anxious apologetic assertive concerned encouraging excited happy neutral sad".split()
FOUR = ("bea", "jenie", "josh", "sam")


def layouts() -> Iterator[tuple[str, str, list[str]]]:
    """A corpus, the folder that its archive makes, and its recordings there."""
    savee = [(s, f"{c}{i:02d}") for s in ("DC", "JE", "JK", "KL") for c, n in SAVEE
             for i in range(1, n + 1)]  # fmt: skip
    yield "savee", "savee", [f"AudioData/{speaker}/{stem}.wav" for speaker, stem in savee]
    yield "savee", "AudioData", [f"{speaker}/{stem}.wav" for speaker, stem in savee]
    yield "savee", "SAVEE", [f"ALL/{speaker}_{stem}.wav" for speaker, stem in savee]

    speakers = ("liuchanhong", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")
    emotions = ("angry", "fear", "happy", "neutral", "sad", "surprise")
    casia = [f"{s}/{e}/{i}.wav" for s, e, i in product(speakers, emotions, range(201, 251))]
    yield "casia", "CASIA", casia
    yield "casia", "CASIA database", [f"Chinese/{name}" for name in casia]

    takes = [f"{i}{session}_{take}" for i in range(1, 16) for session in "ab" for take in "12"]
    voices = ("female1", "female2", "male1", "male2")
    jl = [f"{s}_{e}_{take}.wav" for s, e, take in product(voices, JL, takes)]
    raw = "Raw JL corpus (unchecked and unannotated)"
    yield "jlcorpus", "archive", [f"{raw}/JL(wav+txt)/{name}" for name in jl]
    yield "jlcorpus", raw, [f"JL(wav+txt)/{name}" for name in jl]
    yield "jlcorpus", "JL_corpus", jl

    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    words = [chr(97 + i // 26) + chr(97 + i % 26) + "t" for i in range(200)]
    tess = [(s, e, w) for s, e, w in product(("OAF", "YAF"), emotions, words)]
    kaggle = {("OAF", "fear"): "OAF_Fear", ("OAF", "ps"): "OAF_Pleasant_surprise",
              ("OAF", "sad"): "OAF_Sad", ("YAF", "ps"): "YAF_pleasant_surprised"}  # fmt: skip
    slip = ("OAF", "neutral", words[3])  # one file of the corpus lacks a letter
    flat = [f"{'OA' if (s, e, w) == slip else s}_{w}_{e}.wav" for s, e, w in tess]
    folders = [kaggle.get((s, e), f"{s}_{e}") for s, e, _ in tess]
    data = "TESS Toronto emotional speech set data"
    nested = [f"{folder}/{name}" for folder, name in zip(folders, flat, strict=True)]
    yield "tess", "dataverse_files", flat
    yield "tess", data, nested
    yield "tess", "tess", [f"{data}/{name}" for name in (*nested, *(f"{data}/{n}" for n in nested))]

    ravdess = [
        f"Actor_{actor:02d}/03-01-{emotion:02d}-{level:02d}-{text:02d}-{take:02d}-{actor:02d}.wav"
        for actor, emotion, level, text, take in product(
            range(1, 25), range(1, 9), (1, 2), (1, 2), (1, 2)
        )
        if (emotion, level) != (1, 2)
    ]
    songs = [name.replace("/03-01-", "/03-02-") for name in ravdess if "/03-01-07" not in name]
    yield "ravdess", "Audio_Speech_Actors_01-24", ravdess
    yield "ravdess", "RAVDESS", [*ravdess, *songs]
    twice = [*ravdess, *(f"audio_speech_actors_01-24/{name}" for name in ravdess)]
    yield "ravdess", "ravdess-emotional-speech-audio", twice


LAYOUTS = [pytest.param(*layout, id=f"{layout[0]}-{layout[1]}") for layout in layouts()]


@pytest.mark.parametrize(("name", "folder", "files"), LAYOUTS)
def test_a_whole_corpus_is_read_in_each_of_its_layouts(
    tmp_path: Path, name: str, folder: str, files: list[str]
) -> None:
    unpack(tmp_path / folder, files)
    corpus = Corpus.named(name)
    utterances = corpus.utterances(corpus.find(tmp_path))
    assert len(utterances) == corpus.num_files
    assert {utterance.speaker for utterance in utterances} == set(corpus.genders)
    assert {said.emotion for said in utterances} == set(corpus.emotions.values())
    assert len({utterance.uri for utterance in utterances}) == corpus.num_files


def unpack(folder: Path, files: list[str]) -> None:
    """Empty files of these names."""
    for parent in {(folder / name).parent for name in files}:
        parent.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).touch()


def only(corpus: Corpus, num_files: int) -> Corpus:
    """The corpus, if it had no more than this."""
    return replace(corpus, num_files=num_files, num_kept=num_files, min_files=num_files)


def esd(folder: str) -> list[str]:
    """Two sentences of every speaker and emotion, numbered as there: 350 of an emotion."""
    emotions = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
    return [
        f"{speaker:04d}/{emotion}/{folder}{speaker:04d}_{350 * index + i:06d}.wav"
        for speaker in range(1, 21)
        for index, emotion in enumerate(emotions)
        for i in (1, 2)
    ]


@pytest.mark.parametrize("split", ["", "train/", "evaluation/", "test/"])
@pytest.mark.parametrize(
    "folder", ["ESD", "Emotional Speech Dataset (ESD)", "Emotion Speech Dataset"]
)
def test_esd_is_read_with_and_without_its_splits(tmp_path: Path, folder: str, split: str) -> None:
    unpack(tmp_path / folder, [*esd(split), "0011/0011.txt", "ReadMe.txt"])
    corpus = only(Corpus.named("esd"), 200)
    said = {said.uri: said for said in corpus.utterances(corpus.find(tmp_path))}
    assert len(said) == 200
    found = said["0011_000351"]
    assert (found.emotion, found.speaker, found.gender) == ("angry", "0011", "male")
    assert said["0001_001401"].emotion == "surprised"


def test_the_english_part_of_esd_may_be_all_there_is(tmp_path: Path) -> None:
    unpack(tmp_path / "ESD", [name for name in esd("train/") if name > "0011"])
    corpus = only(Corpus.named("esd:english"), 100)
    speakers = {said.speaker for said in corpus.utterances(tmp_path / "ESD")}
    assert speakers == {f"{speaker:04d}" for speaker in range(11, 21)}
    with pytest.raises(ValueError, match="100 of the 35000 recordings of esd, none of .*0001, .*5"):
        Corpus.named("esd").utterances(tmp_path / "ESD")


def emovdb() -> list[str]:
    """Two sentences of every archive of EmoV-DB; josh is never angry or disgusted."""
    stems = {"Amused": "amused", "Angry": "anger", "Disgusted": "disgust", "Neutral": "neutral",
             "Sleepy": "sleepiness"}  # fmt: skip
    return [
        f"{speaker}_{folder}/{stem}_{take}.wav"
        for speaker, (folder, stem) in product(FOUR, stems.items())
        if (speaker, folder) not in (("josh", "Angry"), ("josh", "Disgusted"))
        for take in ("1-28_0011", "57-84_0060")
    ]


def test_emovdb_tells_speakers_and_emotions_by_folders(tmp_path: Path) -> None:
    """The same file names come back in the folders of every speaker."""
    corpus = only(Corpus.named("emovdb"), 36)
    unpack(tmp_path / "a" / "EmoV-DB", emovdb())
    unpack(tmp_path / "b" / "EmoV-DB_sorted", [name.replace("_", "/", 1) for name in emovdb()])
    first, second = ({said.uri: said for said in corpus.utterances(corpus.find(tmp_path / data))}
                     for data in "ab")  # fmt: skip
    assert set(first) == set(second) and len(first) == 36
    found = first["josh_Sleepy_sleepiness_57-84_0060"]
    assert (found.speaker, found.gender, found.emotion, found.sentence) == (
        "josh", "male", "sleepy", "0060"
    )  # fmt: skip
    assert Counter(said.emotion for said in first.values())["angry"] == 6


def test_the_archives_of_emovdb_that_the_recipe_takes_are_enough(tmp_path: Path) -> None:
    kept = [name for name in emovdb() if re.match(r"[a-z]+_(Amused|Angry|Neutral)/", name)]
    unpack(tmp_path, kept + [f"converted/{name}" for name in kept])
    corpus = Corpus.named("emovdb:recipe")
    assert (corpus.num_files, corpus.min_files) == (4223, 4148)
    said = only(corpus, 22).utterances(tmp_path)
    assert {utterance.emotion for utterance in said} == {"amused", "angry", "neutral"}
    assert all("converted" not in utterance.path.parts for utterance in said)


def test_cremad_is_read_from_a_clone_and_from_its_audio_alone(tmp_path: Path) -> None:
    names = ["1001_DFA_ANG_XX", "1001_IEO_HAP_HI", "1040_ITH_SAD_X", "1091_WSI_NEU_XX"]
    clone = [f"AudioWAV/{name}.wav" for name in names] + [f"AudioMP3/{n}.mp3" for n in names]
    unpack(tmp_path / "a" / "crema-d", [*clone, "VideoDemographics.csv"])
    unpack(tmp_path / "b" / "AudioWAV", [f"{name}.wav" for name in names])
    corpus = Corpus.named("cremad")
    folders = [corpus.find(tmp_path / data) for data in "ab"]
    assert folders == [tmp_path / "a" / "crema-d", tmp_path / "b" / "AudioWAV"]
    for folder in folders:
        said: list[Utterance] = corpus.utterances(folder, complete=False)
        assert [(u.uri, u.speaker, u.emotion) for u in said] == [
            ("1001_DFA_ANG_XX", "1001", "angry"),
            ("1001_IEO_HAP_HI", "1001", "happy"),
            ("1040_ITH_SAD_X", "1040", "sad"),
            ("1091_WSI_NEU_XX", "1091", "neutral"),
        ]


def test_corpora_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """None takes another's recordings for its own, even in one heap under names of no use."""
    heap = {name: files[::7] for name, _, files in layouts()}
    heap |= {"esd": esd("train/"), "emovdb": emovdb(), "cremad": ["1001_DFA_ANG_XX.wav"]}
    heap |= {"emodb": ["wav/03a01Fa.wav"], "emovo": ["EMOVO/f1/dis-f1-b1.wav"]}
    for number, files in enumerate(heap.values()):
        unpack(tmp_path / f"{number}", files)
    for number, name in enumerate(heap):
        corpus = Corpus.named(name)
        said = corpus.utterances(corpus.find(tmp_path), complete=False)
        assert {utterance.path.relative_to(tmp_path).parts[0] for utterance in said} == {
            f"{number}"
        }
