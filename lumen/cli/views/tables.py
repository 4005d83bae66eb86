"""Tables on stdout, drawn with rich: numbers are never cut in two, and what is too wide goes on below."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from lumen.cli.state import State
from lumen.cli.views.console import make_console
from lumen.text import printable

GAP = 2  # between two columns


def print_table(
    state: State, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, group: int = 1
) -> None:
    """Print a table on stdout, with the first `left` columns aligned left and the rest aligned right.

    On a terminal that is too narrow, headings wrap at their spaces, then the first columns, and columns that still do
    not fit go into a table of their own below, with the first columns once more; each `group` of columns stays
    together. Without a terminal no cell wraps. Headings that are all empty are left out.

    Raises:
        OutputError: The reader of stdout has gone.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = make_console(state)
    lines = [[printable(cell) for cell in row] for row in rows]
    headers = [printable(header) for header in columns]
    cells = [max((cell_len(line[index]) for line in lines), default=0) for index in range(len(headers))]
    whole = [max(width, cell_len(header)) for header, width in zip(headers, cells, strict=True)]
    least = [max(width, *map(cell_len, header.split(" "))) for header, width in zip(headers, cells, strict=True)]
    can_wrap = sys.stdout.isatty()
    if not can_wrap:
        console.width = max(console.width, _width(least))
    is_narrow = _width(whole) > console.width
    parts = _parts(least, left, group, console.width) if is_narrow and can_wrap else [range(len(headers))]
    for number, part in enumerate(parts):
        if number:
            console.print()
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headers))
        for index in part:
            is_given = is_narrow and (index >= left or not can_wrap)  # else rich shares out what is there
            table.add_column(
                Text(headers[index]),
                justify="left" if index < left else "right",
                overflow="fold",
                width=least[index] if is_given else None,
            )
        for line in lines:
            table.add_row(*(Text(line[index]) for index in part))
        for segments in console.render_lines(table, pad=False):
            row = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            row.rstrip()
            console.print(row)


def _width(columns: Sequence[int]) -> int:
    return sum(columns) + GAP * (len(columns) - 1)


def _parts(least: Sequence[int], left: int, group: int, width: int) -> Iterator[Sequence[int]]:
    """Yield the columns of each table: the first ones, which may wrap in half of the width, and what fits beside."""
    first = list(range(left))
    room = width - min(_width(least[:left]), width // 2)
    part: list[int] = []
    for start in range(left, len(least), group):
        more = list(range(start, min(start + group, len(least))))
        if part and sum(least[index] + GAP for index in part + more) > room:
            yield first + part
            part = []
        part += more
    if part or first:
        yield first + part
