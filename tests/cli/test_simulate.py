"""`sed simulate`: tones for emotions, so that what is heard can be compared with what is said."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command_line import Command, Outcome, on_terminal, write_wav

from sed.audio import Recording
from sed.corpora.simulated_sets import encode_audio
from sed.formats import read

RATE = 8_000
TONES = {"W": 443.1, "F": 701.3, "T": 1033.7, "N": 251.9, "L": 1409.1, "E": 1409.1, "A": 1409.1}
EMOTIONS = {"angry": "W", "happy": "F", "sad": "T", "neutral": "N"}
SPEAKERS = "03 08 09 10 11 12 13 14 15 16".split()


@pytest.fixture(scope="session")
def toy_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EmoDB with a tone for each emotion, of another length and level in each recording."""
    folder = tmp_path_factory.mktemp("corpora")
    sentences = "a01 a02 a04 a05 a07 b01 b02 b03 b09 b10".split()
    names = itertools.islice(itertools.product(sentences, TONES, SPEAKERS), 535)
    for number, (sentence, code, speaker) in enumerate(names):
        time = np.arange(800 + 3 * number) / RATE
        level = 0.1 + 0.8 * (number % 7) / 7
        samples = level * np.cos(2 * np.pi * TONES[code] * time + 2.4 * number)
        path = folder / "emodb" / "wav" / f"{speaker}{sentence}{code}a.wav"
        write_wav(path, samples, RATE)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "simulated"


@pytest.fixture
def simulate(sed: Command, toy_corpora: Path, output: Path) -> Command:
    """`sed simulate emodb`, six recordings of the tones unless told otherwise."""

    def run(*arguments: str | Path) -> Outcome:
        defaults = {
            "--data-folder": toy_corpora,
            "--output": output,
            "--num": "6",
            "--vad": "none",
            "--sample-rate": str(RATE),
        }
        missing = [part for pair in defaults.items() if pair[0] not in arguments for part in pair]
        return sed("simulate", "emodb", *missing, *arguments)

    return run


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and content."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (_, content) in state(folder).items()}


def facts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "recordings.jsonl").read_text().splitlines()]


def is_tone(samples: np.ndarray, emotion: str) -> bool:
    """Whether samples are a tone of an emotion from the first to the last, but for 16 bits."""
    angle = 2 * np.pi * TONES[EMOTIONS[emotion]] * np.arange(len(samples)) / RATE
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    weights = np.linalg.lstsq(basis, samples, rcond=None)[0]
    return bool(np.abs(samples - basis @ weights).max() < 2**-14)


@pytest.mark.parametrize("options", [(), ("--pause", "0.01", "0.2")], ids=["joined", "paused"])
def test_boundaries_are_where_the_sound_changes(
    simulate: Command, output: Path, options: tuple[str, ...]
) -> None:
    """To the sample: a stretch is a tone as a whole, and is none with one sample more."""
    assert simulate("--num", "12", "--sequences", "NENE=0.5 EN=0.5", *options).code == 0
    num_boundaries = 0
    for recording in read(output / "reference.json"):
        samples, _ = soundfile.read(output / "audio" / f"{recording.uri}.wav")
        assert recording.duration == pytest.approx(len(samples) / RATE, abs=1e-6)
        for segment, _, emotion in recording.annotation.itertracks(yield_label=True):
            first, last = round(segment.start * RATE), round(segment.end * RATE)
            assert abs(first / RATE - segment.start) < 1e-6
            assert is_tone(samples[first:last], emotion)
            for edge, more in ((first, first - 1), (last, last + 1)):
                if 0 <= more <= len(samples):
                    longer = samples[min(first, more) : max(last, more)]
                    assert not is_tone(longer, emotion), (recording.uri, edge)
                    num_boundaries += 1
    assert num_boundaries > 20


