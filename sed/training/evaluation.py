"""Judging a model on recordings with known emotions, as the commands would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from sed.formats import AnnotatedRecording, write
from sed.pipeline import Pipeline
from sed.scoring import ReportOptions, Score, report, score
from sed.scoring.tables import Column, Table, systems_table
from sed.training.speech import Judged


def evaluate(pipeline: Pipeline, recordings: Iterable[Judged], folder: Path, name: str) -> Score:
    """Diarize recordings, score the result, and write and print what there is to see.

    ::

        folder/reference.json  hypothesis.json  hypothesis.rttm     for `sed score` and others
               report.md                                            EDER, its parts, transitions

    Parameters
    ----------
    pipeline : Pipeline
    recordings : iterable of (Recording, AnnotatedRecording, str)
        Recording, reference and corpus; one is held at a time.
    folder : Path
        Made if need be.
    name : str
        What the report calls the model.

    Raises
    ------
    OSError, ValueError
        If a recording cannot be read or the folder cannot be written.
    """
    references, hypotheses, corpora = [], [], []
    for recording, reference, corpus in tqdm(recordings, desc="diarize", mininterval=1.0):
        references.append(reference)
        hypotheses.append(AnnotatedRecording(pipeline(recording), duration=reference.duration))
        corpora.append(corpus)
    write(folder / "reference.json", references)
    write(folder / "hypothesis.json", hypotheses)
    write(folder / "hypothesis.rttm", hypotheses)
    found = score(references, hypotheses)
    made = report([(name, found)], options=ReportOptions(transitions=True, confusion=True))
    if len(set(corpora)) > 1:
        first, *others = made.tables
        made = replace(made, tables=(first, _by_corpus(references, hypotheses, corpora), *others))
    (folder / "report.md").write_text(made.text("markdown"), encoding="utf-8")
    print(made.text("table"))
    print(f"more: sed score --ref {folder}/reference.json --hyp {folder}/hypothesis.json")
    return found


def _by_corpus(
    references: list[AnnotatedRecording], hypotheses: list[AnnotatedRecording], corpora: list[str]
) -> Table:
    """Error rates of the recordings of each corpus."""
    scores = []
    for corpus in sorted(set(corpora)):
        chosen = [index for index, name in enumerate(corpora) if name == corpus]
        said, heard = ([side[index] for index in chosen] for side in (references, hypotheses))
        scores.append((f"{corpus} ({len(chosen)} recordings)", score(said, heard)))
    table = systems_table(scores)
    return replace(
        table,
        name="corpora",
        title="Each corpus",
        columns=(Column("corpus"), *table.columns[1:]),
    )
