"""On Ray an archive has the same rows, also where an actor is killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from archives import left_in, make_archive, rows_of, run

from sed.archive.run import Crew, Summary, diarize_archive
from sed.archive.schedule import Limits
from sed.archive.work import Work
from sed.formats import SETTINGS_FILE

pytest.importorskip("ray", reason="clusters need the extra 'cluster'")


def actors() -> list[int]:
    """Processes of this machine that are workers of an archive on Ray."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "cmdline").read_text()
        except OSError:
            continue
        if name.startswith("ray::Actor") and _is_below(int(process.name), os.getpid()):
            found.append(int(process.name))
    return found


def _is_below(process: int, ancestor: int) -> bool:
    """Whether a process was started by another, or by one that it started."""
    while process > 1:
        if process == ancestor:
            return True
        status = Path(f"/proc/{process}/stat").read_text()
        process = int(status.rpartition(")")[2].split()[1])
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="finds the actors in /proc")
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_killed_actor_costs_nothing_and_a_long_recording_is_shared(
    tmp_path: Path, work: Work
) -> None:
    calls = make_archive(tmp_path / "calls", number=5)
    make_archive(tmp_path / "calls" / "long", number=3, seconds=8.0)
    killed: list[int] = []

    def kill(summary: Summary) -> None:
        running = actors()
        if summary.num_done and running and not killed:
            killed.append(running[0])
            os.kill(running[0], signal.SIGKILL)

    summary = diarize_archive(
        [str(calls)],
        tmp_path / "ray",
        work,
        crew=Crew("ray", jobs=2),
        limits=Limits(num_recordings=1, split=5.0),
        on_progress=kill,
    )
    assert len(killed) == 1
    assert (summary.num_done, summary.num_failed) == (8, 1)
    run([calls], tmp_path / "local", work)
    assert rows_of(tmp_path / "ray") == rows_of(tmp_path / "local")
    assert left_in(tmp_path / "ray") == {SETTINGS_FILE}
