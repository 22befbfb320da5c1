"""A hub of one's own: its cache on disk and its server, for tests that never leave the machine."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Files = Mapping[str, bytes]
Answer = tuple[int, bytes, dict[str, str]]  # status, content and headers


def model_files(folder: Path) -> dict[str, bytes]:
    """Content of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def git_hash(content: bytes) -> str:
    """Name that git, and so the hub, gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def commit_of(files: Files) -> str:
    """Some name of a commit that depends on the content."""
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


def fill_cache(cache: Path, name: str, files: Files, *, revision: str = "main") -> Path:
    """Put a repository into a cache as the hub's client does; its snapshot's folder is returned."""
    repository = cache / f"models--{name.replace('/', '--')}"
    commit = commit_of(files)
    snapshot = repository / "snapshots" / commit
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / revision).write_text(commit)
    for filename, content in files.items():
        blob = repository / "blobs" / git_hash(content)
        blob.write_bytes(content)
        (snapshot / filename).symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


class FakeHub:
    """Server that speaks what the hub's client asks for; `requests` holds what was asked.

    Parameters
    ----------
    repositories : mapping of str to mapping of str to bytes
        Files by name, by name of the repository.
    gated : set of str
        Repositories whose files need a token, as on the hub; their list is public.
    token : str
        The one that opens them, and that may write the repositories of ``org``.
    """

    def __init__(
        self,
        repositories: Mapping[str, Files],
        *,
        gated: frozenset[str] = frozenset(),
        token: str = "hf_right",
    ) -> None:
        self.repositories, self.gated, self.token = dict(repositories), gated, token
        self.private: set[str] = set()  # of those that were created here
        self.requests: list[str] = []
        self.broken: str | None = None  # what a request must hold to be answered with 503
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def do_HEAD(self) -> None:  # noqa: N802
                self.do_GET()

            def do_GET(self) -> None:  # noqa: N802
                self.reply(hub._answer)

            def do_POST(self) -> None:  # noqa: N802
                content = self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(lambda path, given: hub._take(path, given, content))

            def reply(self, answer: Callable[[str, str | None], Answer]) -> None:
                path = self.path.partition("?")[0]
                hub.requests.append(f"{self.command} {path}")
                code, content, headers = answer(path, self.headers.get("Authorization"))
                self.send_response(code)
                for key, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        return Handler

    def _answer(self, path: str, authorization: str | None) -> Answer:
        """What huggingface.co answers to those who read."""
        if self.broken is not None and self.broken in path:
            return 503, b"", {}
        if authorization not in (None, f"Bearer {self.token}"):
            refusal = "Invalid credentials in Authorization header"
            return 401, b"", {"X-Error-Message": refusal}
        parts = re.fullmatch(
            r"/(api/models/)?([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+))?(?:/(.+))?", path
        )
        if parts is None or parts[2] not in self.repositories:
            return 401, b"", {"X-Error-Code": "RepoNotFound"}
        files = self.repositories[parts[2]]
        commit = commit_of(files)
        if parts[4] not in (None, "main", commit):
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if parts[3] == "tree":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
                for name, content in files.items()
            ]
            return _json(tree)
        if parts[3] != "resolve":
            siblings = [{"rfilename": name} for name in files]
            return _json({"id": parts[2], "sha": commit, "siblings": siblings})
        if parts[2] in self.gated and authorization is None:
            return 401, b"", {"X-Error-Code": "GatedRepo"}
        if parts[5] not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
        content = files[parts[5]]
        return 200, content, {"ETag": f'"{git_hash(content)}"', "X-Repo-Commit": commit}

    def _take(self, path: str, authorization: str | None, content: bytes) -> Answer:
        """What it answers to those who write; every file is one that fits into the commit."""
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        parts = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/([^/]+)", path)
        if authorization != f"Bearer {self.token}":  # the client takes it so for a repository's 401
            return 401, b"", {"X-Error-Code": "RepoNotFound"} if parts else {}
        given = [json.loads(line) for line in content.splitlines()]
        name = parts[1] if parts else f"{given[0]['organization']}/{given[0]['name']}"
        if not name.startswith("org/"):
            return _json({"error": f"You have no right to write {name}"}, code=403)
        if parts is None:
            code = 409 if name in self.repositories else 200
            if code == 200 and given[0].get("visibility") == "private":
                self.private.add(name)
            self.repositories.setdefault(name, {})
            return _json({"url": f"{self.address}/{name}"}, code=code)
        if parts[3] != "main":
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if parts[2] == "preupload":
            how = {"uploadMode": "regular", "shouldIgnore": False}
            return _json({"files": [{"path": file["path"], **how} for file in given[0]["files"]]})
        added = [operation["value"] for operation in given if operation["key"] == "file"]
        files = {file["path"]: base64.b64decode(file["content"]) for file in added}
        self.repositories[name] = {**self.repositories[name], **files}
        commit = commit_of(self.repositories[name])
        return _json({"commitUrl": f"{self.address}/{name}/commit/{commit}", "commitOid": commit})


def _json(content: object, *, code: int = 200) -> Answer:
    """Answer in JSON."""
    return code, json.dumps(content).encode(), {"Content-Type": "application/json"}


def closed_address() -> str:
    """Address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def run_with_hub(
    address: str, home: Path, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Python of its own, whose hub is at an address: the client reads that when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        env={**kept, "HF_ENDPOINT": address, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
