"""UEM: scored regions come back to the millisecond, malformed lines are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline
from strategies import URIS

from sed.formats import read_uem, write_uem

SPANS = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(2, 10**6)), min_size=1, max_size=5, unique=True
)


@given(st.dictionaries(URIS.filter(lambda uri: not uri.startswith(";;")), SPANS, max_size=3))
def test_regions_come_back(
    tmp_path_factory: pytest.TempPathFactory, regions: dict[str, list[tuple[int, int]]]
) -> None:
    timelines = [
        Timeline([Segment(s / 1000, (s + n) / 1000) for s, n in spans], uri=uri)
        for uri, spans in regions.items()
    ]
    path = tmp_path_factory.mktemp("uem") / "a.uem"
    write_uem(path, timelines)
    found = read_uem(path)
    assert [timeline.uri for timeline in found] == list(regions)
    assert found == timelines


def test_comments_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.uem"
    path.write_text(";; comment\n\ncall 1 0 2.5\n")
    assert read_uem(path) == [Timeline([Segment(0, 2.5)], uri="call")]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("call 1 0.5", "3 fields"),
        ("call 1 0.5 1.0 more", "5 fields"),
        ("call 1 zero 1.0", "onset is 'zero'"),
        ("call 1 0.5 nan", "offset nan"),
        ("call 1 -0.5 1.0", "onset -0.5 s is negative"),
        ("call 1 2.0 1.0", "duration -1 s"),
        ("call 1 1.0 1.0", "duration 0 s"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.uem"
    path.write_text(f"call 1 0 1\n{line}\n")
    with pytest.raises(ValueError, match=rf"bad\.uem, line 2: {complaint}"):
        read_uem(path)


def test_a_name_that_would_be_a_comment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="';;call' would be read as a comment"):
        write_uem(tmp_path / "a.uem", [Timeline([Segment(0, 1)], uri=";;call")])
    assert not list(tmp_path.iterdir())
