"""The WebSocket of the service: real connections, the embedded model, a real recording."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import soundfile
from serving import CALL, Gate, Served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from sed.audio import Recording
from sed.labels import Emotion
from sed.live import Live
from sed.pipeline import Pipeline
from sed.service.live_streams import StreamOptions

TOKEN = "correct-horse-battery"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Twelve seconds of a call, (num_samples,) at 16 kHz."""
    return Recording.open(CALL, channel=1).samples(16_000)[: 12 * 16_000]


def address(server: Served, path: str = "/v1/stream", **query: object) -> str:
    url = server.client.base_url
    return f"ws://{url.host}:{url.port}{path}?{urlencode(query)}"


def opened(server: Served, path: str = "/v1/stream", **query: object) -> ClientConnection:
    return connect(address(server, path, **query), open_timeout=60, proxy=None)


def rest(connection: ClientConnection) -> tuple[list[Event], int]:
    """Objects until it is closed, and the code with which it is."""
    found = []
    try:
        while True:
            found.append(json.loads(connection.recv(timeout=60)))
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return found, closed.rcvd.code


def answers(server: Served, data: bytes, *, size: int = 5_001, **query: object) -> list[Event]:
    """All that is said of a stream that is sent in messages cut anywhere."""
    with opened(server, **query) as connection:
        for start in range(0, len(data), size):
            connection.send(data[start : start + size])
        connection.send('{"type": "end"}')
        found, code = rest(connection)
    assert code == 1000
    return found


def detail(connection: ClientConnection, code: int) -> str:
    """Why a stream was refused, in the one object before it was closed."""
    found, closed = rest(connection)
    assert closed == code
    assert list(found[-1]) == ["detail"] and "\n" not in found[-1]["detail"]
    return found[-1]["detail"]


def segments(found: list[Event]) -> list[tuple[float, float, str]]:
    return [(e["start"], e["end"], e["emotion"]) for e in found if e["type"] == "segment"]


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def test_a_stream_finds_what_the_engine_does(
    usual: Served, pipeline: Pipeline, speech: np.ndarray
) -> None:
    found = answers(usual, pcm(speech), latency=1, name="a call")
    assert found[-1] == {"type": "end", "uri": "a_call", "duration": 12.0}
    assert {event["type"] for event in found} <= {"open", "segment", "settled", "end"}
    assert {event["uri"] for event in found} == {"a_call"}
    live = Live(pipeline, 16_000, latency=1.0)
    heard = np.frombuffer(pcm(speech), "<i2")
    expected: list[tuple[float, float, Emotion]] = [
        (segment.start, segment.end, label)
        for update in (*live.push(heard), *live.close())
        for segment, _, label in update.segments.itertracks(yield_label=True)
    ]
    assert len(expected) > 1
    np.testing.assert_allclose([s[:2] for s in segments(found)], [s[:2] for s in expected])
    assert [s[2] for s in segments(found)] == [str(s[2]) for s in expected]


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("f32le", "FLOAT")])
def test_telephony_and_floats_are_heard(
    usual: Served, speech: np.ndarray, tmp_path: Path, encoding: str, subtype: str
) -> None:
    """At another rate: libsndfile writes the samples."""
    path = tmp_path / "a.raw"
    soundfile.write(path, speech[::2], 8_000, subtype=subtype, endian="LITTLE", format="RAW")
    found = answers(usual, path.read_bytes(), sample_rate=8_000, encoding=encoding)
    assert found[-1]["duration"] == 12.0
    assert segments(found)


def test_results_come_while_the_client_still_sends(usual: Served, speech: np.ndarray) -> None:
    """In real time what has settled is said once a second."""
    with opened(usual, latency=0.5) as connection:
        for block in np.array_split(speech[: 4 * 16_000], 40):
            connection.send(pcm(block))
            time.sleep(0.05)  # twice real time
        first = [json.loads(connection.recv(timeout=30))]
        while first[-1]["type"] != "settled":
            first.append(json.loads(connection.recv(timeout=30)))
        assert 0.0 < first[-1]["until"] < 4.0
        connection.send('{"type": "end"}')
        found, code = rest(connection)
    assert code == 1000
    assert 1 <= len([e for e in first + found if e["type"] == "settled"]) <= 4


def test_nothing_at_all_is_an_empty_stream(usual: Served) -> None:
    assert answers(usual, b"") == [{"type": "end", "uri": "stream", "duration": 0.0}]


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ({"sample_rate": "fast"}, 1008, "sample_rate takes a whole number, not 'fast'"),
        ({"sample_rate": 1000}, 1008, "sample_rate is 1000, but lies between 4000"),
        ({"encoding": "mp3"}, 1008, "encoding takes u8, s8, s16le"),
        ({"latency": "x"}, 1008, "latency takes seconds, not 'x'"),
        ({"latency": "9"}, 1008, "a latency lies between 0.5 and 5 s"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    usual: Served, query: dict[str, object], code: int, reason: str
) -> None:
    with opened(usual, **query) as connection:
        assert reason in detail(connection, code)


