"""Pictures worked through a few rows at a time, so that memory does not grow with their size."""

from __future__ import annotations

from collections.abc import Iterator


def strips(height: int, width: int, most: int = 1 << 19) -> Iterator[slice]:
    """Yield slices of rows that together are all rows.

    Args:
        height: Rows of the picture.
        width: Pixels of a row, or samples.
        most: How many of them a strip may have; one row is the least.

    >>> list(strips(5, 10, 25))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, most // max(1, width))
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))
