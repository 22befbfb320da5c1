"""The same experiment with several seeds: mean and standard deviation."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table


def summarize(folders: Sequence[Path]) -> None:
    """Print the error rates of experiments, each and together, and write them beside their folders.

    Parameters
    ----------
    folders : sequence of Path
        Experiments that differ in their seed, each with a ``results.json``; ``seeds.json`` goes
        into the folder that holds them.
    """
    results = {
        folder.name: json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for folder in folders
    }
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for name, first in next(iter(results.values())).items():
        measures = [measure for measure in first if measure != "recordings"]
        table = Table("seed", *measures, title=f"{name}: {first['recordings']} recordings")
        for seed, found in results.items():
            table.add_row(seed, *(f"{found[name][measure]:.3f}" for measure in measures))
        columns = {
            measure: [found[name][measure] for found in results.values()] for measure in measures
        }
        summary[name] = {
            measure: {"mean": statistics.mean(values), "std": statistics.stdev(values)}
            for measure, values in columns.items()
        }
        table.add_section()
        table.add_row(
            "mean ± std",
            *(f"{row['mean']:.3f} ± {row['std']:.3f}" for row in summary[name].values()),
        )
        Console(width=120).print(table)
    path = folders[0].parent / "seeds.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")
