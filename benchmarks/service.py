"""The HTTP service under load: is anything lost or mixed up, how fast is it, does it grow.

::

    python benchmarks/service.py [--requests 200] [--clients 20]

Clients in threads hand in recordings, each of a length of its own, cut from the example call, and
fetch their results; the server is `sed serve` in a process of its own with the embedded model.
Claims: no job is lost and none gets the result of another, by the recording's length and by the
segments, which are those of the pipeline in this process; jobs go through the server at no less
than half the speed of that pipeline alone on the same files; and the second half of the requests
adds at most 10 % to the server's memory. The exit status is 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import soundfile

from sed.audio import Recording
from sed.formats import FORMATS, AnnotatedRecording
from sed.pipeline import Pipeline

CALL = Path(__file__).resolve().parents[1] / "examples" / "call.wav"


def make_recordings(folder: Path, number: int) -> list[Path]:
    """Beginnings of the call, no two equally long."""
    samples, rate = soundfile.read(CALL, dtype="int16")
    step = len(samples) // (2 * number)
    paths = []
    for index in range(number):
        paths.append(folder / f"{index}.wav")
        soundfile.write(paths[-1], samples[: len(samples) // 2 + (index + 1) * step], rate)
    return paths


def alone(pipeline: Pipeline, paths: list[Path]) -> tuple[float, list[dict]]:
    """Seconds that the pipeline takes by itself, and what it finds."""
    found = []
    start = time.perf_counter()
    for path in paths:
        recording = Recording.open(path)
        made = AnnotatedRecording(pipeline(recording), duration=recording.duration)
        found.append(json.loads(FORMATS["json"].encode(made)))
    return time.perf_counter() - start, found


def memory(process: subprocess.Popen[str]) -> float:
    """Resident megabytes of a process; none where the system does not tell."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def one(client: httpx.Client, path: Path) -> dict | None:
    """Result of a recording, None where it is lost."""
    with path.open("rb") as stream:
        while True:
            stream.seek(0)
            answer = client.post("/v1/jobs", files={"file": (path.name, stream)})
            if answer.status_code not in (429, 503):
                break
            time.sleep(0.1)
    if answer.status_code != 202:
        return None
    address = answer.headers["location"]
    client.get(f"{address}/events")  # ends with the job
    result = client.get(f"{address}/result")
    return result.json()["recordings"][0] if result.status_code == 200 else None


def through_server(
    client: httpx.Client, paths: list[Path], num_clients: int
) -> tuple[float, list[dict | None]]:
    """Seconds that a server takes for all, and what it answers."""
    start = time.perf_counter()
    with ThreadPoolExecutor(num_clients) as pool:
        found = list(pool.map(lambda path: one(client, path), paths))
    return time.perf_counter() - start, found


def main() -> None:
    """Print the figures and the claims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_recordings(folder, options.requests)
        pipeline = Pipeline.from_pretrained()
        alone(pipeline, paths[:3])  # everything is loaded
        expected_seconds, expected = alone(pipeline, paths)
        command = [sys.executable, "-m", "sed", "serve", "--port", "0", "--max-uploads", "50"]
        process = subprocess.Popen(
            [*command, "--max-queue", "1000", "--folder", str(folder / "service")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            line = process.stdout.readline()
            with httpx.Client(
                base_url=line.split()[3].rstrip(","), timeout=120, trust_env=False
            ) as client:
                while client.get("/health").status_code != 200:
                    time.sleep(0.1)
                for path in paths[:3]:
                    one(client, path)
                sizes = [memory(process)]
                seconds, answers = 0.0, []
                half = len(paths) // 2
                for part in (paths[:half], paths[half:]):
                    taken, found = through_server(client, part, options.clients)
                    seconds += taken
                    answers += found
                    sizes.append(memory(process))
        finally:
            process.terminate()
            process.wait()
    lost = sum(answer is None for answer in answers)
    mixed = sum(
        answer is not None
        and (answer["duration"], answer["segments"]) != (wanted["duration"], wanted["segments"])
        for answer, wanted in zip(answers, expected, strict=True)
    )
    ratio = expected_seconds / seconds
    print(f"{len(paths)} requests of {options.clients} clients in {seconds:.1f} s")
    print(f"the pipeline alone: {expected_seconds:.1f} s")
    print("server's memory at the start, half-way, at the end: ", end="")
    print(", ".join(f"{size:.0f} MB" for size in sizes))
    claims = [
        ("jobs lost", f"{lost} (0)", lost == 0),
        ("jobs mixed up", f"{mixed} (0)", mixed == 0),
        ("speed against the pipeline alone", f"{ratio:.2f} (0.5)", ratio >= 0.5),
        (
            "memory at the end against half-way",
            f"{sizes[2] / sizes[1]:.2f} (1.1)",
            not sizes[2] / sizes[1] > 1.1,
        ),
    ]
    for what, figure, holds in claims:
        print(f"{'holds' if holds else 'FAILS'}  {what}: {figure}")
    sys.exit(not all(holds for _, _, holds in claims))


if __name__ == "__main__":
    main()
