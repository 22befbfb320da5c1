"""What a system must beat: saying nothing, and always saying the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyannote.core import Annotation, Segment

from sed.labels import NEUTRAL
from sed.scoring.atoms import Atoms
from sed.scoring.tracks import Pair


@dataclass(frozen=True)
class Baseline:
    """A hypothesis that is the same for every recording.

    Parameters
    ----------
    emotion : str or None
        What it says from start to end, None for nothing.
    atoms : Atoms
        The recordings with this hypothesis.
    """

    emotion: str | None
    atoms: Atoms

    @property
    def name(self) -> str:
        """``all neutral``, or for instance ``always happy``."""
        return f"all {NEUTRAL}" if self.emotion is None else f"always {self.emotion}"

    def apply(self, pair: Pair) -> Pair:
        """Both sides of a recording, the hypothesis being the baseline's."""
        hypothesis = Annotation(uri=pair.uri)
        if self.emotion is not None and pair.duration:
            hypothesis[Segment(0.0, pair.duration)] = self.emotion
        return replace(pair, hypothesis=hypothesis)


def baselines(atoms: Atoms) -> list[Baseline]:
    """The same recordings with the two trivial hypotheses.

    Returns
    -------
    list of Baseline
        The one without emotions, and the one that says whichever emotion lasts longest in the
        references, of equals the first by name. Without any emotion in the references there is
        only the former.

    Examples
    --------
    >>> from pyannote.core import Annotation, Segment
    >>> from sed.scoring import Pair, cut
    >>> reference = Annotation()
    >>> reference[Segment(1, 4)] = "happy"
    >>> trivial = baselines(cut([Pair(reference, Annotation(), duration=5.0)]))
    >>> [(same.name, same.atoms.errors()[0].eder) for same in trivial]
    [('all neutral', 0.6), ('always happy', 0.4)]
    """
    trivial = [Baseline(None, atoms.with_hypothesis(0))]
    time = {
        name: int((atoms.ticks * atoms.scored)[(atoms.reference >> bit & 1) == 1].sum())
        for bit, name in enumerate(atoms.emotions)
    }
    if any(time.values()):
        most = min(time, key=lambda name: (-time[name], name))
        bit = atoms.emotions.index(most)
        trivial.append(Baseline(most, atoms.with_hypothesis(1 << bit)))
    return trivial
