"""Plots show every finite value, inside the frame."""

from __future__ import annotations

import re

from lumen.pages.plots import strip_plot


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
