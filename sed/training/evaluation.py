"""Judging a model on recordings with known emotions, as the commands would."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pyannote.core import SlidingWindowFeature, Timeline
from tqdm import tqdm

from sed.formats import AnnotatedRecording, write
from sed.frames import covered
from sed.labels import NEUTRAL
from sed.pipeline import Pipeline
from sed.scoring import Calibration, ReportOptions, Score, calibration, report, score
from sed.scoring.tables import Column, Table, calibration_table, systems_table
from sed.training.speech import Judged


def evaluate(
    pipeline: Pipeline, recordings: Iterable[Judged], folder: Path, name: str
) -> tuple[Score, Calibration]:
    """Diarize recordings, score the result, and write and print what there is to see.

    ::

        folder/reference.json  hypothesis.json  hypothesis.rttm     for `sed score` and others
               report.md                           EDER, its parts, transitions, calibration

    Parameters
    ----------
    pipeline : Pipeline
    recordings : iterable of (Recording, AnnotatedRecording, str)
        Recording, reference and corpus; one is held at a time.
    folder : Path
        Made if need be.
    name : str
        What the report calls the model.

    Returns
    -------
    Score
        Of the emotions.
    Calibration
        Of the posteriors of all frames of speech.

    Raises
    ------
    OSError, ValueError
        If a recording cannot be read or the folder cannot be written.
    """
    references, hypotheses, corpora = [], [], []
    calibrated, told = Calibration.zero(), dict[str, Any]()

    def listen(step: str, artifact: object, **progress: float) -> None:
        if artifact is not None:
            told[step] = artifact

    for recording, reference, corpus in tqdm(recordings, desc="diarize", mininterval=1.0):
        references.append(reference)
        found = pipeline(recording, hook=listen)
        hypotheses.append(AnnotatedRecording(found, duration=reference.duration))
        calibrated += frame_calibration(told["emotions"], told["speech"], reference)
        corpora.append(corpus)
    write(folder / "reference.json", references)
    write(folder / "hypothesis.json", hypotheses)
    write(folder / "hypothesis.rttm", hypotheses)
    scored = score(references, hypotheses)
    made = report([(name, scored)], options=ReportOptions(transitions=True, confusion=True))
    if len(set(corpora)) > 1:
        first, *others = made.tables
        made = replace(made, tables=(first, _by_corpus(references, hypotheses, corpora), *others))
    made = replace(made, tables=(*made.tables, calibration_table(calibrated)))
    (folder / "report.md").write_text(made.text("markdown"), encoding="utf-8")
    print(made.text("table"))
    print(f"more: sed score --ref {folder}/reference.json --hyp {folder}/hypothesis.json")
    return scored, calibrated


def frame_calibration(
    posteriors: SlidingWindowFeature, speech: Timeline, reference: AnnotatedRecording
) -> Calibration:
    """How sure a classifier is of the frames of speech, and how often it is right.

    ::

        reference         |===== happy =====|      at the centre of each frame
        speech       |===========|     |=======|
        best class   |n|n|h|h|h|h|     |h|h|s|n|   its posterior is the confidence
        right         + +   + + +       + +   +

    Parameters
    ----------
    posteriors : (num_frames, num_classes) SlidingWindowFeature
    speech : Timeline
    reference : AnnotatedRecording
        Where emotions overlap, each of them is right.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.frames import FrameGrid
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [1.0, 0.0]])
    >>> posteriors = FrameGrid(16_000, 16_000).feature(scores, ["neutral", "happy"])
    >>> said = Annotation()
    >>> said[Segment(1, 3)] = "happy"
    >>> found = frame_calibration(
    ...     posteriors, Timeline([Segment(0, 3)]), AnnotatedRecording(said, duration=4.0))
    >>> found.total, sum(found.right), round(sum(found.confidence), 2)
    (3, 2, 2.4)
    """
    num_frames, step = len(posteriors.data), posteriors.sliding_window.step

    def holds(timeline: Timeline) -> np.ndarray:
        return covered(timeline, step, num_frames, duration=reference.duration or math.inf)

    said, classes = reference.annotation, posteriors.data.argmax(axis=1)
    emotional = holds(said.subset([NEUTRAL], invert=True).get_timeline())
    true = np.stack(
        [
            ~emotional if name == NEUTRAL else holds(said.label_timeline(name))
            for name in posteriors.labels
        ],
        axis=1,
    )
    heard, frames = holds(speech), np.arange(num_frames)
    confidence, right = posteriors.data[frames, classes], true[frames, classes]
    return calibration(confidence[heard], right[heard])


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
