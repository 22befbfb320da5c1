"""Emotions: their names, the one that stands for none, and every spelling that means them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NEUTRAL = "neutral"
"""The absence of an emotion: no segment carries it unless asked for."""

EMOTIONS: Mapping[str, tuple[str, ...]] = {
    "amused": ("amusement",),
    "angry": ("anger", "ang", "a"),
    "anxious": ("anxiety",),
    "apologetic": (),
    "assertive": (),
    "bored": ("boredom",),
    "calm": ("calmness",),
    "concerned": (),
    "contemptuous": ("contempt",),
    "disgusted": ("disgust", "dis"),
    "encouraging": (),
    "excited": ("excitement", "exc"),
    "fearful": ("fear", "fea"),
    "frustrated": ("frustration", "fru"),
    "happy": ("happiness", "joy", "hap", "h"),
    NEUTRAL: ("null", "neu", "n"),
    "sad": ("sadness", "s"),
    "sleepy": ("sleepiness",),
    "surprised": ("surprise", "sur"),
}
"""Canonical names and their aliases; the single letters are those of ZED and SpeechBrain."""

_CANONICAL = {spelling: name for name, aliases in EMOTIONS.items() for spelling in (name, *aliases)}


def canonical(label: str, mapping: Mapping[str, str] | None = None) -> str:
    """Full name of an emotion.

    Parameters
    ----------
    label : str
        Any spelling, in any case.
    mapping : mapping of str to str, optional
        Further spellings, which win over the built-in ones. Their targets may be new emotions.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the label is unknown; the message lists the known ones.

    Examples
    --------
    >>> canonical("Happiness"), canonical("h"), canonical("joie", {"joie": "happy"})
    ('happy', 'happy', 'happy')
    """
    if mapping is not None and label in mapping:
        return mapping[label]
    try:
        return _CANONICAL[label.strip().lower()]
    except KeyError:
        known = ", ".join(EMOTIONS)
        raise ValueError(f"unknown emotion {label!r}; known are {known}") from None


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """Mapping from ``spelling=emotion`` pairs, as ``--labels`` takes them.

    Raises
    ------
    ValueError
        If a pair has no ``=`` or an empty side.

    Examples
    --------
    >>> parse_mapping(["joie=happy", "colère=angry"])
    {'joie': 'happy', 'colère': 'angry'}
    """
    mapping = {}
    for pair in pairs:
        spelling, equals, emotion = (part.strip() for part in pair.partition("="))
        if not (spelling and equals and emotion):
            raise ValueError(f"cannot map {pair!r}; write SPELLING=EMOTION, such as joie=happy")
        mapping[spelling] = _CANONICAL.get(emotion.lower(), emotion)
    return mapping


class Emotion(str):
    """A label that is its name and may know how sure the system was.

    It equals, hashes and prints as the plain name, so pyannote's types treat it as any label, and
    it keeps its confidence through their cropping and copying.

    Parameters
    ----------
    name : str
    confidence : float, optional
        Between 0 and 1; None where nothing is known.

    Examples
    --------
    >>> emotion = Emotion("happy", confidence=0.81)
    >>> emotion == "happy", emotion.confidence, Emotion("sad").confidence
    (True, 0.81, None)
    """

    confidence: float | None

    def __new__(cls, name: str, *, confidence: float | None = None) -> Emotion:
        """Make a label."""
        emotion = super().__new__(cls, name)
        emotion.confidence = confidence
        return emotion

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, float | None]]:
        """Arguments that a copy or an unpickled label is made with."""
        return (str(self),), {"confidence": self.confidence}


def confidence_of(label: str) -> float | None:
    """Confidence that a label carries, None for a plain string."""
    return label.confidence if isinstance(label, Emotion) else None


def spelling_in_rttm(name: str) -> str:
    """Name without the white space that would end an RTTM field.

    Examples
    --------
    >>> spelling_in_rttm("very happy")
    'very_happy'
    """
    return "_".join(name.split())
