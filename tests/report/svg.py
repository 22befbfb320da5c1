"""What a picture shows, read back from its SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from sed.report.picture import LEFT, RIGHT, WIDTH

_POINTS = 72.0  # in an inch
_SVG, _HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


def texts(svg: str) -> list[str]:
    """All that is written."""
    return [
        "".join(element.itertext()).strip()
        for element in ElementTree.fromstring(svg.encode()).iter(_SVG + "text")
    ]


def boxes(svg: str, fill: str, view: tuple[float, float]) -> list[tuple[float, float]]:
    """Times between which shapes of a colour stand in the lanes, a hundredth of a second exact."""
    found = []
    shapes: dict[str, str] = {}
    cut = False  # whether the group is cut where its lane ends, which the legend's is not
    for element in ElementTree.fromstring(svg.encode()).iter():
        name = element.tag.removeprefix(_SVG)
        if name == "path" and "id" in element.keys():
            shapes["#" + element.get("id", "")] = element.get("d", "")
        if name == "g":
            cut = "clip-path" in element.keys()
        if f"fill: {fill.lower()}" not in element.get("style", ""):
            continue
        if name == "use" and cut:  # a shape that stands alone is defined first
            found.append(_times(shapes[element.get(_HREF, "")], view))
        elif name == "path" and "clip-path" in element.keys():
            found.append(_times(element.get("d", ""), view))
    return found


def _times(shape: str, view: tuple[float, float]) -> tuple[float, float]:
    """Where a shape begins and ends on the time axis."""
    xs = [float(x) for x in re.findall(r"[ML] (\S+) \S+", shape)]
    left, right = LEFT * _POINTS, (WIDTH - RIGHT) * _POINTS
    scale = (view[1] - view[0]) / (right - left)
    start, end = (round(view[0] + (x - left) * scale, 2) for x in (min(xs), max(xs)))
    return start, end
