"""Several seeds: mean and standard deviation of each error rate, printed and written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sed.training.seeds import summarize

RESULTS = {
    "7": {"zed": (0.30, 0.5), "simulated": (0.10, 0.9)},
    "8": {"zed": (0.40, 0.5), "simulated": (0.20, 0.9)},
    "9": {"zed": (0.35, 0.5), "simulated": (0.60, 0.9)},
}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for seed, sets in RESULTS.items():
        (tmp_path / seed).mkdir()
        found = {
            name: {"recordings": 180, "macro_eder": macro, "pooled_eder": pooled}
            for name, (macro, pooled) in sets.items()
        }
        (tmp_path / seed / "results.json").write_text(json.dumps(found))
    return [tmp_path / seed for seed in RESULTS]


def test_means_and_deviations_of_every_measure_are_written(
    folders: list[Path], tmp_path: Path
) -> None:
    """The deviation is that of a sample: over n - 1."""
    summarize(folders)
    found = json.loads((tmp_path / "seeds.json").read_text())
    assert found.keys() == {"zed", "simulated"}
    assert found["zed"].keys() == {"macro_eder", "pooled_eder"}
    assert found["zed"]["macro_eder"] == pytest.approx({"mean": 0.35, "std": 0.05})
    assert found["zed"]["pooled_eder"] == pytest.approx({"mean": 0.5, "std": 0.0})
    assert found["simulated"]["macro_eder"] == pytest.approx({"mean": 0.3, "std": 0.07**0.5})


def test_each_seed_and_all_together_are_printed(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summarize(folders)
    printed = capsys.readouterr().out
    assert "zed: 180 recordings" in printed and "simulated: 180 recordings" in printed
    [line] = [line for line in printed.splitlines() if "0.350" in line and "±" in line]
    assert "0.350 ± 0.050" in line and "0.500 ± 0.000" in line
    assert all(f" {seed} " in printed for seed in RESULTS)
    assert str(tmp_path / "seeds.json") in printed.replace("\n", "")
