"""The emotion diarization error rate of one recording, and of many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyannote.core import Annotation, Segment, Timeline

from sed.scoring.atoms import cut
from sed.scoring.errors import EmotionErrors
from sed.scoring.tracks import Pair


def eder(
    reference: Annotation,
    hypothesis: Annotation,
    *,
    uem: Timeline | Segment | None = None,
    duration: float | None = None,
    collar: float = 0.0,
    labels: Mapping[str, str] | None = None,
) -> EmotionErrors:
    """``EDER = (false alarm + missed emotion + confusion + overlap) / duration``.

    Time is cut into atoms at every boundary of either side. With ``R`` the emotions of the
    reference in an atom and ``H`` those of the hypothesis, neutral left out of both, it counts as

    - correct where ``H = R``,
    - false alarm where ``R`` is empty and ``H`` is not,
    - missed emotion where ``H`` is a part of ``R``, or empty, and ``R`` has more,
    - confusion where both hold emotions, none of them in common,
    - overlap where they have one in common and ``H`` one that is not in ``R``.

    ::

        reference     |     happy     |      |  sad  |
        hypothesis        |   happy      |   | angry |  |
                              | sad |
                      |ME | ok|OL   |ok|FA|ok|  CF   |ok|

    Parameters
    ----------
    reference, hypothesis : Annotation
        Their labels are any spelling that `sed.labels.canonical` knows. Emotions may
        overlap on either side.
    uem : Timeline or Segment, optional
        Regions to score.
    duration : float, optional
        Seconds of the recording. Without it and `uem`, the extent of the emotions of both sides
        is scored.
    collar : float, optional
        Seconds on each side of a reference boundary that are not scored. (pyannote's `collar` is
        both sides together: 0.5 there is 0.25 here.)
    labels : mapping of str to str, optional
        Spellings of emotions beyond the built-in ones.

    Returns
    -------
    EmotionErrors
        Parts in ticks, the rate as `eder`.

    Raises
    ------
    ValueError
        If a label is unknown, a time is no number, or the collar negative.

    References
    ----------
    Wang et al. 2023, Speech Emotion Diarization, section 3.2; the case of a reference that
    overlaps is ours.

    Examples
    --------
    >>> reference, hypothesis = Annotation(), Annotation()
    >>> reference[Segment(1, 3)] = "happy"
    >>> hypothesis[Segment(2, 4)] = "happy"
    >>> errors = eder(reference, hypothesis, duration=5.0)
    >>> errors.eder, errors.missed_emotion, errors.false_alarm
    (0.4, 1000000, 1000000)
    """
    pair = Pair(reference, hypothesis, uem=uem, duration=duration)
    return eder_of_many([pair], collar=collar, labels=labels)[0]


def eder_of_many(
    pairs: Iterable[Pair], *, collar: float = 0.0, labels: Mapping[str, str] | None = None
) -> list[EmotionErrors]:
    """Errors of each of many recordings, several times faster than one by one.

    Parameters
    ----------
    pairs : iterable of Pair
        Consumed as a stream.
    collar, labels
        As in `eder`.

    Examples
    --------
    >>> reference = Annotation(uri="call")
    >>> reference[Segment(1, 3)] = "happy"
    >>> [errors.eder for errors in eder_of_many([Pair(reference, Annotation(), duration=8.0)])]
    [0.25]
    """
    return cut(pairs, collar=collar, labels=labels).errors()