@pytest.mark.parametrize(
    ("message", "query", "code", "reason"),
    [
        ("hello", {}, 1003, 'the one text message is {"type": "end"}'),
        ('{"type": "begin"}', {}, 1003, "sound comes as binary"),
        ("[" * 100_000, {}, 1003, "sound comes as binary"),
        (np.full(4_000, np.nan, "<f4").tobytes(), {"encoding": "f32le"}, 1003, "no sample"),
        (bytes(2**20 + 2), {}, 1009, "a message holds 1048578 bytes; 1048576 are the limit"),
    ],
)
def test_messages_that_are_no_sound_are_refused(
    usual: Served, message: str | bytes, query: dict[str, object], code: int, reason: str
) -> None:
    with opened(usual, **query) as connection:
        connection.send(message)
        assert reason in detail(connection, code)


def test_another_address_is_no_stream(usual: Served) -> None:
    for path in ("/v1/jobs", "/", "/v1/stream/x"):
        with opened(usual, path) as connection:
            assert detail(connection, 1008) == "there is no stream here; see /docs"


def test_the_token_comes_as_a_header_or_in_the_query(serve, speech: np.ndarray) -> None:
    server = serve(token=TOKEN)
    for query in ({}, {"token": "wrong-horse-battery"}):
        with opened(server, **query) as connection:
            assert "Authorization: Bearer TOKEN, or in the query" in detail(connection, 1008)
    assert answers(server, pcm(speech[:16_000]), token=TOKEN)[-1]["duration"] == 1.0
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(address(server), additional_headers=headers, proxy=None) as connection:
        connection.send('{"type": "end"}')
        assert rest(connection)[1] == 1000
    # the query lets nobody in elsewhere: addresses are written down by many on the way
    answer = server.client.get(f"/v1/jobs?token={TOKEN}", headers={"Authorization": ""})
    assert answer.status_code == 401


def test_pages_of_others_and_other_names_are_refused(serve) -> None:
    server = serve(hosts=("127.0.0.1",))
    with connect(address(server), origin="https://evil.example", proxy=None) as connection:
        assert "web pages of others" in detail(connection, 1008)
    url = server.client.base_url
    own = f"http://{url.host}:{url.port}"
    with connect(address(server), origin=own, proxy=None) as connection:
        connection.send('{"type": "end"}')
        assert rest(connection)[1] == 1000
    other = f"ws://evil.example:{url.port}/v1/stream"
    with connect(other, address=(url.host, url.port), proxy=None) as connection:
        assert "this server is not called 'evil.example" in detail(connection, 1008)


def test_streams_have_places_and_figures(serve, speech: np.ndarray) -> None:
    server = serve(max_streams=1)

    def figure(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    with opened(server) as first:
        first.send(pcm(speech[:32_000]))
        deadline = time.monotonic() + 30
        while figure("sed_stream_seconds_total") < 2.0:
            assert time.monotonic() < deadline
        assert figure("sed_streams_open") == 1.0
        with opened(server) as second:
            reason = detail(second, 1013)
        assert reason == "1 streams are open, as many as may be; try again later"
        first.send('{"type": "end"}')
        assert rest(first)[1] == 1000
    with opened(server) as leaving:  # the place is free again, also after one that just leaves
        leaving.send(pcm(speech[:32_000]))
    deadline = time.monotonic() + 30
    while figure("sed_streams_open"):
        assert time.monotonic() < deadline
    assert answers(server, b"")[-1]["duration"] == 0.0
    assert figure("sed_stream_seconds_total") == 4.0


def test_a_stream_that_says_nothing_is_left(serve) -> None:
    """Empty messages do not keep it alive."""
    server = serve(stream_timeout=0.5)
    with opened(server) as connection:
        for _ in range(3):
            connection.send(b"")
            time.sleep(0.1)
        assert detail(connection, 1008) == "no sound came for 0.5 seconds"


def test_jobs_and_streams_do_not_wait_for_each_other(serve, speech: np.ndarray) -> None:
    """A job that does not get on keeps no stream waiting, and streams keep no job."""
    server = serve(max_streams=2)
    with opened(server) as one, opened(server) as two:
        for connection in (one, two):
            connection.send(pcm(speech[:32_000]))
        job = server.wait_for(server.submit(CALL)["id"])
        assert job["state"] == "done"
        for connection in (one, two):
            connection.send('{"type": "end"}')
            assert rest(connection)[0][-1]["duration"] == 2.0


def test_a_stream_of_a_pipeline_that_needs_whole_recordings_is_refused(serve) -> None:
    with opened(serve(gate=Gate())) as connection:
        assert "front_end" in detail(connection, 1008)


def test_several_streams_at_a_time_are_as_one_alone(usual: Served, speech: np.ndarray) -> None:
    """They share the model and nothing else."""
    parts = [pcm(speech), pcm(speech[::-1])]
    alone = [segments(answers(usual, part)) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: segments(answers(usual, part)), parts * 2))
    assert together == alone * 2
    assert alone[0] != alone[1]


def test_options_of_a_query() -> None:
    assert StreamOptions.of({}) == StreamOptions()
    assert StreamOptions.of({"latency": "inf"}).latency == float("inf")


def test_the_description_tells_of_it(usual: Served) -> None:
    description = usual.client.get("/openapi.json").json()["info"]["description"]
    assert "/v1/stream?sample_rate=16000&encoding=s16le&latency=2" in description
