"""Names of the columns of scores: the input, the methods, the reference, and variants of a method."""

from __future__ import annotations

from typing import Final

INPUT: Final = "input"
OUTPUT: Final = "output"  # the method, if there is only one
REFERENCE: Final = "reference"
GT_MEAN: Final = "gt_mean"
MATCHED: Final = "match_brightness"
AIM: Final = "aim"  # before the level
_TITLES: Final = {GT_MEAN: "GT-mean", MATCHED: "brightness matched"}


def variant(method: str, kind: str) -> str:
    """Return the column of a variant of a method: `gt_mean`, or `lumen-s gt_mean` if there are several methods."""
    return kind if method == OUTPUT else f"{method} {kind}"


def aim_column(method: str, level: float) -> str:
    """Return the column of a model that always aims at a level: `aim 0.43`, or `lumen-s aim 0.43`.

    It needs no reference, so it is a method of its own, and has variants.
    """
    return variant(method, f"{AIM} {level:g}")


def column_title(column: str, method: str = OUTPUT) -> str:
    """Return the name of a column for people; `method` is that of the only method, whose column is `output`.

    >>> column_title("output"), column_title("gt_mean", "lumen-s"), column_title("b gt_mean", "lumen-s")
    ('output', 'lumen-s GT-mean', 'b GT-mean')
    """
    if method != OUTPUT and (column == OUTPUT or column in _TITLES or column.startswith(f"{AIM} ")):
        column = method if column == OUTPUT else f"{method} {column}"
    before, _, kind = column.rpartition(" ")
    return f"{before} {_TITLES[kind]}".strip() if kind in _TITLES else column
