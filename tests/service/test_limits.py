"""What a server refuses: too large, too long, too slow, too many, no audio, strangers."""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import CALL, Gate, Served, audio

from sed.service import app as app_module

TOKEN = "correct-horse-battery"


def refused(answer: httpx.Response, status: int, reason: str) -> None:
    """Check the one line of a refusal."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    detail = answer.json()["detail"]
    assert reason in detail and "\n" not in detail and "/uploads/" not in detail


def in_pieces(num_bytes: int, given: list[int], piece: int = 1 << 16) -> Iterator[bytes]:
    """A body without a length; notes how much was taken."""
    for start in range(0, num_bytes, piece):
        given.append(min(piece, num_bytes - start))
        yield bytes(given[-1])


def form_of(body: Iterator[bytes]) -> Iterator[bytes]:
    """A form around a body."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    yield from body
    yield b"\r\n--x--\r\n"


def test_a_large_upload_is_refused_by_its_length_before_it_is_sent(serve) -> None:
    server = serve(max_size=1_000_000)
    answer = raw_request(server, "Content-Length: 1000001\r\n", pause=0)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"detail":"the recording is larger than 1000000 bytes, the limit here"}' in answer
    assert server.files == []


@pytest.mark.parametrize("form", [False, True])
def test_a_chunked_upload_stops_at_the_limit_and_leaves_nothing(serve, form: bool) -> None:
    """Endless in principle: the server answers long before the client is done."""
    server = serve(max_size=1_000_000)
    given: list[int] = []
    body = in_pieces(200_000_000, given)
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if form else {}
    content = form_of(body) if form else body
    try:
        refused(server.client.post("/v1/jobs", content=content, headers=headers), 413, "larger")
    except (httpx.WriteError, httpx.ReadError):  # it was still sending when the server hung up
        pass
    assert sum(given) < 50_000_000
    assert server.files == []
    exact = server.client.post("/v1/jobs", content=in_pieces(1_000_000, []))
    refused(exact, 415, "is not audio")
    assert server.files == []