def test_clips_are_those_of_one_speaker_equally_loud(
    simulate: Command, output: Path, toy_corpora: Path
) -> None:
    """Every recording is what its line says: these clips, one after the other."""
    assert simulate("--num", "20").code == 0
    found = facts(output)
    assert [item["index"] for item in found] == list(range(20))
    assert {item["sequence"] for item in found} == {"E", "NE", "EN", "NEN"}
    for item in found:
        pieces = []
        for uri in item["clips"]:
            assert uri.startswith(item["speaker"])
            clip, _ = soundfile.read(toy_corpora / "emodb" / "wav" / f"{uri}.wav")
            pieces.append(clip * (0.05 / np.sqrt(np.mean(clip**2))))
        samples, rate = soundfile.read(output / item["wav"])
        assert (rate, len(samples)) == (item["sample_rate"], item["num_samples"])
        np.testing.assert_allclose(samples, np.concatenate(pieces), atol=2**-15)


@pytest.mark.parametrize("ending", ["json", "rttm"])
def test_the_reference_is_what_score_reads(
    simulate: Command, sed: Command, output: Path, ending: str
) -> None:
    simulate("--num", "10")
    reference = output / f"reference.{ending}"
    outcome = sed("score", "--ref", reference, "--hyp", reference, "--format", "json")
    assert outcome.code == 0
    perfect, nothing, *_ = json.loads(outcome.out)["systems"]
    assert perfect["pooled_eder"] == perfect["macro_eder"] == 0.0 < nothing["macro_eder"]
    manifest = json.loads((output / "reference.json").read_text())
    for item in manifest.values():
        path = item["wav"].replace("{data_root}", str(output))
        assert Recording.open(path).duration == pytest.approx(item["duration"], abs=1e-6)
        assert item["corpus"] == "emodb" and item["speaker"] in SPEAKERS


def test_a_recording_is_the_same_whatever_their_number(
    simulate: Command, output: Path, tmp_path: Path
) -> None:
    simulate("--num", "4")
    assert simulate("--num", "9", "--output", tmp_path / "more").code == 0
    few, many = contents(output / "audio"), contents(tmp_path / "more" / "audio")
    assert len(few) == 4 and few.items() < many.items()
    simulate("--num", "4", "--seed", "1", "--output", tmp_path / "other")
    other = contents(tmp_path / "other" / "audio")
    assert few.keys() == other.keys() and few != other


def test_a_rerun_completes_what_is_missing_and_rewrites_nothing(
    simulate: Command, output: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    simulate("--num", "8", "--output", whole)
    assert simulate("--num", "5").out == f"{output}: 5 new recordings, 5 in all\n"
    before = state(output)
    assert simulate("--num", "5").out == f"{output}: up to date, 5 in all\n"
    assert simulate("--num", "2").out == f"{output}: up to date, 5 in all\n"
    assert state(output) == before
    audio = output / "audio" / "simulated-000003.wav"
    audio.unlink()
    with (output / "recordings.jsonl").open("a") as stream:
        stream.write('{"index": 7, "wav"')  # a run that was killed while it wrote a line
    assert simulate("--num", "8").out == f"{output}: 4 new recordings, 8 in all\n"
    after = state(output)
    kept = {name for name in before if name.startswith("audio/")} - {"audio/simulated-000003.wav"}
    assert all(after[name] == before[name] for name in kept)
    assert sorted(facts(output), key=lambda item: item["index"]) == facts(whole)
    ordered = {name for name in contents(whole) if name != "recordings.jsonl"}
    assert {name: contents(output)[name] for name in ordered} == {
        name: contents(whole)[name] for name in ordered
    }


def test_a_run_that_is_ended_leaves_whole_files_and_is_taken_up(
    simulate: Command, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sed.corpora.simulation import Simulation

    numbered = Simulation.numbered

    def interrupted(self: Simulation, index: int, seed: int) -> Any:
        if index == 3:
            raise KeyboardInterrupt
        return numbered(self, index, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Simulation, "numbered", interrupted)
        outcome = simulate()
    assert (outcome.code, outcome.out) == (130, "")
    assert len(list((output / "audio").iterdir())) == 3
    assert not (output / "reference.json").exists()
    assert simulate().out == f"{output}: 3 new recordings, 6 in all\n"
    simulate("--output", tmp_path / "whole")
    assert contents(output) == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--seed", "1"), "(seed)"),
        (("--sequences", "NE=1"), "(sequences)"),
        (("--pause", "0", "1", "--crossfade", "0.1"), "(pause, crossfade)"),
        (("--telephone", "0.5"), "(telephone)"),
        (("--mp3", "0.5", "--band", "1"), "(band, mp3)"),
        (("--format", "flac"), "(format)"),
        (("--speakers", "03,08"), "(recordings)"),
    ],
)
def test_other_settings_are_refused_in_the_same_folder(
    simulate: Command, output: Path, options: tuple[str, ...], name: str
) -> None:
    simulate("--num", "1")
    before = state(output)
    outcome = simulate("--num", "2", *options)
    assert outcome.code == 2
    assert outcome.error == (
        f"{output} holds recordings simulated with other settings {name}; name a new folder, or "
        "remove this one"
    )
    assert state(output) == before


