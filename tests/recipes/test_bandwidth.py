"""What a lower sample rate costs, where the emotion is known to lie above it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running import RECIPES

pytest.importorskip("sklearn", reason="training needs the extra 'train'")

SCRIPT = [sys.executable, str(RECIPES / "TIMNet" / "bandwidth.py")]
HERTZ = {"W": 5900, "F": 6200}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_what_lies_above_the_band_is_lost_with_it(tmp_path: Path) -> None:
    """Two emotions that differ in a whistle of about 6 kHz alone: half is right by chance."""
    random = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    for place in range(24):
        code = "WF"[place % 2]
        noise = 0.1 * random.standard_normal(len(time))
        samples = noise + 0.1 * np.sin(2 * np.pi * HERTZ[code] * time)
        soundfile.write(folder / f"{place // 6 + 10}a{place:02}{code}a.wav", samples, 16_000)
    ended = run(f"--data_folder={tmp_path}", "--corpora", "emodb", "--seeds", "2")
    assert ended.returncode == 0, ended.stderr
    rates = [float(rate) for rate in re.findall(r"([\d.]+) %", ended.stdout)]
    assert rates[0] == rates[1] == 100.0
    assert max(rates[2:]) < 80.0 and len(rates) == 4


def test_a_corpus_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    ended = run(f"--data_folder={tmp_path}", "--corpora", "emodb")
    assert ended.returncode == 1
    assert ended.stderr.startswith("bandwidth.py: ") and ended.stderr.count("\n") == 1


def test_no_seed_at_all_is_refused(tmp_path: Path) -> None:
    ended = run(f"--data_folder={tmp_path}", "--seeds", "0")
    assert ended.returncode == 2 and "--seeds is 0; it takes one at least" in ended.stderr
