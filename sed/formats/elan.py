"""EAF, the XML of ELAN: emotions in one tier, confidences in a tier that depends on it.

::

    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>        milliseconds
    <TIER TIER_ID="emotion">
        <ALIGNABLE_ANNOTATION TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">  happy
    <TIER TIER_ID="confidence" PARENT_REF="emotion">
        <REF_ANNOTATION ANNOTATION_REF="a1">  0.81

A document type is refused: it is what entities are declared in, no EAF has one, and an entity can
make a small file a huge one or fetch another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from sed.formats.base import AnnotatedRecording, Format
from sed.formats.tiers import Cells, Interval, Tier, recording_of, tiers_of

_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"
_MIME = {".wav": "audio/x-wav", ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".mp4": "video/mp4"}
_ONE_TO_ONE = "Symbolic_Association"


def parse(
    text: str, source: str, mapping: Mapping[str, str] | None = None
) -> list[AnnotatedRecording]:
    """Recording of an EAF, named after its file; see `sed.formats.tiers.recording_of`.

    An annotation without times of its own has those of the annotation that it refers to.

    Examples
    --------
    >>> from pyannote.core import Annotation
    >>> [recording] = parse(encode(AnnotatedRecording(Annotation())), "folder/call.eaf")
    >>> recording.uri, recording.duration
    ('call', None)
    """
    root = _root(text, source)
    times = _Times(root, source)
    tiers = []
    for element in root.iterfind("TIER"):
        name = element.get("TIER_ID", "")
        intervals = []
        for annotation in _annotations(element):
            value = annotation.findtext("ANNOTATION_VALUE") or ""
            where = f"{source}, tier {name!r}, annotation {annotation.get('ANNOTATION_ID')!r}"
            if value.strip():
                onset, offset = times.of(annotation, where)
                intervals.append(Interval(where, onset, offset, value))
        tiers.append(Tier(name, intervals))
    return [recording_of(tiers, source, mapping, path=_media(root, source))]


def _root(text: str, source: str) -> ElementTree.Element:
    """Document of a text that cannot make the reader fetch or multiply anything."""
    declared = re.search("<!(DOCTYPE|ENTITY)", text)
    if declared:
        line = text.count("\n", 0, declared.start()) + 1
        raise ValueError(f"{source}, line {line}: {declared[0]} is refused; no ELAN file has one")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: a lone surrogate
        line = getattr(error, "position", (1, 0))[0]
        raise ValueError(f"{source}, line {line}: not XML ({error})") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise ValueError(f"{source}: {root.tag[:40]!r} is no ANNOTATION_DOCUMENT, as ELAN writes")
    header = root.find("HEADER")
    unit = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise ValueError(f"{source}: times in {unit!r}; save them in milliseconds")
    return root


def _annotations(tier: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Annotations of a tier, aligned to time or to another annotation."""
    for annotation in tier.iterfind("ANNOTATION"):
        yield from annotation


class _Times:
    """When annotations are, in seconds."""

    def __init__(self, root: ElementTree.Element, source: str) -> None:
        self._slots: dict[str | None, int] = {}
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
            name, value = slot.get("TIME_SLOT_ID"), slot.get("TIME_VALUE")
            if value is None:
                continue  # between its neighbours, which only ELAN knows
            if not (value.isdecimal() and len(value) < 13):
                raise ValueError(f"{source}, time slot {name!r}: {value[:40]!r} is no time in ms")
            self._slots[name] = int(value)
        self._annotations = {
            annotation.get("ANNOTATION_ID"): annotation
            for tier in root.iterfind("TIER")
            for annotation in _annotations(tier)
        }

    def of(self, annotation: ElementTree.Element, where: str) -> tuple[float, float]:
        """Onset and offset of an annotation.

        Raises
        ------
        ValueError
            If they are not in the file.
        """
        for _ in range(len(self._annotations) + 1):  # references may run in circles
            if annotation.tag == "ALIGNABLE_ANNOTATION":
                slots = annotation.get("TIME_SLOT_REF1"), annotation.get("TIME_SLOT_REF2")
                for slot in slots:
                    if slot not in self._slots:
                        raise ValueError(f"{where}: no time in the slot {slot!r}")
                return self._slots[slots[0]] / 1000, self._slots[slots[1]] / 1000
            reference = annotation.get("ANNOTATION_REF")
            if reference not in self._annotations:
                raise ValueError(f"{where}: refers to {reference!r}, which is no annotation")
            annotation = self._annotations[reference]
        raise ValueError(f"{where}: its references run in circles")