def test_a_folder_of_something_else_is_left_alone(simulate: Command, output: Path) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("dear")
    outcome = simulate()
    assert outcome.code == 2
    assert "is not empty and holds no simulated recordings; name a new folder" in outcome.error
    assert contents(output) == {"thesis.txt": b"dear"}
    assert "is no folder" in simulate("--output", output / "thesis.txt").error
    (output / "simulation.json").write_text("{")
    assert "simulation.json is damaged" in simulate().error


@pytest.mark.parametrize("place", ["emodb/simulated", "emodb", "noise/new", "link/new"])
def test_nothing_is_written_where_something_is_read(
    simulate: Command, toy_corpora: Path, tmp_path: Path, place: str
) -> None:
    write_wav(tmp_path / "noise" / "a.wav", np.ones(100), RATE)
    (tmp_path / "emodb").symlink_to(toy_corpora / "emodb")
    (tmp_path / "link").symlink_to(toy_corpora / "emodb" / "wav")
    before = state(toy_corpora)
    outcome = simulate(
        "--data-folder", tmp_path, "--output", tmp_path / place, "--noise", tmp_path / "noise"
    )
    assert outcome.code == 2
    assert "where nothing is written; name another folder for the output" in outcome.error
    assert state(toy_corpora) == before


def test_a_corpus_is_the_same_afterwards(simulate: Command, toy_corpora: Path) -> None:
    before = state(toy_corpora)
    assert simulate().code == 0
    assert state(toy_corpora) == before


def test_speakers_can_be_chosen(simulate: Command, output: Path) -> None:
    simulate("--num", "12", "--speakers", "03,emodb:16")
    assert {item["speaker"] for item in facts(output)} == {"03", "16"}
    outcome = simulate("--speakers", "99")
    assert (outcome.code, outcome.error[:40]) == (2, "no speaker '99' to choose; there are 03,")


def test_the_part_of_a_split_alone_is_used(
    simulate: Command, sed: Command, output: Path, tmp_path: Path, toy_corpora: Path
) -> None:
    folders = ["--data-folder", toy_corpora, "--output", tmp_path / "manifests"]
    assert sed("prepare", "emodb", *folders, "--test", "08,09").code == 0
    manifest = tmp_path / "manifests" / "emodb" / "test.json"
    assert simulate("--num", "12", "--split", manifest).code == 0
    assert {item["speaker"] for item in facts(output)} == {"08", "09"}
    listed = json.loads(manifest.read_text())
    assert all(uri in listed for item in facts(output) for uri in item["clips"])
    manifest.write_text(json.dumps({"nobody": {"corpus": "emodb"}}))
    outcome = simulate("--split", manifest)
    assert outcome.code == 2
    assert outcome.error.startswith(f"{manifest} lists nobody of emodb, which is not among")
    manifest.write_text("[1]")
    assert simulate("--split", manifest).error.startswith(f"{manifest} is no manifest")


