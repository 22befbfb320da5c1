"""`sed serve`: what it refuses in one line, before anything slow."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from serving import CALL, command, until_ready
from typer.testing import CliRunner

from sed.cli import app
from sed.service.store import Store


def error_of(*arguments: str, **environment: str) -> str:
    """The one line of a command that is wrong use."""
    result = CliRunner(env={"SED_TOKEN": "", **environment}).invoke(app, ["serve", *arguments])
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("sed: ") and result.stderr.count("\n") == 1
    return result.stderr.removeprefix("sed: ").strip()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--max-size", "much"], "'much' is no size; write bytes, or a number with kB"),
        (["--max-size", "0"], "max_size is 0, but must be above zero"),
        (["--max-duration", "nan"], "max_duration is nan, but must be above zero"),
        (["--max-queue", "-1"], "max_queue is -1"),
        (["--keep", "0"], "keep is 0.0"),
        (["--token", "short"], "a token has at least 8 letters"),
        (["--token", "with space in it"], "a token has at least 8 letters"),
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines; give a token"),
        (["--host", "::"], ":: can be reached from other machines"),
        (["--token", "12345678", "--no-token"], "--no-token lets everybody in, but a token is"),
        (["--host", "256.1.1.1", "--no-token"], "cannot listen on 256.1.1.1, port 8000"),
        (["--port", "70000"], "invalid value for '--port'"),
        (["--folder", str(CALL)], "call.wav"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: list[str], reason: str) -> None:
    given = arguments if "--folder" in arguments else ["--folder", str(tmp_path), *arguments]
    port = [] if "--port" in given or "8000" in reason else ["--port", "0"]
    assert reason in error_of(*given, *port)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert error_of("--port", port, "--folder", str(tmp_path)) == (
            f"cannot listen on 127.0.0.1, port {port}: another program listens there; choose "
            f"another --port"
        )


def test_a_second_server_of_a_folder_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "another server works in" in error_of("--port", "0", "--folder", str(tmp_path))
    store.close()


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fastapi", "sed.service.app", "sed.service.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert error_of("--folder", str(tmp_path)).endswith(
        "pip install 'speech-emotion-diarization[serve]'"
    )


def test_a_model_that_is_not_there_ends_the_server_in_one_line(tmp_path: Path) -> None:
    """Found out while it already listens; and the token of the environment counts."""
    result = subprocess.run(
        [sys.executable, "-m", "sed", "serve", "--quiet", "--port", "0", "--folder"]
        + [str(tmp_path / "service"), "--model", str(tmp_path / "missing")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1 and "missing" in result.stderr


def test_it_listens_with_the_token_of_the_environment_until_ctrl_c(tmp_path: Path) -> None:
    import signal

    with command(tmp_path / "service", "--vad", "energy", SED_TOKEN="of-the-environment") as (
        process,
        client,
    ):
        until_ready(client)
        assert client.get("/v1/jobs").status_code == 401
        headers = {"Authorization": "Bearer of-the-environment"}
        answer = client.post("/v1/diarize?format=rttm", content=CALL.read_bytes(), headers=headers)
        assert answer.text.startswith("SPEAKER recording 1 ")
        process.send_signal(signal.SIGINT)
        assert (process.wait(30), process.stderr.read()) == (0, "")
