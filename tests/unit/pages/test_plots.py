"""Plots show every finite value, inside the frame."""

from __future__ import annotations

import re

import pytest

from lumen.pages.plots import TIME_PX, Bar, strip_plot, time_plot


def test_plots_have_a_dot_for_each_finite_value_inside_the_frame() -> None:
    svg = strip_plot({"a<b": [("x", 1.0), ("y", 3.5), ("z", float("inf"))], "c": [("x", 2.0)]}, 2, "label")
    places = [float(value) for value in re.findall(r'cx="([\d.-]+)%"', svg)]
    assert len(places) == 3
    assert min(places) >= 3 and max(places) <= 97
    assert places[0] < places[2] < places[1]
    assert "a&lt;b" in svg and "x: 1.00" in svg
    assert strip_plot({"a": [("x", float("inf"))]}, 2, "label") == ""
    assert "nan" not in strip_plot({"a": [("x", 0.0), ("y", 0.0)]}, 2, "label")


def test_names_and_labels_are_text() -> None:
    svg = strip_plot({"a\nb": [("<i>", 1.0)]}, 2, '"label"')
    assert "&lt;i&gt;: 1.00" in svg and "<i>" not in svg
    assert "a\\nb" in svg and "\n" not in svg
    assert 'aria-label="&#34;label&#34;"' in svg


BARS = [
    Bar(front=1.0, back=3.0, told="00:00 <b>"),
    Bar(front=0.0, back=0.0, told="nothing"),
    Bar(front=5, back=5, told=""),
]


def test_bars_over_time_stand_on_the_axis_in_their_order() -> None:
    svg = time_plot(BARS, {0: "", 2: "2", 4: "4"}, ("a day ago", "now"), 'in "all"')
    rects = re.findall(r'<rect class="(\w+)" x="([\d.]+)%" width="([\d.]+)%" y="([\d.]+)" height="([\d.]+)"/>', svg)
    places = [(name, float(x)) for name, x, *_ in rects]
    assert places == [("back", 12), ("front", 12), ("back", 70.67), ("front", 70.67)]
    assert {round(float(y) + float(height)) for *_, y, height in rects} == {TIME_PX}
    heights = [float(height) for *_, height in rects]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.1)
    assert heights[2] == pytest.approx(4 * heights[1], abs=0.2)  # no bar leaves the frame
    assert max(float(x) + float(width) for _, x, width, *_ in rects) <= 100
    assert "00:00 &lt;b&gt;" in svg and "nothing" not in svg and 'aria-label="in &#34;all&#34;"' in svg
    assert re.findall(r'class="tick" [^>]*>([^<]+)<', svg) == ["2", "4", "a day ago", "now"]
    assert "style" not in svg  # which the policy of pages forbids
