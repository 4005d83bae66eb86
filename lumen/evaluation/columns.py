"""Names of the columns of scores: the input, the methods, the reference, and variants of a method."""

from __future__ import annotations

from typing import Final

INPUT: Final = "input"
OUTPUT: Final = "output"  # the method, if there is only one
REFERENCE: Final = "reference"
GT_MEAN: Final = "gt_mean"
MATCHED: Final = "match_brightness"
_TITLES: Final = {GT_MEAN: "GT-mean", MATCHED: "brightness matched"}


def variant(method: str, kind: str) -> str:
    """Return the column of a variant of a method: `gt_mean`, or `lumen-s gt_mean` if there are several methods."""
    return kind if method == OUTPUT else f"{method} {kind}"


def column_title(column: str) -> str:
    """Return the name of a column for people.

    >>> column_title("output"), column_title("lumen-s gt_mean")
    ('output', 'lumen-s GT-mean')
    """
    method, _, kind = column.rpartition(" ")
    return f"{method} {_TITLES[kind]}".strip() if kind in _TITLES else column
