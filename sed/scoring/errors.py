"""The parts of the emotion diarization error rate: exact, additive, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sed.frames import TICKS_PER_SECOND


@dataclass(frozen=True, kw_only=True)
class EmotionErrors:
    """``EDER = (false alarm + missed emotion + confusion + overlap) / total``.

    Every part is a number of ticks (microseconds), so sums are exact and come out the same in
    any order. Errors are added, never averaged; a mean over files is a mean of their `eder`.

    Parameters
    ----------
    false_alarm : int
        Ticks without an emotion in the reference and with one in the hypothesis.
    missed_emotion : int
        Ticks whose hypothesis lacks an emotion of the reference and claims no other.
    confusion : int
        Ticks whose hypothesis has emotions, none of them the reference's.
    overlap : int
        Ticks whose hypothesis has an emotion of the reference and another one beside it.
    correct : int
        Ticks on which both sides hold the same emotions, or none.
    total : int
        All scored ticks, the sum of the five.

    Raises
    ------
    ValueError
        If a part is no whole number, negative, or the parts do not sum to the total.

    References
    ----------
    Wang et al. 2023, Speech Emotion Diarization, equation 1 and figure 4.

    Examples
    --------
    >>> second = 1_000_000
    >>> call = EmotionErrors(false_alarm=second, missed_emotion=0, confusion=0, overlap=0,
    ...                      correct=3 * second, total=4 * second)
    >>> call.eder, (call + EmotionErrors.zero()) == call
    (0.25, True)
    """

    false_alarm: int
    missed_emotion: int
    confusion: int
    overlap: int
    correct: int
    total: int

    def __post_init__(self) -> None:
        """Refuse what cannot have been counted."""
        parts = (
            self.false_alarm,
            self.missed_emotion,
            self.confusion,
            self.overlap,
            self.correct,
            self.total,
        )
        if not all(type(part) is int for part in parts):
            raise ValueError(f"the parts of {self} must be whole ticks of type int")
        if min(parts) < 0:
            raise ValueError(f"the parts of {self} must not be negative")
        if sum(parts[:5]) != self.total:
            raise ValueError(f"the parts of {self} sum to {sum(parts[:5])}, not to the total")

    @classmethod
    def zero(cls) -> EmotionErrors:
        """Errors of nothing, where a sum starts."""
        return cls(false_alarm=0, missed_emotion=0, confusion=0, overlap=0, correct=0, total=0)

    def __add__(self, other: object) -> EmotionErrors:
        """Errors of two stretches of time together."""
        if not isinstance(other, EmotionErrors):
            return NotImplemented
        return EmotionErrors(
            false_alarm=self.false_alarm + other.false_alarm,
            missed_emotion=self.missed_emotion + other.missed_emotion,
            confusion=self.confusion + other.confusion,
            overlap=self.overlap + other.overlap,
            correct=self.correct + other.correct,
            total=self.total + other.total,
        )

    @property
    def errors(self) -> int:
        """Ticks that are wrong in any of the four ways."""
        return self.false_alarm + self.missed_emotion + self.confusion + self.overlap

    @property
    def eder(self) -> float:
        """Emotion diarization error rate, from 0 to 1; 0 where nothing was scored."""
        return self.errors / self.total if self.total else 0.0

    def __float__(self) -> float:
        """The rate, for whoever wants one number."""
        return self.eder

    def seconds(self) -> dict[str, float]:
        """Every part in seconds, by its name.

        Examples
        --------
        >>> EmotionErrors.zero().seconds()["total"]
        0.0
        """
        return {part.name: getattr(self, part.name) / TICKS_PER_SECOND for part in fields(self)}
