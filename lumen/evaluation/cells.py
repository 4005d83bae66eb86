"""Cells of CSV files that hold text: a spreadsheet would compute those that look like formulas."""

from __future__ import annotations

_FORMULA = tuple("=+-@\t\r\n")
_MARK = "'"


def as_text(name: str) -> str:
    """Return a name as a cell that spreadsheets show as it is.

    >>> as_text("=1+1"), as_text("a=b")
    ("'=1+1", 'a=b')
    """
    return _MARK + name if name.startswith(_FORMULA) else name


def name_in(cell: str) -> str:
    """Return the name that `as_text` has made a cell of."""
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_FORMULA) else cell
