"""Diarize simulated recordings of speakers that the model was not trained on, and score them.

    python evaluate.py hparams/timnet-mfcc.yaml --data_folder=FOLDER [--evaluated=MODEL]
        [--evaluated_speakers=valid] [--evaluated_decoding="{neutral_weight: 5.0}"]

Writes the references and hypotheses beside each other, so `sed score` can say more about them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import speechbrain as sb
from data import read_clips
from hyperpyyaml import load_hyperpyyaml
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from sed.audio import Recording
from sed.corpora.simulation import SimulatedRecording, Simulation
from sed.formats import AnnotatedRecording, write
from sed.pipeline import Pipeline
from sed.scoring import EmotionErrors, eder


def diarize(
    pipeline: Pipeline, recordings: Sequence[SimulatedRecording]
) -> list[AnnotatedRecording]:
    """Hypotheses of the whole pipeline, VAD included, as a user would get them."""
    hypotheses = []
    for recording in tqdm(recordings, desc="diarize", mininterval=1.0):
        source = Recording.from_samples(
            recording.samples, recording.sample_rate, uri=recording.annotation.uri
        )
        hypotheses.append(AnnotatedRecording(pipeline(source), duration=recording.duration))
    return hypotheses


def table(
    recordings: Sequence[SimulatedRecording], hypotheses: Sequence[AnnotatedRecording]
) -> Table:
    """EDER and its parts for each corpus and for all, beside the score of saying nothing."""
    rows = Table("corpus", "recordings", "EDER macro", "pooled", "FA", "ME", "CF", "all neutral")
    corpora = sorted({recording.corpus for recording in recordings})
    for name in (*corpora, "all"):
        pairs = [
            (recording, hypothesis)
            for recording, hypothesis in zip(recordings, hypotheses, strict=True)
            if name in (recording.corpus, "all")
        ]
        errors, nothing = [], []
        for recording, hypothesis in pairs:
            options = {"duration": recording.duration}
            errors.append(eder(recording.annotation, hypothesis.annotation, **options))
            nothing.append(eder(recording.annotation, recording.annotation.empty(), **options))
        pooled = sum(errors, EmotionErrors.zero())
        parts = (pooled.false_alarm, pooled.missed_emotion, pooled.confusion)
        rates = [
            sum(error.eder for error in errors) / len(pairs),
            pooled.eder,
            *(part / pooled.total for part in parts),
            sum(error.eder for error in nothing) / len(pairs),
        ]
        rows.add_row(name, str(len(pairs)), *(f"{rate:.3f}" for rate in rates))
    return rows


def main() -> None:
    """Score the model that the settings name."""
    hparams_file, _, overrides = sb.parse_arguments(sys.argv[1:])
    with open(hparams_file) as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    speakers = hparams["evaluated_speakers"]
    clips = read_clips(hparams, hparams["classes"], [speakers])[speakers]
    simulation = Simulation(clips, classes=hparams["classes"], sample_rate=hparams["sample_rate"])
    recordings = simulation.draw_set(hparams["num_test"], hparams["test_seed"])
    pipeline = Pipeline.from_pretrained(
        hparams["evaluated"], decoding=hparams["evaluated_decoding"]
    )
    hypotheses = diarize(pipeline, recordings)
    folder = Path(hparams["output_folder"]) / "evaluation"
    references = [
        AnnotatedRecording(recording.annotation, duration=recording.duration)
        for recording in recordings
    ]
    write(folder / "reference.json", references)
    write(folder / "hypothesis.json", hypotheses)
    Console(width=100).print(table(recordings, hypotheses))
    print(f"more: sed score --ref {folder}/reference.json --hyp {folder}/hypothesis.json")


if __name__ == "__main__":
    main()