def test_emotions_can_be_chosen_and_renamed(simulate: Command, output: Path) -> None:
    simulate("--num", "20", "--emotions", "sad", "--labels", "bored=sad,angry=sad")
    found = {label for item in facts(output) for _, _, label in item["emotions"]}
    assert found == {"sad"}
    assert {uri[5] for item in facts(output) for uri in item["clips"]} == set("NTLW")


def test_noise_rooms_and_telephone_leave_clips_and_boundaries(
    simulate: Command, output: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    simulate()
    clean = facts(output)
    write_wav(tmp_path / "noise" / "hum.wav", 0.1 * rng.standard_normal(4_000), RATE)
    echo = np.zeros(1_000)
    echo[300], echo[500] = 0.9, 0.4
    write_wav(tmp_path / "rooms" / "hall.wav", echo, RATE)

    def changed(name: str, *options: str | Path) -> tuple[np.ndarray, np.ndarray]:
        folder = tmp_path / name
        assert simulate("--output", folder, *options).code == 0
        assert facts(folder) == clean
        read = (soundfile.read(place / clean[0]["wav"])[0] for place in (output, folder))
        return next(read), next(read)

    before, after = changed("noisy", "--noise", tmp_path / "noise", "--snr", "10", "10")
    added = after - before
    assert 10 * np.log10(np.mean(before**2) / np.mean(added**2)) == pytest.approx(10, abs=0.1)
    before, after = changed("reverberant", "--rooms", tmp_path / "rooms")
    wet = before.copy()
    wet[200:] += before[:-200] * 4 / 9
    wet *= np.sqrt(np.mean(before**2) / np.mean(wet**2))
    np.testing.assert_allclose(after, wet, atol=1e-3)
    before, after = changed("called", "--telephone", "1")
    frequency = np.fft.rfftfreq(len(after), 1 / RATE)
    power = np.abs(np.fft.rfft(after)) ** 2
    assert power[frequency < 290].sum() < 0.01 * power.sum()
    for option in ("--vocal-tract", "--band", "--mp3"):
        before, after = changed(option[2:], option, "1")
        assert len(after) == len(before)
        assert np.sqrt(np.mean((after - before) ** 2)) > 0.002 * np.sqrt(np.mean(before**2))


def test_flac_holds_the_same_samples(simulate: Command, output: Path, tmp_path: Path) -> None:
    simulate("--num", "2")
    simulate("--num", "2", "--output", tmp_path / "flac", "--format", "flac")
    for item in facts(tmp_path / "flac"):
        assert item["wav"].endswith(".flac")
        one, _ = soundfile.read(tmp_path / "flac" / item["wav"], dtype="int16")
        other, _ = soundfile.read(output / "audio" / f"{item['uri']}.wav", dtype="int16")
        np.testing.assert_array_equal(one, other)


def test_what_passes_full_scale_is_made_softer_as_a_whole(tmp_path: Path) -> None:
    loud = np.array([0.5, -2.0, 1.0, 2.0], dtype=np.float32)
    (tmp_path / "a.wav").write_bytes(encode_audio(loud, RATE))
    found, _ = soundfile.read(tmp_path / "a.wav")
    np.testing.assert_allclose(found, loud / 2, atol=2**-14)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--snr", "0", "10"), "--snr is that of noise; add --noise FOLDER"),
        (("--noise", "absent", "--snr", "20", "10"), "--snr takes the smaller ratio first"),
        (("--noise", "absent"), "absent: no such file or directory"),
        (("--sequences", "NX=1"), "'NX': 1.0 is no sequence of N and E"),
        (("--sequences", "NE"), "--sequences has 'NE'; write SEQUENCE=PROBABILITY"),
        (("--sequences", "NE=1 NE=2"), "--sequences has 'NE' twice; keep one of them"),
        (("--sequences", "NE=inf"), "'NE': inf is no sequence of N and E"),
        (("--noise", "absent", "--snr", "5", "inf"), "--snr takes the smaller ratio first"),
        (("--sequences", ""), "no sequence has a probability above zero"),
        (("--pause", "2", "1"), "pauses cannot last 2.0 to 1.0 s"),
        (("--crossfade", "-1"), "a cross-fade cannot last -1.0 s"),
        (("--vad", "guess"), "unknown voice activity detector 'guess'"),
        (("--emotions", "joyful"), "unknown emotion 'joyful'; known are"),
        (("--emotions", "surprised"), "no speaker has both neutral and emotional utterances"),
        (("--telephone", "2"), "invalid value for '--telephone'"),
        (("--mp3", "1", "--sample-rate", "9000"), "no MP3 has 9000 Hz; --sample-rate takes 8000"),
        (("--num", "0"), "invalid value for '--num'"),
        (("--seed", "-1"), "invalid value for '--seed'"),
        (("--format", "mp3"), "invalid value for '--format'"),
        (("--split", "absent.json"), "absent.json: no such file or directory"),
        (("--data-folder", "absent"), "absent is no folder; download"),
        (("emovo",), "holds no emovo"),
    ],
)
def test_wrong_use_is_one_line(
    simulate: Command,
    output: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = simulate(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.error
    assert not output.exists()


def test_a_corpus_that_gives_nothing_is_told(
    simulate: Command, toy_corpora: Path, tmp_path: Path, shared: Path
) -> None:
    (tmp_path / "emodb").symlink_to(toy_corpora / "emodb")
    (tmp_path / "emovo").symlink_to(shared / "corpora" / "emovo")
    outcome = simulate("emovo", "--data-folder", tmp_path, "--speakers", "03,08")
    assert outcome.code == 2
    assert outcome.error.startswith("no speaker of emovo has what the sequences need of angry")


def test_a_damaged_recording_is_named(
    simulate: Command, toy_corpora: Path, tmp_path: Path, output: Path
) -> None:
    shutil.copytree(toy_corpora, tmp_path / "own")
    paths = sorted((tmp_path / "own" / "emodb" / "wav").glob("03*Na.wav"))
    for path in paths:
        path.write_bytes(b"no audio")
    options = ("--data-folder", tmp_path / "own", "--speakers", "03", "--sequences", "NE=1")
    outcome = simulate(*options)
    assert outcome.code == 2
    assert any(outcome.error.startswith(str(path)) for path in paths)
    for path in paths:
        shutil.copy(toy_corpora / "emodb" / "wav" / path.name, path)
    assert simulate(*options).code == 0


def test_an_output_that_cannot_be_written_is_named(
    simulate: Command, tmp_path: Path, permissions: None
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for folder in (locked, locked / "new"):
        outcome = simulate("--output", folder)
        assert outcome.code == 2
        assert "permission denied" in outcome.error and "locked" in outcome.error


def test_progress_is_shown_on_a_terminal_and_taken_away(toy_corpora: Path, output: Path) -> None:
    options = f"--data-folder {toy_corpora} --output {output} --num 6 --vad none".split()
    code, printed, shown = on_terminal("simulate", "emodb", *options)
    assert (code, printed.count(b"\n")) == (0, 1)
    assert b"6/6" in shown
    assert shown.rstrip().endswith(b"\x1b[2K")  # the last thing that happens to its line


def test_quiet_prints_nothing(simulate: Command) -> None:
    assert simulate("--quiet") == Outcome(0, "", "")


def test_real_speech_loses_its_silences(simulate: Command, shared: Path, output: Path) -> None:
    """With the detector and the rate of the paper, on EmoDB."""
    outcome = simulate(
        "--data-folder", shared / "corpora", "--vad", "silero", "--sample-rate", "16000"
    )
    assert (outcome.code, outcome.err) == (0, "")
    paths = {path.stem: path for path in (shared / "corpora" / "emodb" / "wav").iterdir()}
    for item in facts(output):
        recording = Recording.open(output / item["wav"])
        assert recording.sample_rate == 16_000
        whole = sum(Recording.open(paths[uri]).duration for uri in item["clips"])
        assert 0.5 * whole < recording.duration <= whole
        for first, last, _ in item["emotions"]:
            stretch = recording.samples(16_000)[first:last]
            assert np.sqrt(np.mean(stretch**2)) == pytest.approx(0.05, rel=0.01)
