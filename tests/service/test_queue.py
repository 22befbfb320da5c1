"""Jobs that wait, run and end: cancelled, followed, refused where there are too many."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving import CALL, Gate, audio


def events_of(answer: httpx.Response) -> list[tuple[str, dict]]:
    """Events of a stream that has ended, without signs of life."""
    found = []
    for block in answer.text.strip().split("\n\n"):
        if not block.startswith(":"):
            kind, data = block.split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_full_queue_refuses_and_says_when_to_come_again(serve) -> None:
    gate = Gate()
    server = serve(gate=gate, max_queue=2)
    running = server.submit(CALL)
    server.wait_for(running["id"], "running")
    waiting = [server.submit(CALL) for _ in range(2)]
    refused = server.client.post("/v1/jobs", content=CALL.read_bytes())
    assert refused.status_code == 503
    assert refused.json() == {"detail": "2 jobs wait already; try again later"}
    assert int(refused.headers["retry-after"]) > 0
    figures = server.client.get("/metrics").text.splitlines()
    assert "sed_queue_length 2.0" in figures
    assert 'sed_jobs{state="running"} 1.0' in figures
    gate.open.set()
    for job in (running, *waiting):
        assert server.wait_for(job["id"])["state"] == "done"
    figures = server.client.get("/metrics").text.splitlines()
    assert 'sed_jobs_ended_total{state="done"} 3.0' in figures
    [seconds] = [line for line in figures if line.startswith("sed_audio_seconds_total")]
    assert float(seconds.split()[1]) == pytest.approx(3 * running["duration"])
    assert 'sed_requests_total{method="POST",route="/v1/jobs",status="503"} 1.0' in figures


def test_a_job_is_cancelled_while_it_waits_or_runs_and_then_removed(serve) -> None:
    gate = Gate()
    server = serve(gate=gate)
    running, waiting, last = (server.submit(CALL)["id"] for _ in range(3))
    server.wait_for(running, "running")
    for id in (waiting, running):
        cancelled = server.client.delete(f"/v1/jobs/{id}")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert server.client.get(f"/v1/jobs/{running}/result").status_code == 409
    gate.open.set()
    assert server.wait_for(last)["state"] == "done"
    assert server.client.get(f"/v1/jobs/{running}").json()["state"] == "cancelled"
    for id in (waiting, running, last):
        assert server.client.delete(f"/v1/jobs/{id}").status_code == 204
        assert server.client.get(f"/v1/jobs/{id}").status_code == 404
    assert server.files == []


def test_a_job_that_is_removed_while_it_runs_leaves_nothing(serve) -> None:
    gate = Gate()
    server = serve(gate=gate)
    id, next = server.submit(CALL)["id"], server.submit(CALL)["id"]
    server.wait_for(id, "running")
    server.client.delete(f"/v1/jobs/{id}")
    assert server.client.delete(f"/v1/jobs/{id}").status_code == 204
    gate.open.set()
    assert server.wait_for(next)["state"] == "done"
    assert {name.split("/")[1] for name in server.files} == {next}


def test_events_tell_of_a_job_until_it_ends(serve, tmp_path: Path) -> None:
    gate = Gate()
    server = serve(gate=gate, heartbeat=0.05)
    id = server.submit(audio(tmp_path / "long.wav", 200))["id"]
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(server.client.get, f"/v1/jobs/{id}/events") for _ in range(3)]
        assert gate.reached.wait(60)
        with server.client.stream("GET", f"/v1/jobs/{id}/events") as left:
            assert next(left.iter_lines()) == "event: state"  # and this client leaves
        time.sleep(0.2)
        gate.open.set()
        for answer in answers:
            stream = answer.result(60)
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert ": alive" in stream.text
            told = events_of(stream)
            states = [data["state"] for kind, data in told if kind == "state"]
            progress = [data["progress"] for kind, data in told if kind == "progress"]
            assert states[-1] == "done" and states in (
                ["running", "done"],
                ["queued", *states[-2:]],
            )
            assert progress == sorted(set(progress)) and len(progress) > 2
    over = events_of(server.client.get(f"/v1/jobs/{id}/events"))
    assert [(kind, data["state"]) for kind, data in over] == [("state", "done")]


def test_a_client_that_waits_too_long_gets_the_job(serve) -> None:
    gate = Gate()
    server = serve(gate=gate, wait=0.2)
    answer = server.client.post("/v1/diarize?format=rttm", content=CALL.read_bytes())
    assert answer.status_code == 202
    gate.open.set()
    assert server.wait_for(answer.json()["id"])["state"] == "done"
    result = server.client.get(answer.headers["location"] + "/result?format=rttm")
    assert result.text.startswith("SPEAKER recording 1 ")


def test_a_client_that_leaves_cancels_what_it_waited_for(serve) -> None:
    gate = Gate()
    server = serve(gate=gate)
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/diarize", content=CALL.read_bytes(), timeout=0.5)
    deadline = time.monotonic() + 30
    while server.client.get("/v1/jobs").json()["jobs"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gate.open.set()
    assert server.wait_for(server.submit(CALL)["id"])["state"] == "done"


def test_a_recording_that_fails_tells_in_one_line_and_stops_no_other(serve, tmp_path: Path) -> None:
    """A wav with NaN in it: a well-formed file that only reading shows to be bad."""
    server = serve()
    path = audio(tmp_path / "nan.wav", 2.0, subtype="FLOAT")
    content = bytearray(path.read_bytes())
    content[-8000:-7996] = b"\x00\x00\xc0\x7f"
    failed = server.wait_for(server.submit(bytes(content), name="my nan.wav")["id"])
    assert failed["state"] == "failed"
    assert failed["error"].startswith("my nan.wav holds nan at 1.875 s, not a sample")
    refused = server.client.get(f"/v1/jobs/{failed['id']}/result")
    assert (refused.status_code, refused.json()["detail"].count("holds nan")) == (409, 1)
    assert server.client.get(f"/v1/jobs/{failed['id']}/peaks").status_code == 409
    direct = server.client.post("/v1/diarize", content=bytes(content))
    assert (direct.status_code, "holds nan" in direct.json()["detail"]) == (422, True)
    assert server.wait_for(server.submit(CALL)["id"])["state"] == "done"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_many_clients_at_once_get_what_is_theirs(serve, tmp_path: Path, num_workers: int) -> None:
    """Twenty of them with three recordings each; every length occurs once."""
    server = serve(num_workers=num_workers, max_uploads=20)
    lengths = [1.0 + 0.05 * number for number in range(60)]
    files = [audio(tmp_path / f"{s:.2f}.wav", s, seed=round(s * 100)) for s in lengths]

    def client(number: int) -> list[tuple[float, dict]]:
        mine = list(zip(lengths, files, strict=True))[3 * number : 3 * number + 3]
        jobs = [(length, server.submit(file, name=f"{length:.2f}.wav")) for length, file in mine]
        return [(length, server.wait_for(job["id"])) for length, job in jobs]

    with ThreadPoolExecutor(20) as pool:
        ended = [pair for pairs in pool.map(client, range(20)) for pair in pairs]
    assert len({job["id"] for _, job in ended}) == 60
    for length, job in ended:
        assert (job["state"], job["name"]) == ("done", f"{length:.2f}.wav")
        result = server.client.get(f"/v1/jobs/{job['id']}/result").json()["recordings"]
        assert [item["uri"] for item in result] == [f"{length:.2f}"]
        assert result[0]["duration"] == pytest.approx(length)


def test_jobs_are_kept_for_a_while(serve) -> None:
    server = serve(keep=0.5)
    id = server.submit(CALL)["id"]
    server.wait_for(id, "done")
    deadline = time.monotonic() + 30
    while server.client.get(f"/v1/jobs/{id}").status_code != 404 or server.files:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_ends_puts_the_running_job_back(serve, tmp_path: Path) -> None:
    """And whoever waits is told at once."""
    gate = Gate()
    server = serve(gate=gate)
    id = server.submit(CALL)["id"]
    assert gate.reached.wait(60)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.client.get, f"/v1/jobs/{id}/events")
        direct = pool.submit(server.client.post, "/v1/diarize", content=CALL.read_bytes())
        deadline = time.monotonic() + 30
        while len(server.client.get("/v1/jobs").json()["jobs"]) < 2:
            assert time.monotonic() < deadline
        server.office.stop()
        assert events_of(waiting.result(10))[-1][1]["state"] == "running"
        assert direct.result(10).status_code == 202
    assert server.client.post("/v1/jobs", content=CALL.read_bytes()).status_code == 503
    assert server.client.get("/health").json()["status"] == "ending"
    threading.Timer(0.2, gate.open.set).start()
    server.office.worker.join(30)
    assert server.office.store.counts()["queued"] == 2
