"""SpeechBrain's way to the error rate, beside ours as a check.

Its function (``speechbrain.utils.EDER``) takes a recording with exactly one emotion, fills the
rest with neutral, and subtracts from 1 the time in which the first letters of the labels agree.
Here that is done on segments instead of frames, with its sums and its floats, and by none of the
code that `sed.scoring.eder` runs through.
"""

from __future__ import annotations

from pyannote.core import Annotation

from sed.labels import NEUTRAL
from sed.scoring.tracks import EmotionCodes


def speechbrain_eder(
    reference: Annotation, hypothesis: Annotation, *, duration: float, codes: EmotionCodes
) -> float | None:
    """``1 - agreeing time / duration``, None where SpeechBrain's function does not apply.

    ::

        reference     |  n  |     h     |   n   |        agreeing  |--n--|  |--h--|   |n|
        hypothesis    |   n    |   h  |  s  | n |

    Parameters
    ----------
    reference : Annotation
        Must hold exactly one segment beside neutral ones.
    hypothesis : Annotation
        Must not overlap itself.
    duration : float
        Seconds.
    codes : EmotionCodes
        The names of the labels.

    Examples
    --------
    >>> from pyannote.core import Segment
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> speechbrain_eder(reference, hypothesis, duration=5.0, codes=EmotionCodes())
    0.4
    """
    said = _with_letters(reference, duration, codes)
    heard = _with_letters(hypothesis, duration, codes)
    if said is None or heard is None or not duration:
        return None
    if sum(letter != NEUTRAL[0] for _, _, letter in said) != 1:
        return None
    agreeing = 0.0
    for start, end, letter in said:
        for other_start, other_end, other_letter in heard:
            if letter == other_letter:
                agreeing += max(0.0, min(end, other_end) - max(start, other_start))
    return 1 - agreeing / duration


def _with_letters(
    annotation: Annotation, duration: float, codes: EmotionCodes
) -> list[tuple[float, float, str]] | None:
    """Segments with the first letter of their emotion, gaps filled; None where they overlap."""
    filled: list[tuple[float, float, str]] = []
    reached = 0.0
    for segment, _, label in annotation.itertracks(yield_label=True):
        code = codes[label]
        if code < 0:
            continue
        if segment.start < reached:
            return None
        if segment.start > reached:
            filled.append((reached, segment.start, NEUTRAL[0]))
        filled.append((segment.start, segment.end, codes.names[code][0]))
        reached = segment.end
    if reached < duration:
        filled.append((reached, duration, NEUTRAL[0]))
    return filled