def test_memory_stays_flat_while_much_is_uploaded(serve) -> None:
    """Both ways, and until the very end, where it turns out to be no audio."""
    server = serve()
    server.client.post("/v1/jobs", content=in_pieces(20_000_000, []))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(server.client.post("/v1/jobs", content=in_pieces(150_000_000, [])), 415, "not audio")
    refused(
        server.client.post(
            "/v1/jobs",
            content=form_of(in_pieces(150_000_000, [])),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
        415,
        "not audio",
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes
    assert server.files == []


def raw_request(server: Served, head: str, *pieces: bytes, pause: float) -> bytes:
    """Answer to a request that is sent piece by piece."""
    url = server.client.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: {url.host}\r\n{head}\r\n".encode())
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while block := connection.recv(65536):
                answer += block
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answer


def test_a_client_that_stops_sending_is_left(serve) -> None:
    server = serve(upload_timeout=0.3)
    answer = raw_request(server, "Content-Length: 1000\r\n", b"RIFF", pause=0)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"detail":"the upload stood still for 0.3 seconds"}' in answer
    assert server.files == []


def test_a_client_that_trickles_is_left(serve) -> None:
    """A byte now and then keeps no upload alive."""
    server = serve(upload_timeout=0.3, min_rate=1000.0)
    start = time.monotonic()
    raw_request(server, "Content-Length: 1000\r\n", *[b"x"] * 8, pause=0.1)
    assert time.monotonic() - start < 10
    answer = server.client.get("/metrics").text
    assert 'sed_requests_total{method="POST",route="/v1/jobs",status="408"} 1.0' in answer
    assert server.files == []


def test_an_upload_that_breaks_off_leaves_nothing(serve) -> None:
    server = serve()
    url = server.client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nRIFF")
        until(lambda: server.files)
    until(lambda: not server.files)
    assert server.client.get("/v1/jobs").json()["jobs"] == []


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_too_many_uploads_at_a_time(serve) -> None:
    server = serve(max_uploads=1)
    url = server.client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nRIFF")
        until(lambda: server.files)
        answer = server.client.post("/v1/jobs", content=bytes(5_000_000))
        refused(answer, 429, "1 uploads are under way")
        assert int(answer.headers["retry-after"]) > 0
    until(lambda: not server.files)
    server.submit(CALL)


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b"", {}, 422, "the upload is empty"),
        (b"no audio at all", {}, 415, "recording is not audio that can be decoded"),
        (b"{}", {"Content-Type": "application/json"}, 415, "'application/json' is no audio"),
        (b"x", {"Content-Encoding": "gzip"}, 415, "without Content-Encoding"),
        (b"x", {"Content-Type": "multipart/form-data"}, 422, "names no boundary"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 422, "the form"),
        (b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 422, "called file"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF',
            {"Content-Type": "multipart/form-data; boundary=b"},
            422,
            "breaks off",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n' + b"x" * 2000,
            {"Content-Type": "multipart/form-data; boundary=b"},
            422,
            "too long",
        ),
    ],
)
def test_what_is_no_audio_is_refused(
    usual: Served, content: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    refused(usual.client.post("/v1/jobs", content=content, headers=headers), status, reason)
    assert usual.files == []


def test_what_is_cut_off_or_has_no_samples_is_refused(usual: Served, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    content = (tmp_path / "none.wav").read_bytes()
    assert usual.client.post("/v1/jobs", content=content).status_code in (415, 422)
    rate = bytearray(audio(tmp_path / "a.wav", 1.0).read_bytes())
    rate[24:28] = (2**31 - 1).to_bytes(4, "little")
    refused(usual.client.post("/v1/jobs", content=bytes(rate)), 422, "sample rate of 2147483647 Hz")
    rate[24:28] = (1000).to_bytes(4, "little")
    refused(usual.client.post("/v1/jobs", content=bytes(rate)), 422, "too low for speech")
    assert usual.files == []


def silence(path: Path, seconds: int) -> bytes:
    """Flac of silence: an hour takes a few kilobytes."""
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as stream:
        for _ in range(seconds // 60):
            stream.write(np.zeros(60 * 8000, dtype=np.int16))
    return path.read_bytes()


def without_length(flac: bytes) -> bytearray:
    """The same flac as a stream: its header does not tell the number of samples."""
    streamed = bytearray(flac)
    streamed[21] &= 0xF0
    streamed[22:26] = bytes(4)
    return streamed


def test_a_small_file_that_unpacks_to_hours_is_refused(serve, tmp_path: Path) -> None:
    """By what it states, and where it states nothing by what it holds, read up to the limit only:
    here the rest is damaged, which nobody notices."""
    server = serve(max_duration=1800.0)
    bomb = silence(tmp_path / "bomb.flac", 3600)
    assert len(bomb) < 200_000
    reason = "longer than 0.5 hours, which is the limit here"
    refused(server.client.post("/v1/jobs", content=bomb), 413, reason)
    streamed = without_length(bomb)
    refused(server.client.post("/v1/jobs", content=bytes(streamed)), 413, reason)
    streamed[len(streamed) * 3 // 4 :] = b"\x55" * (len(streamed) - len(streamed) * 3 // 4)
    refused(server.client.post("/v1/jobs", content=bytes(streamed)), 413, reason)
    short = server.client.post(
        "/v1/jobs", content=bytes(without_length(silence(tmp_path / "s.flac", 60)))
    )
    assert short.json()["duration"] == pytest.approx(60)
    lie = bytearray(bomb)  # it says a second: no more than that is read
    lie[21] &= 0xF0
    lie[22:26] = (8000).to_bytes(4, "big")
    job = server.client.post("/v1/jobs", content=bytes(lie)).json()
    assert job["duration"] == 1.0
    assert server.wait_for(job["id"])["finished"] is not None


def test_channels_one_by_one_count_together(serve, tmp_path: Path) -> None:
    server = serve(max_duration=10.0)
    path = tmp_path / "two.wav"
    soundfile.write(path, np.zeros((8 * 8000, 2)), 8000)
    server.submit(path)
    answer = server.client.post("/v1/jobs?channel=split", content=path.read_bytes())
    refused(answer, 413, "longer")
    soundfile.write(path, np.zeros((800, 17)), 8000)
    answer = server.client.post("/v1/jobs?channel=split", content=path.read_bytes())
    refused(answer, 422, "has 17 channels; at most 16")


def test_a_full_disk_is_said_and_leaves_nothing(serve) -> None:
    """The system's own limit on the size of files stands for it."""
    server = serve()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        answer = server.client.post("/v1/jobs", content=CALL.read_bytes())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(answer, 507, "disk is full")
    assert server.files == []
    assert server.wait_for(server.submit(CALL)["id"])["state"] == "done"


def test_only_the_token_opens(serve) -> None:
    server = serve(token=TOKEN)
    paths = ["/v1/jobs", "/v1/info", "/v1/nothing", "/metrics", f"/v1/jobs/{'a' * 22}"]
    wrong = ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN]
    for path, header in itertools.product(paths, wrong):
        answer = server.client.get(path, headers={"Authorization": header})
        refused(answer, 401, "send the server's token")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = raw_request(server, "Content-Length: 99\r\n", pause=0)
    assert answer.startswith(b"HTTP/1.1 401 ")  # before anything of the body is read
    assert server.files == []
    assert server.client.get("/v1/jobs").status_code == 200
    health = server.client.get("/health", headers={"Authorization": ""})
    assert (health.status_code, health.json()["token_required"]) == (200, True)
    description = server.client.get("/openapi.json", headers={"Authorization": ""}).json()
    assert description["security"] == [{"token": []}]
    assert TOKEN not in repr(server.office.settings)


def test_pages_of_others_do_not_reach_a_server_without_a_token(serve) -> None:
    """Neither under a name of theirs that leads here, nor from their origin."""
    server = serve(hosts=("127.0.0.1",))
    get = server.client.get
    refused(get("/v1/jobs", headers={"Host": "evil.example"}), 421, "'evil.example'")
    refused(get("/v1/jobs", headers={"Origin": "http://evil.example"}), 403, "pages of others")
    refused(
        server.client.post(
            "/v1/jobs", files={"file": CALL.read_bytes()}, headers={"Origin": "null"}
        ),
        403,
        "pages of others",
    )
    own = f"http://127.0.0.1:{server.client.base_url.port}"
    assert get("/v1/jobs", headers={"Origin": own}).status_code == 200


def test_every_error_is_one_line_of_json(usual: Served) -> None:
    refused(usual.client.get("/nothing"), 404, "nothing at this address")
    refused(usual.client.put("/v1/jobs"), 405, "Method Not Allowed")
    refused(usual.client.get("/v1/jobs?limit=0"), 422, "limit: input should be greater")
    refused(usual.client.get("/v1/jobs?before=x"), 422, "before: input should be a valid integer")
    refused(usual.client.get(f"/v1/jobs?before={10**30}"), 422, "before: input should be less")
    refused(usual.client.post("/v1/jobs?with_neutral=maybe", content=b"x"), 422, "with_neutral")


def test_a_page_is_served_with_a_strict_policy(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is one; without a token, which it is there to ask for."""
    page = tmp_path / "web"
    page.mkdir()
    (page / "index.html").write_text("<title>page</title>")
    monkeypatch.setattr(app_module, "WEB", page)
    server = serve(token=TOKEN)
    answer = server.client.get("/", headers={"Authorization": ""})
    assert answer.text == "<title>page</title>"
    policy = answer.headers["content-security-policy"]
    for rule in (
        "default-src 'self';",
        "media-src 'self' blob:;",
        "img-src 'self' data:;",
        "style-src 'self' 'unsafe-inline';",
    ):
        assert rule in policy
    assert server.client.get("/v1/info").status_code == 200
    refused(server.client.get("/missing.js"), 404, "nothing")


@pytest.mark.skipif(shutil.which("curl") is None, reason="this system has no curl")
def test_curl_is_told_why(serve, tmp_path: Path) -> None:
    """It learns of a refusal before it has sent much: by 100-continue, and by lingering."""
    server = serve(max_size=1_000_000)
    big = tmp_path / "big.wav"
    big.write_bytes(bytes(4_000_000))
    for options in (
        ["-F", f"file=@{big}"],
        ["--data-binary", f"@{big}", "-H", "Content-Type: audio/wav"],
    ):
        for more in ([], ["-H", "Transfer-Encoding: chunked"]):
            result = subprocess.run(
                ["curl", "-s", *options, *more, f"{server.client.base_url}/v1/jobs"],
                capture_output=True,
                check=False,
            )
            assert "larger than" in json.loads(result.stdout)["detail"], (options, more)


def test_a_gate_is_no_upload(serve) -> None:
    """What is being worked on does not count as an upload."""
    gate = Gate()
    server = serve(gate=gate, max_uploads=1)
    for _ in range(3):
        server.submit(CALL)
