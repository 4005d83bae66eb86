"""Plots as SVG: distributions as rows of dots with the quartiles and the median, and bars over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

from markupsafe import Markup, escape

from lumen.text import printable

ROW_PX: Final = 46
AXIS_PX: Final = 26
TICKS: Final = 5
TIME_PX: Final = 150
_GUTTER = 12.0  # percent, for the labels of the vertical axis
_SPREAD_PX = 11  # vertical scatter, so that dots do not hide each other
_GOLDEN = 0.618034


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One part of a time: a bar in front of a paler one that is at least as high; both from 0, and what they tell."""

    front: float
    back: float
    told: str


def strip_plot(rows: Mapping[str, Sequence[tuple[str, float]]], digits: int, label: str) -> Markup:
    """Return an SVG element that fills the width it is given; empty if there is no finite value.

    Args:
        rows: Name and value of each picture, by method; infinite values are left out.
        digits: Decimal places in the tooltip of a dot.
        label: What the plot shows, for screen readers.
    """
    finite = {method: [(name, v) for name, v in dots if math.isfinite(v)] for method, dots in rows.items()}
    values = [value for dots in finite.values() for _, value in dots]
    if not values:
        return Markup()
    ticks = round_ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    height = ROW_PX * len(finite) + AXIS_PX

    def at(value: float) -> str:
        return f"{3 + 94 * (value - low) / (high - low):.2f}%"

    parts = [f'<svg class="plot" role="img" aria-label="{_text(label)}" width="100%" height="{height}">']
    bottom = height - AXIS_PX
    parts += [
        f'<line class="grid" x1="{at(tick)}" x2="{at(tick)}" y1="0" y2="{bottom}"/>'
        f'<text class="tick" x="{at(tick)}" y="{height - 8}" text-anchor="middle">{_short(tick)}</text>'
        for tick in ticks
    ]
    for row, (method, dots) in enumerate(finite.items()):
        parts += _row(method, dots, row, digits, at)
    return Markup("".join([*parts, "</svg>"]))


def _row(
    method: str, dots: Sequence[tuple[str, float]], row: int, digits: int, at: Callable[[float], str]
) -> list[str]:
    """Return the marks of one method."""
    middle = ROW_PX * row + 28
    parts = [f'<g class="m{row % 6}"><text class="name" x="0" y="{middle - 16}">{_text(method)}</text>']
    if len(dots) > 1:
        first, _, third = quantiles([value for _, value in dots], n=4, method="inclusive")
        parts.append(f'<line class="box" x1="{at(first)}" x2="{at(third)}" y1="{middle}" y2="{middle}"/>')
    for index, (name, value) in enumerate(dots):
        shift = ((index * _GOLDEN) % 1 - 0.5) * _SPREAD_PX
        told = f"{_text(name)}: {value:z.{digits}f}"
        parts.append(f'<circle cx="{at(value)}" cy="{middle + shift:.1f}" r="3"><title>{told}</title></circle>')
    if dots:
        center = at(median(value for _, value in dots))
        parts.append(f'<line class="median" x1="{center}" x2="{center}" y1="{middle - 10}" y2="{middle + 10}"/>')
    return [*parts, "</g>"]


def time_plot(bars: Sequence[Bar], ticks: Mapping[float, str], times: Sequence[str], label: str) -> Markup:
    """Return an SVG element that fills the width it is given, with a bar for each part of a time.

    Args:
        bars: One for each part, oldest first.
        ticks: Labels of the vertical axis by their values, which ascend from 0; the last one is the top.
        times: Labels of the horizontal axis, at equal distances from the beginning to the end.
        label: What the plot shows, for screen readers.
    """
    top, room = max(ticks), 100 - _GUTTER
    width = room / len(bars)

    def y(value: float) -> float:
        return TIME_PX - (TIME_PX - 18) * min(value, top) / top

    parts = [f'<svg class="plot" role="img" aria-label="{_text(label)}" width="100%" height="{TIME_PX + AXIS_PX}">']
    parts += [f'<line class="grid" x1="0" x2="100%" y1="{y(value):.1f}" y2="{y(value):.1f}"/>' for value in ticks]
    for number, bar in enumerate(bars):
        if bar.back > 0:
            parts.append(f"<g><title>{_text(bar.told)}</title>")
            for name, value in (("back", bar.back), ("front", bar.front)):
                place = f'x="{_GUTTER + number * width:.2f}%" width="{width * 0.85:.2f}%" y="{y(value):.1f}"'
                parts.append(f'<rect class="{name}" {place} height="{TIME_PX - y(value):.1f}"/>')
            parts.append("</g>")
    for value, text in ticks.items():
        parts.append(f'<text class="tick" x="0" y="{y(value) - 4:.1f}">{_text(text)}</text>' if value else "")
    for number, text in enumerate(times):
        share = number / (len(times) - 1)
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        place = f'x="{_GUTTER + room * share:.1f}%" y="{TIME_PX + AXIS_PX - 8}" text-anchor="{anchor}"'
        parts.append(f'<text class="tick" {place}>{_text(text)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def round_ticks(low: float, high: float) -> list[float]:
    """Return a few round numbers that span a range."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / TICKS))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _short(value: float) -> str:
    return f"{value:.10g}" if abs(value) > 1e-12 else "0"


def _text(text: str) -> str:
    return escape(printable(text))
