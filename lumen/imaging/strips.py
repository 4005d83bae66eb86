"""Strips of rows, so that working memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Iterator


def strips(height: int, width: int, most: int = 1 << 19) -> Iterator[slice]:
    """Yield slices that cover all rows in order.

    Args:
        height: Rows of the picture.
        width: Pixels (or samples) per row.
        most: Largest number of them per strip; a strip has at least one row.

    >>> list(strips(5, 10, 25))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, most // max(1, width))
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))
