"""What was accepted is worked on, whatever happens to the server."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import httpx
import pytest
from serving import CALL, audio, command, until_ready, wait_for

from sed.service.database import Lock
from sed.service.jobs import Options
from sed.service.store import QueueFullError, Store


@pytest.fixture
def store(tmp_path: Path):
    made = Store(tmp_path / "service", max_attempts=3)
    yield made
    made.close()


def accept(store: Store, content: bytes = b"audio", max_queue: int = 9) -> str:
    upload = store.new_upload()
    upload.write_bytes(content)
    return store.accept(
        upload, "call", Options(), duration=1.0, num_channels=1, max_queue=max_queue
    ).id


def test_no_accepted_job_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """Killed in the middle of a long recording with others waiting and one half uploaded; the next
    server finishes all of them, is ended by SIGTERM in the middle of another, and says nothing."""
    folder = tmp_path / "service"
    long = audio(tmp_path / "long.wav", 900).read_bytes()
    shorts = {
        2.0 + number: audio(tmp_path / "short.wav", 2.0 + number).read_bytes()
        for number in range(4)
    }

    def half() -> object:
        yield CALL.read_bytes()[:100_000]
        deadline = time.monotonic() + 30
        while not list((folder / "uploads").iterdir()):
            assert time.monotonic() < deadline
        process.kill()
        yield bytes(100)

    with command(folder) as (process, client):
        until_ready(client)
        jobs = {client.post("/v1/jobs", content=long).json()["id"]: 900.0}
        for seconds, content in shorts.items():
            jobs[client.post("/v1/jobs", content=content).json()["id"]] = seconds
        wait_for(client, next(iter(jobs)), "running")
        with pytest.raises(httpx.TransportError):
            client.post("/v1/jobs", content=half())
        process.wait(30)
    assert len(list((folder / "uploads").iterdir())) == 1
    with command(folder) as (process, client):
        until_ready(client)
        listed = client.get("/v1/jobs").json()["jobs"]
        assert [job["id"] for job in listed] == list(jobs)[::-1]
        assert list((folder / "uploads").iterdir()) == []
        ended = [wait_for(client, id) for id in jobs]
        assert [job["state"] for job in ended] == ["done"] * 5
        assert [job["started"] for job in ended] == sorted(job["started"] for job in ended)
        for id, seconds in jobs.items():
            [result] = client.get(f"/v1/jobs/{id}/result").json()["recordings"]
            assert result["duration"] == seconds
        again = client.post("/v1/jobs", content=long).json()["id"]
        wait_for(client, again, "running")
        process.send_signal(signal.SIGTERM)
        assert (process.wait(30), process.stderr.read()) == (0, "")
    reopened = Store(folder)
    assert reopened.take().id == again
    assert reopened.get(again).attempts == 1  # being put back is no failed attempt
    reopened.close()


def test_jobs_that_were_begun_are_queued_again_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    store = Store(folder)
    ids = [accept(store) for _ in range(3)]
    assert store.take().id == ids[0]
    store.close()
    store = Store(folder)
    assert [store.take().id for _ in range(3)] == ids
    assert store.take() is None
    store.close()


def test_a_job_that_kills_the_server_is_given_up(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    for _ in range(3):
        store = Store(folder, max_attempts=3)
        bad = store.take().id if store.num_queued() else accept(store)
        if store.get(bad).state == "queued":
            store.take()
        store.close()
    store = Store(folder, max_attempts=3)
    assert store.get(bad).state == "failed"
    assert store.get(bad).error.startswith("the server died 3 times")
    assert store.take() is None
    store.close()


def test_what_belongs_to_no_job_is_removed_at_the_start(tmp_path: Path) -> None:
    """Killed between the audio's rename and the row's commit, or during an upload."""
    folder = tmp_path / "service"
    store = Store(folder)
    id = accept(store)
    store.new_upload().write_bytes(b"half")
    (folder / "jobs" / ("x" * 22)).mkdir()
    (folder / "jobs" / ("x" * 22) / "audio").write_bytes(b"orphan")
    store.close()
    store = Store(folder)
    assert [path.name for path in (folder / "jobs").iterdir()] == [id]
    assert list((folder / "uploads").iterdir()) == []
    assert store.audio(id).read_bytes() == b"audio"
    store.close()


def test_a_full_queue_takes_nothing_and_leaves_nothing(store: Store) -> None:
    accept(store, max_queue=1)
    with pytest.raises(QueueFullError):
        accept(store, max_queue=1)
    assert len(list((store.folder / "jobs").iterdir())) == 1
    assert list((store.folder / "uploads").iterdir()) == []
    assert store.num_queued() == 1


def test_a_row_that_cannot_be_written_leaves_no_audio(store: Store) -> None:
    other = sqlite3.connect(store.folder / "jobs.sqlite3", isolation_level=None)
    other.execute("DROP TABLE jobs")
    with pytest.raises(sqlite3.OperationalError):
        accept(store)
    assert list((store.folder / "jobs").iterdir()) == []
    other.close()


def test_states_change_only_as_they_may(store: Store) -> None:
    id = accept(store)
    assert not store.end(id, "done")  # it was never begun
    store.take()
    assert store.end(id, "cancelled")
    assert not store.end(id, "done")
    store.put_back(id)
    assert store.get(id).state == "cancelled"
    assert store.remove_ended(before=time.time() - 60) == 0
    assert store.remove_ended(before=time.time() + 1) == 1
    assert store.get(id) is None and not store.folder_of(id).exists()


def test_a_folder_has_one_server(store: Store) -> None:
    with pytest.raises(ValueError, match="another server works in .*service; stop it"):
        Store(store.folder)
    with pytest.raises(ValueError, match="another server"):
        Lock(store.folder)


def test_a_folder_is_for_its_user_only(store: Store) -> None:
    for path in (store.folder, store.folder / "jobs", store.folder / "uploads"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"no database, but long enough for a header" * 10, None])
def test_a_database_of_others_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "jobs.sqlite3"
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="jobs.sqlite3.* choose another --folder"):
        Store(tmp_path)
    assert path.read_bytes() == before
    Lock(tmp_path).release()  # nobody holds the folder
