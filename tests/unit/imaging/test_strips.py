"""Strips together are the whole picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lumen.imaging.strips import strips


@given(st.integers(0, 200), st.integers(0, 50), st.integers(1, 300))
def test_every_row_stands_in_one_strip_of_bounded_size(height: int, width: int, most: int) -> None:
    found = list(strips(height, width, most))
    assert [row for rows in found for row in range(height)[rows]] == list(range(height))
    assert all((rows.stop - rows.start) * width <= max(most, width) for rows in found)
    assert all(rows.stop > rows.start for rows in found)
