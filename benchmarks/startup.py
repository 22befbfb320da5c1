"""What our `sed` adds to a line of the stream editor, and how soon the help is there.

    python benchmarks/startup.py

The peer is the system's own sed in the same run; commands take turns, and the medians are compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPETITIONS = 21


def seconds(command: list[str]) -> float:
    """Wall time of a process that reads one line."""
    start = time.perf_counter()
    subprocess.run(command, input=b"a\n", stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print medians and their differences."""
    ours = Path(sys.executable).with_name("sed")
    path = os.pathsep.join(folder for folder in os.get_exec_path() if Path(folder) != ours.parent)
    system = shutil.which("sed", path=path)
    if not ours.exists() or system is None:
        sys.exit("needs the package's `sed` beside this Python, and a system's on PATH")
    commands = {
        "system sed s/a/b/": [system, "s/a/b/"],
        "our sed s/a/b/": [str(ours), "s/a/b/"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "our sed diarize --help": [str(ours), "diarize", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(REPETITIONS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:24} {1000 * median:6.1f} ms")
    added = medians["our sed s/a/b/"] - medians["system sed s/a/b/"]
    print(
        f"added to a stream-editor line: {1000 * added:.1f} ms, "
        f"{medians['our sed s/a/b/'] / medians['python -c pass']:.2f} times an empty Python"
    )


if __name__ == "__main__":
    main()