def _media(root: ElementTree.Element, source: str) -> Path | None:
    """The recording, by its place beside the file, or else as a whole path."""
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    if media is None:
        return None
    url = media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets of no address
        return None
    if parts.scheme not in ("", "file") or not parts.path:
        return None
    return Path(source).parent / unquote(parts.path)


@dataclass(frozen=True)
class _Slots:
    """Time slots of all annotations, numbered in order of time as ELAN wants them."""

    times: list[int]
    names: dict[tuple[str, int, bool], str]
    """By tier, position in it, and whether it is the end."""


def _slots(tiers: list[Cells]) -> _Slots:
    """Two slots for each annotation that is aligned to time."""
    ends = sorted(
        (time, tier.name, position, is_end)
        for tier in tiers
        if tier.parent is None
        for position, cell in enumerate(tier.cells)
        for is_end, time in enumerate(cell[:2])
    )
    names = {(name, i, bool(e)): f"ts{n}" for n, (_, name, i, e) in enumerate(ends, start=1)}
    return _Slots([time for time, *_ in ends], names)


def encode(recording: AnnotatedRecording) -> str:
    """A recording as an EAF; the same annotation is always the same file, so it bears no date.

    Onset and offset are rounded to milliseconds each, so segments that touch still touch.
    """
    tiers = tiers_of(recording.annotation, 1000)
    slots = _slots(tiers)
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": "1970-01-01T00:00:00+00:00",  # the schema demands one
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _SCHEMA,
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if recording.path is not None:
        url = recording.path.absolute().as_uri()
        mime = _MIME.get(recording.path.suffix.lower(), "unknown")
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=url, MIME_TYPE=mime)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    for index, time in enumerate(slots.times, start=1):
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{index}", TIME_VALUE=str(time))
    _add_tiers(root, tiers, slots)
    for kind, extra in (("emotion", {}), ("confidence", {"CONSTRAINTS": _ONE_TO_ONE})):
        attributes = {
            **extra,
            "GRAPHIC_REFERENCES": "false",
            "LINGUISTIC_TYPE_ID": kind,
            "TIME_ALIGNABLE": str(not extra).lower(),
        }
        ElementTree.SubElement(root, "LINGUISTIC_TYPE", attributes)
    description = "1-1 association with a parent annotation"
    ElementTree.SubElement(root, "CONSTRAINT", DESCRIPTION=description, STEREOTYPE=_ONE_TO_ONE)
    ElementTree.indent(root, "    ")
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_tiers(root: ElementTree.Element, tiers: list[Cells], slots: _Slots) -> None:
    """Tiers of emotions, each followed by that of its confidences."""
    number = 0
    emotions: dict[tuple[str | None, int], str] = {}  # by tier and onset
    for tier in tiers:
        attributes = {"LINGUISTIC_TYPE_REF": "emotion", "TIER_ID": tier.name}
        if tier.parent is not None:
            attributes.update(LINGUISTIC_TYPE_REF="confidence", PARENT_REF=tier.parent)
        element = ElementTree.SubElement(root, "TIER", attributes)
        for position, (onset, _, text) in enumerate(tier.cells):
            number += 1
            holder = ElementTree.SubElement(element, "ANNOTATION")
            if tier.parent is None:
                emotions[tier.name, onset] = f"a{number}"
                annotation = ElementTree.SubElement(
                    holder,
                    "ALIGNABLE_ANNOTATION",
                    ANNOTATION_ID=f"a{number}",
                    TIME_SLOT_REF1=slots.names[tier.name, position, False],
                    TIME_SLOT_REF2=slots.names[tier.name, position, True],
                )
            else:
                annotation = ElementTree.SubElement(
                    holder,
                    "REF_ANNOTATION",
                    ANNOTATION_ID=f"a{number}",
                    ANNOTATION_REF=emotions[tier.parent, onset],
                )
            ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = text


ELAN = Format(
    name="elan",
    suffixes=(".eaf",),
    description="EAF, the tiers of ELAN, to the millisecond",
    parse=parse,
    encode=encode,
    single=True,
)
