"""Balance: with whole copies, corpora come as near to the largest as they can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sed.corpora.balance import copies

COUNTS = st.dictionaries(st.text(max_size=5), st.integers(1, 50_000), min_size=1, max_size=8)


@given(counts=COUNTS)
def test_no_other_number_of_copies_is_nearer(counts: dict[str, int]) -> None:
    largest = max(counts.values())
    found = copies(counts)
    assert list(found) == list(counts)
    for name, count in counts.items():
        away = abs(found[name] * count - largest)
        assert found[name] >= 1
        assert all(away <= abs(other * count - largest) for other in (1, found[name] + 1))
        assert 2 / 3 * largest - 1e-6 <= found[name] * count <= 4 / 3 * largest + 1e-6
        assert count < largest or found[name] == 1


def test_nothing_to_balance() -> None:
    assert copies({}) == {}
    with pytest.raises(ValueError, match="empty has 0 recordings to copy; leave it out"):
        copies({"emodb": 339, "empty": 0})
