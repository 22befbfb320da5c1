"""How much of the speech in real recordings a model calls emotional.

    python calls.py FOLDER [--model timnet-mfcc] [--neutral-weight 2 5 …]

Nobody has annotated these recordings: the share says how reserved a model is, not how right.
"""

from __future__ import annotations

import argparse

from pyannote.core import Timeline
from rich.console import Console
from rich.table import Table

from sed.audio import find_recordings
from sed.pipeline import DEFAULT_MODEL, Pipeline


def emotional_share(pipeline: Pipeline, path: str) -> tuple[float, float]:
    """Seconds of speech in a recording, and the share of them that lies in emotion segments."""
    speech = Timeline()

    def listen(step: str, artifact: object, **progress: float) -> None:
        if isinstance(artifact, Timeline):
            speech.update(artifact)

    emotions = pipeline(path, hook=listen).get_timeline().support()
    seconds = speech.support().duration()
    return seconds, speech.crop(emotions).duration() / seconds if seconds else 0.0


def main() -> None:
    """Print one row per recording, one column per weight, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--neutral-weight", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    arguments = parser.parse_args()
    rows: dict[str, list[float]] = {}
    for weight in arguments.neutral_weight:
        decoding = {"neutral_weight": weight}
        pipeline = Pipeline.from_pretrained(arguments.model, decoding=decoding)
        for path in find_recordings(arguments.folder):
            seconds, share = emotional_share(pipeline, path)
            rows.setdefault(path.name, [seconds]).append(share)
    table = Table("recording", "speech s", *map(str, arguments.neutral_weight))
    for name, (seconds, *shares) in rows.items():
        table.add_row(name, f"{seconds:.1f}", *(f"{share:.2f}" for share in shares))
    columns = list(zip(*rows.values(), strict=True))
    means = [sum(column) / len(column) for column in columns]
    table.add_row("mean", f"{means[0]:.1f}", *(f"{mean:.2f}" for mean in means[1:]))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
