"""Scores that can be trusted: EDER and its parts, and everything a paper says beside it."""

from sed.scoring.atoms import Atoms, cut
from sed.scoring.bootstrap import Difference, Interval, bootstrap, paired_bootstrap
from sed.scoring.boundaries import BoundaryAgreement, boundaries
from sed.scoring.calibration import Calibration, calibration
from sed.scoring.collection import Matched, Side, match, read_side
from sed.scoring.confusion import ConfusionMatrix, confusion
from sed.scoring.detection import Detection, detections
from sed.scoring.eder import eder, eder_of_many
from sed.scoring.errors import EmotionErrors
from sed.scoring.metric import EmotionDiarizationErrorRate
from sed.scoring.report import Report, ReportOptions, report
from sed.scoring.score import Score, score
from sed.scoring.tracks import Pair
from sed.scoring.transitions import Transition, transitions
from sed.scoring.utterance import uar, war

__all__ = [
    "Atoms",
    "BoundaryAgreement",
    "Calibration",
    "ConfusionMatrix",
    "Detection",
    "Difference",
    "EmotionDiarizationErrorRate",
    "EmotionErrors",
    "Interval",
    "Matched",
    "Pair",
    "Report",
    "ReportOptions",
    "Score",
    "Side",
    "Transition",
    "bootstrap",
    "boundaries",
    "calibration",
    "confusion",
    "cut",
    "detections",
    "eder",
    "eder_of_many",
    "match",
    "paired_bootstrap",
    "read_side",
    "report",
    "score",
    "transitions",
    "uar",
    "war",
]
