"""Stored clips: those that `load_clips` gives, found once, in a file that is whole or not there."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sed.corpora import Utterance
from sed.corpora.clips import SHORT_SILENCES, load_clips
from sed.corpora.simulation import Simulation
from sed.corpora.stored import StoredClip, stored_clips
from sed.decoders import NotAudioError
from sed.vad import vad_named

RATE = 16_000
EMOTIONS = ("neutral", "happy", "sad", "angry")
OPTIONS: dict[str, Any] = {"vad": "energy", "sample_rate": RATE}


def record(path: Path, *, seed: int, seconds: float = 0.8) -> None:
    """Noise between two silences."""
    noise = 0.2 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    silence = np.zeros(RATE // 2)
    soundfile.write(path, np.concatenate((silence, noise, silence)), RATE)


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    """Four recordings, the last one silent throughout."""
    (tmp_path / "corpus").mkdir()
    said = []
    for number, emotion in enumerate(EMOTIONS):
        path = tmp_path / "corpus" / f"{emotion}.wav"
        record(path, seed=number, seconds=0.5 + 0.1 * number)
        said.append(Utterance(emotion, path, "a", "toy", emotion))
    soundfile.write(said[-1].path, np.zeros(RATE), RATE)
    return said


def never() -> Iterator[Utterance]:
    """Progress of work that is not to be done."""
    raise AssertionError("the speech is looked for again")
    yield


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What would change with any writing."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def same(found: list[StoredClip], expected: list[Any]) -> bool:
    """Whether clips have the same utterances and the very same samples."""
    return [clip.utterance for clip in found] == [clip.utterance for clip in expected] and all(
        one.num_samples == len(one.samples) and np.array_equal(one.samples, other.samples)
        for one, other in zip(found, expected, strict=True)
    )


def test_stored_clips_are_those_that_are_loaded(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    """What is silent throughout gives none; each clip is read from its own place."""
    expected = load_clips(
        utterances, vad=vad_named("energy"), binarize=SHORT_SILENCES, sample_rate=RATE
    )
    found = stored_clips(utterances, tmp_path / "speech" / "new", **OPTIONS)
    assert same(found, expected) and len(found) == 3
    assert all(0.4 * RATE < clip.num_samples < RATE for clip in found)
    assert all(clip.samples.dtype == np.float32 for clip in found)
    assert same(pickle.loads(pickle.dumps(found)), expected)  # as workers get them
    options = {"classes": EMOTIONS, "sample_rate": RATE, "sequences": {"NE": 1.0}}
    one, other = (Simulation(clips, **options).numbered(3, seed=1) for clips in (found, expected))
    assert np.array_equal(one.samples, other.samples) and one.annotation == other.annotation


def test_speech_is_looked_for_once(utterances: list[Utterance], tmp_path: Path) -> None:
    """Neither recordings are read nor files written a second time."""
    folder = tmp_path / "speech"
    first = stored_clips(utterances, folder, progress=iter(utterances), **OPTIONS)
    expected = [clip.samples for clip in first]
    before = state(folder)
    assert len(before) == 2
    for utterance in utterances:  # not to be told from before, unless one opens it
        status = utterance.path.stat()
        utterance.path.write_bytes(bytes(status.st_size))
        os.utime(utterance.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = stored_clips(utterances, folder, progress=never(), **OPTIONS)
    assert second == first and state(folder) == before
    assert all(np.array_equal(c.samples, e) for c, e in zip(second, expected, strict=True))


def test_what_has_changed_is_stored_anew(utterances: list[Utterance], tmp_path: Path) -> None:
    """A recording, the detector, the rate, or which utterances there are."""
    folder = tmp_path / "speech"
    first = stored_clips(utterances, folder, **OPTIONS)
    kept = [clip.samples for clip in first]
    before = utterances[1].path.stat()
    record(utterances[1].path, seed=9, seconds=0.6)
    os.utime(utterances[1].path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    assert utterances[1].path.stat().st_size == before.st_size
    changed = stored_clips(utterances, folder, **OPTIONS)
    assert changed[0].path != first[0].path
    assert np.array_equal(changed[0].samples, kept[0])
    assert not np.array_equal(changed[1].samples, kept[1])
    assert all(np.array_equal(c.samples, k) for c, k in zip(first, kept, strict=True))
    others = [
        stored_clips(utterances, folder, vad="none", sample_rate=RATE),
        stored_clips(utterances, folder, vad="energy", sample_rate=8_000),
        stored_clips(utterances[:2], folder, **OPTIONS),
        stored_clips(utterances[1::-1], folder, **OPTIONS),
    ]
    assert len({clips[0].path for clips in (first, changed, *others)}) == 6
    assert others[0][0].num_samples > changed[0].num_samples > 1.9 * others[1][0].num_samples


def test_a_recording_that_cannot_be_read_is_left_out(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    """And told of; the others are what they are without it."""
    expected = stored_clips(utterances, tmp_path / "speech", **OPTIONS)
    utterances[1].path.write_bytes(b"no audio")
    told = []
    found = stored_clips(
        utterances,
        tmp_path / "speech",
        on_error=lambda utterance, error: told.append((utterance, type(error))),
        **OPTIONS,
    )
    assert same(found, [expected[0], expected[2]])
    assert told == [(utterances[1], NotAudioError)]


def test_an_error_leaves_no_file(utterances: list[Utterance], tmp_path: Path) -> None:
    """Nor does Ctrl-C; the next call makes it."""
    folder = tmp_path / "speech"

    def interrupted() -> Iterator[Utterance]:
        yield utterances[0]
        [half] = folder.iterdir()
        assert half.name.startswith(".")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_clips(utterances, folder, progress=interrupted(), **OPTIONS)
    assert not list(folder.iterdir())
    sound = utterances[1].path.read_bytes()
    utterances[1].path.write_bytes(b"no audio")
    with pytest.raises(ValueError, match=r"happy\.wav"):
        stored_clips(utterances, folder, **OPTIONS)
    assert not list(folder.iterdir())
    utterances[1].path.write_bytes(sound)
    assert len(stored_clips(utterances, folder, **OPTIONS)) == 3


def test_a_missing_recording_is_named(utterances: list[Utterance], tmp_path: Path) -> None:
    utterances[2].path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        stored_clips(utterances, tmp_path / "speech", **OPTIONS)
    assert Path(caught.value.filename) == utterances[2].path


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason=f"{FULL}, a disk without room, is Linux's")
def test_a_full_disk_is_told_with_its_folder(utterances: list[Utterance], tmp_path: Path) -> None:
    """What is written until the file is whole goes into one that has no room."""
    [clip, *_] = stored_clips(utterances, tmp_path / "elsewhere", **OPTIONS)
    folder = tmp_path / "speech"
    folder.mkdir()
    (folder / f".{clip.path.stem}.{os.getpid()}").symlink_to(FULL)
    with pytest.raises(OSError, match="No space left on device") as caught:
        stored_clips(utterances, folder, **OPTIONS)
    assert caught.value.filename == str(folder)
    assert not list(folder.iterdir())


def test_a_folder_that_must_not_be_written_is_named(
    utterances: list[Utterance], tmp_path: Path, permissions: None
) -> None:
    (tmp_path / "speech").mkdir(mode=0o500)
    with pytest.raises(PermissionError) as caught:
        stored_clips(utterances, tmp_path / "speech", **OPTIONS)
    assert str(tmp_path / "speech") in str(caught.value.filename)
