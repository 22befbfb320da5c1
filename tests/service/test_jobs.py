"""Recordings that are handed in: what comes back is what the pipeline says, in any format."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import httpx
import numpy as np
import pytest
import soundfile
from serving import CALL, Gate, Served

from sed.audio import Recording
from sed.formats import FORMATS, AnnotatedRecording
from sed.pipeline import Pipeline
from sed.service.results import as_text


@pytest.fixture(scope="module")
def expected(pipeline: Pipeline) -> AnnotatedRecording:
    """What the pipeline says of the example call."""
    recording = Recording.open(CALL)
    return AnnotatedRecording(pipeline(recording), duration=recording.duration)


@pytest.fixture(scope="module")
def done(usual: Served) -> str:
    """Address of a job that is done."""
    job = usual.submit(CALL, name="call.wav")
    assert usual.wait_for(job["id"])["state"] == "done"
    return f"/v1/jobs/{job['id']}"


def test_a_short_recording_is_answered_at_once_and_forgotten(
    usual: Served, expected: AnnotatedRecording
) -> None:
    num_jobs = len(usual.client.get("/v1/jobs").json()["jobs"])
    with CALL.open("rb") as stream:
        form = usual.client.post("/v1/diarize?format=rttm", files={"file": ("call.wav", stream)})
    assert form.status_code == 200
    assert form.text == as_text([expected], "rttm")
    raw = usual.client.post(
        "/v1/diarize?name=call.wav", content=CALL.read_bytes(), headers={"Accept": "text/plain"}
    )
    assert raw.text == form.text
    [recording] = usual.client.post("/v1/diarize", content=CALL.read_bytes()).json()["recordings"]
    assert recording["segments"] == json.loads(FORMATS["json"].encode(expected))["segments"]
    assert len(usual.client.get("/v1/jobs").json()["jobs"]) == num_jobs


@pytest.mark.parametrize("format", FORMATS)
def test_a_result_comes_in_every_format(
    usual: Served, done: str, expected: AnnotatedRecording, format: str
) -> None:
    answer = usual.client.get(f"{done}/result", params={"format": format})
    assert answer.status_code == 200, answer.text
    renamed = expected.annotation.copy()
    renamed.uri = "call"
    assert answer.text == as_text([replace(expected, annotation=renamed)], format)
    ending = FORMATS[format].suffixes[0]
    assert answer.headers["content-disposition"] == f'attachment; filename="call{ending}"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_format_is_refused_before_the_work(usual: Served, done: str) -> None:
    for answer in (
        usual.client.get(f"{done}/result?format=word"),
        usual.client.post("/v1/diarize?format=word", content=b"x"),
    ):
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("unknown format 'word'; known are rttm, json")


def test_channels_and_neutral_stretches_are_asked_for(usual: Served, pipeline: Pipeline) -> None:
    """By the query or by fields of the form, which win."""
    with CALL.open("rb") as stream:
        answer = usual.client.post(
            "/v1/diarize?channel=mix",
            files={"file": stream},
            data={"channel": "split", "with_neutral": "true", "name": "two sides.wav"},
        )
    recordings = answer.json()["recordings"]
    assert [item["channel"] for item in recordings] == [1, 2]
    assert {item["uri"] for item in recordings} == {"two_sides"}
    for item, side in zip(recordings, Recording.open(CALL).split(), strict=True):
        decoding = replace(pipeline.decoding, with_neutral=True)
        made = AnnotatedRecording(replace(pipeline, decoding=decoding)(side))
        assert item["segments"] == json.loads(FORMATS["json"].encode(made))["segments"]
        assert item["segments"][-1]["offset"] == pytest.approx(side.duration)


def test_one_channel_of_a_result_for_formats_that_hold_one(usual: Served) -> None:
    job = usual.submit(CALL, channel="split")
    address = f"/v1/jobs/{job['id']}/result"
    usual.wait_for(job["id"])
    refused = usual.client.get(f"{address}?format=audacity")
    assert refused.status_code == 422
    assert refused.json()["detail"] == "audacity holds one channel; ask for channel=1 or 2"
    second = usual.client.get(f"{address}?format=audacity&channel=2")
    assert second.status_code == 200 and second.text
    both = usual.client.get(f"{address}?format=rttm").text
    put = usual.client.put(f"{address}?format=audacity&channel=1", content="0.5\t1.0\thappy\n")
    assert put.json()["corrected"] is True
    corrected = usual.client.get(f"{address}?format=rttm").text.splitlines()
    assert corrected[0].startswith("SPEAKER recording 1 0.500 0.500 <NA> <NA> happy")
    assert corrected[1:] == [line for line in both.splitlines() if " 2 " in line[:20]]


def test_a_recording_without_such_a_channel_is_refused(usual: Served) -> None:
    answer = usual.client.post("/v1/jobs?channel=3", content=CALL.read_bytes())
    assert answer.status_code == 422
    assert answer.json() == {"detail": "recording has 2 channels; choose mix, 1 or 2, not 3"}
    answer = usual.client.post("/v1/jobs?channel=left", content=CALL.read_bytes())
    assert answer.status_code == 422


def test_audio_is_given_in_ranges(usual: Served, done: str) -> None:
    content = CALL.read_bytes()
    whole = usual.client.get(f"{done}/audio")
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "audio/wav"
    part = usual.client.get(f"{done}/audio", headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, content[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
    last = usual.client.get(f"{done}/audio", headers={"Range": "bytes=-10"})
    assert (last.status_code, last.content) == (206, content[-10:])
    beyond = usual.client.get(f"{done}/audio", headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    assert usual.client.head(f"{done}/audio").headers["content-length"] == str(len(content))


@pytest.mark.parametrize("points", [1, 7, 1000])
def test_peaks_hold_every_sample_and_touch_some(usual: Served, done: str, points: int) -> None:
    view = usual.client.get(f"{done}/peaks", params={"points": points}).json()
    [channel] = view["channels"]
    samples, rate = soundfile.read(CALL)
    mono = np.rint(127 * samples.mean(axis=1))
    assert len(channel["low"]) <= points
    size = round(channel["step"] * rate)
    assert len(channel["low"]) == -(-len(mono) // size)
    for index in range(len(channel["low"])):
        stretch = mono[index * size : (index + 1) * size]
        assert abs(channel["low"][index] - stretch.min()) <= 1
        assert abs(channel["high"][index] - stretch.max()) <= 1


def test_posteriors_are_means_of_the_pipelines(
    usual: Served, done: str, pipeline: Pipeline
) -> None:
    found = {}
    pipeline(CALL, hook=lambda step, artifact, **progress: found.update({step: artifact}))
    frames = found["emotions"]
    [channel] = usual.client.get(f"{done}/posteriors?points=10").json()["channels"]
    assert channel["classes"] == list(frames.labels)
    size = round(channel["step"] / frames.sliding_window.step)
    for column in range(len(channel["posteriors"][0])):
        mean = frames.data[column * size : (column + 1) * size].mean(axis=0)
        given = [row[column] for row in channel["posteriors"]]
        assert given == pytest.approx(mean, abs=2e-3)


def test_too_many_points_are_refused_in_one_line(usual: Served, done: str) -> None:
    for what in ("peaks", "posteriors"):
        answer = usual.client.get(f"{done}/{what}?points=1000000")
        assert answer.status_code == 422
        assert answer.json() == {"detail": "points: input should be less than or equal to 4000"}


def test_a_corrected_annotation_stands_beside_the_models(usual: Served) -> None:
    job = usual.submit(CALL, name="call.wav")
    address = f"/v1/jobs/{job['id']}/result"
    usual.wait_for(job["id"])
    before = usual.client.get(f"{address}?format=rttm").text
    assert usual.client.get(f"{address}?version=corrected").status_code == 404
    bad = {
        "SPEAKER call 1 -1 2 <NA> <NA> sad <NA> <NA>": "line 1: onset -1.0 s is negative",
        "SPEAKER call 1 1 2 <NA> <NA> sorrowful <NA> <NA>": "sorrowful",
        "SPEAKER call 1 30 20 <NA> <NA> sad <NA> <NA>": "the recording ends at 38.209 s",
        "SPEAKER call 2 1 2 <NA> <NA> sad <NA> <NA>": "is of channel 2; the job has 1",
        "SPEAKER call 1 1 nan <NA> <NA> sad <NA> <NA>": "line 1",
        "SPEAKER a 1 1 1 <NA> <NA> sad <NA> <NA>\nSPEAKER b 1 1 1 <NA> <NA> sad <NA> <NA>": "one",
        b"\xff\xfeno text": "the rttm sent",
    }
    for text, reason in bad.items():
        refused = usual.client.put(f"{address}?format=rttm", content=text)
        assert refused.status_code == 422, text
        assert reason in refused.json()["detail"] and "/" not in refused.json()["detail"]
    assert usual.client.get(address).text == usual.client.get(f"{address}?version=model").text
    good = "SPEAKER any 1 1.000 2.000 <NA> <NA> happy <NA> <NA>\n"
    put = usual.client.put(address, content=good, headers={"Content-Type": "text/plain"})
    assert (put.status_code, put.json()["corrected"]) == (200, True)
    assert usual.client.get(f"{address}?format=rttm").text == good.replace("any", "call")
    assert usual.client.get(f"{address}?format=rttm&version=model").text == before
    assert usual.client.put(f"{address}?format=rttm", content="").status_code == 200  # all neutral
    assert usual.client.get(f"{address}?format=rttm").text == ""
    huge = usual.client.put(f"{address}?format=rttm", content=b"\n" * (8 << 20) + b"x")
    assert huge.status_code == 413


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "..\\..\\x",
        "/etc/passwd",
        "a\0b",
        "\n\r: x",
        "a" * 3000,
        '"; x="',
        "é 😀",
        ".",
        "",
    ],
)
def test_names_are_labels_and_never_paths(usual: Served, name: str) -> None:
    before = set(usual.files)
    form = usual.client.post("/v1/jobs", files={"file": (name, CALL.read_bytes())})
    query = usual.client.post("/v1/jobs", content=CALL.read_bytes(), params={"name": name})
    for answer in (form, query):
        job = answer.json()
        assert usual.wait_for(job["id"])["state"] == "done"
        assert job["name"].isprintable() and 0 < len(job["name"]) <= 120
        result = usual.client.get(f"/v1/jobs/{job['id']}/result?format=rttm")
        disposition = result.headers["content-disposition"]
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9_-]{1,60}\.rttm"', disposition)
        before |= {
            f"jobs/{job['id']}/{file}" for file in ("audio", "posteriors.npz", "result.json")
        }
    assert set(usual.files) == before


@pytest.mark.parametrize(
    "id",
    ["x", "..", "%2e%2e", "..%2f..%2fjobs.sqlite3", "a" * 22, "a" * 3000, "%00", "' OR 1=1 --"],
)
def test_an_unknown_job_is_not_found(usual: Served, id: str) -> None:
    for path in ("", "/result", "/audio", "/peaks", "/posteriors", "/events"):
        answer = usual.client.get(httpx.URL(f"/v1/jobs/{id}{path}"))
        assert answer.status_code in (404, 405)
        assert set(answer.json()) == {"detail"}
    assert usual.client.delete(httpx.URL(f"/v1/jobs/{id}")).status_code in (404, 405)


def test_jobs_are_listed_in_pages_the_newest_first(serve) -> None:
    server = serve(gate=Gate())
    ids = [server.submit(CALL, name=str(number))["id"] for number in range(5)]
    first = server.client.get("/v1/jobs?limit=2").json()
    second = server.client.get("/v1/jobs", params={"limit": 2, "before": first["next"]}).json()
    third = server.client.get("/v1/jobs", params={"limit": 2, "before": second["next"]}).json()
    assert [job["id"] for page in (first, second, third) for job in page["jobs"]] == ids[::-1]
    assert third["next"] is None


def test_the_interface_describes_itself(usual: Served) -> None:
    assert usual.client.get("/docs").status_code == 200
    description = usual.client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            assert route.get("summary"), (method, path)
            assert route["description"], (method, path)
    body = description["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(body) == {"audio/*", "application/octet-stream", "multipart/form-data"}
    info = usual.client.get("/v1/info").json()
    assert [known["name"] for known in info["formats"]] == list(FORMATS)
    assert "happy" in info["classes"]
