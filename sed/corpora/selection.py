"""Which recordings of corpora are used: those of some speakers, or of a part of a split."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from sed.corpora.descriptor import Corpus
from sed.corpora.utterance import Utterance, relabelled


def select(
    corpora: Iterable[Corpus],
    data_folder: str | Path,
    *,
    classes: Collection[str],
    speakers: Collection[str] = (),
    manifests: Sequence[str | Path] = (),
    labels: Mapping[str, str] | None = None,
) -> list[Utterance]:
    """Recordings that carry one emotion from beginning to end.

    Parameters
    ----------
    corpora : iterable of Corpus
    data_folder : str or Path
        The folder that holds them.
    classes : collection of str
        The emotions.
    speakers, manifests
        See `of_speakers` and `of_manifests`; all where there are none.
    labels : mapping of str to str, optional
        What other emotions count as.

    Returns
    -------
    list of Utterance
        Ordered by corpus and name, wherever they lie.

    Raises
    ------
    ValueError
        If a corpus, a speaker or a recording of a manifest is not there.
    OSError
        If something cannot be read.
    """
    by_name = {
        (said.corpus, said.uri): said
        for corpus in corpora
        for said in corpus.utterances(corpus.find(data_folder))
    }
    found = [by_name[name] for name in sorted(by_name)]
    if manifests:
        found = of_manifests(found, manifests)
    if speakers:
        found = of_speakers(found, speakers)
    whole = [said for said in found if not said.turns]
    return [said for said in relabelled(whole, labels or {}) if said.emotion in classes]


def of_speakers(utterances: Iterable[Utterance], speakers: Iterable[str]) -> list[Utterance]:
    """Recordings of speakers.

    Parameters
    ----------
    utterances : iterable of Utterance
    speakers : iterable of str
        Names, or ``corpus:name`` where two corpora have the same.

    Raises
    ------
    ValueError
        If nobody has such a name; the message lists who there is.

    Examples
    --------
    >>> said = [
    ...     Utterance(f"{speaker}-{corpus}", Path(), speaker, corpus, "happy")
    ...     for corpus in ("one", "two") for speaker in ("a", "b")
    ... ]
    >>> [utterance.uri for utterance in of_speakers(said, ["a", "two:b"])]
    ['a-one', 'a-two', 'b-two']
    """
    utterances, wanted = list(utterances), set(speakers)
    there = {name for utterance in utterances for name in _names(utterance)}
    for name in sorted(wanted - there):
        known = ", ".join(sorted({utterance.speaker for utterance in utterances}))
        raise ValueError(f"no speaker {name!r} to choose; there are {known}")
    return [utterance for utterance in utterances if wanted & _names(utterance)]


def of_manifests(
    utterances: Iterable[Utterance], manifests: Sequence[str | Path]
) -> list[Utterance]:
    """Recordings that stand in manifests, such as ``train.json`` of `sed prepare`.

    Parameters
    ----------
    utterances : iterable of Utterance
    manifests : sequence of str or Path
        JSON with an entry for each recording, and its `corpus` in it.

    Raises
    ------
    ValueError
        If a manifest is malformed or lists what is not among the recordings.
    OSError
        If it cannot be read.
    """
    by_name = {(utterance.corpus, utterance.uri): utterance for utterance in utterances}
    chosen: dict[tuple[str, str], Utterance] = {}
    for path in manifests:
        for corpus, uri in _listed(Path(path)):
            if (corpus, uri) not in by_name:
                raise ValueError(
                    f"{path} lists {uri} of {corpus}, which is not among the recordings of the "
                    "corpora that are named; name that corpus too, or prepare the manifest again"
                )
            chosen[corpus, uri] = by_name[corpus, uri]
    return [utterance for name, utterance in by_name.items() if name in chosen]


def _names(utterance: Utterance) -> set[str]:
    return {utterance.speaker, f"{utterance.corpus}:{utterance.speaker}"}


def _listed(path: Path) -> list[tuple[str, str]]:
    """Corpus and name of each recording of a manifest.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [(str(item["corpus"]), str(uri)) for uri, item in content.items()]
    except (ValueError, AttributeError, KeyError, TypeError):
        raise ValueError(
            f"{path} is no manifest of recordings with their corpus; write one by sed prepare"
        ) from None
