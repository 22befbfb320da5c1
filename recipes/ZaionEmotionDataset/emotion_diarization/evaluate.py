"""Diarize the test corpus with a trained model and score it.

    python evaluate.py hparams/train.yaml --data_folder=FOLDER [--evaluated=MODEL]

Writes references and hypotheses beside each other, so `sed score` can say more about them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import speechbrain as sb
from data import find_utterances, reference
from hyperpyyaml import load_hyperpyyaml
from tqdm import tqdm

from sed.corpora import Utterance
from sed.formats import AnnotatedRecording, write
from sed.pipeline import Pipeline
from sed.scoring import ReportOptions, report, score
from sed.vad import vad_named


def evaluate(hparams: dict, utterances: Sequence[Utterance]) -> None:
    """Score the model that the settings name: EDER with its parts, and the transitions."""
    pipeline = Pipeline.from_pretrained(
        hparams["evaluated"], vad=vad_named(hparams["evaluated_vad"]), dtype="float32"
    )
    references = [reference(utterance) for utterance in utterances]
    hypotheses = [
        AnnotatedRecording(pipeline(known.path), duration=known.duration)
        for known in tqdm(references, desc="diarize", mininterval=1.0)
    ]
    folder = Path(hparams["output_folder"]) / "evaluation"
    write(folder / "reference.json", references)
    write(folder / "hypothesis.rttm", hypotheses)
    found = score(references, hypotheses)
    options = ReportOptions(transitions=True, confusion=True)
    print(report([(hparams["evaluated"], found)], options=options).text("table"))
    print(f"more: sed score --ref {folder}/reference.json --hyp {folder}/hypothesis.rttm")


def main() -> None:
    """Score the model that the settings name."""
    hparams_file, _, overrides = sb.parse_arguments(sys.argv[1:])
    with open(hparams_file) as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    try:
        evaluate(hparams, find_utterances(hparams)["test"])
    except (OSError, ValueError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    main()
