"""The page holds everything, loads nothing, and text stays text. `tests/e2e/test_eval_page.py` drives it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lumen.evaluation import EvalReport, PictureScores, Score
from lumen.evaluation.pairs import Problem
from lumen.pages import Album
from lumen.pages.page import page_of
from lumen.pages.plots import strip_plot

NAME = "<script>alert('x')</script> & \"co\""


class Reader(HTMLParser):
    """Collects elements, and complains about those that are not closed."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def picture(name: str, psnr: float) -> PictureScores:
    scores = {"input": Score({"psnr": 7.0, "ssim": 0.2}), "output": Score({"psnr": psnr, "ssim": 0.8})}
    return PictureScores(name=name, width=30, height=20, scores=scores, reference=Score({"brightness": 0.5}))


@pytest.fixture
def page() -> str:
    pictures = (picture("b", 61.0), picture(NAME, 12.5), picture("c", float("inf")))
    report = EvalReport(pictures=pictures, problems=(Problem(name=NAME, reason=NAME),), protocol=f"one; {NAME}")
    album = Album()
    album.begin(3)
    pixels = np.zeros((20, 30, 3), np.uint8)
    album.add(pictures[1], {"input": pixels, "output": pixels}, pixels)
    return page_of(report, album)


def test_it_is_well_formed_and_text_is_no_markup(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert [tag for tag, _ in reader.found].count("script") == 2, "the program, and the pictures of one card"
    assert NAME not in page


def test_it_asks_for_nothing_from_elsewhere(page: str) -> None:
    sources = [value for _, attrs in Reader(page).found for key, value in attrs.items() if key in ("src", "href")]
    assert all(value is not None and value.startswith(("#", "data:")) for value in sources)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_worst_comes_first_and_cards_without_previews_have_scores(page: str) -> None:
    cards = [attrs["data-name"] for tag, attrs in Reader(page).found if tag == "article"]
    assert cards == [NAME, "b", "c"]
    assert page.count('class="stage"') == 1
    assert "2 of 3 pictures, the best, have no preview" in page
    data = json.loads(re.findall(r'application/json">(.*?)</script>', page)[0])
    assert (data["left"], data["right"]) == ("input", "output")
    assert data["titles"] == {"input": "input", "output": "output", "reference": "reference", "error output": "error"}
    assert data["shots"].keys() == data["titles"].keys()


def test_warnings_and_problems_are_told(page: str) -> None:
    assert "These scores may be wrong" in page and "above 50 dB" in page
    assert "Not scored" in page


def test_the_best_of_several_methods_is_marked_but_not_of_one(page: str) -> None:
    assert 'class="best"' not in page
    scores = {name: Score({"psnr": psnr}) for name, psnr in (("a", 20.0), ("b", 25.0), ("b gt_mean", 28.0))}
    report = EvalReport(
        pictures=(PictureScores(name="x", width=9, height=9, scores=scores),), problems=(), protocol="p"
    )
    assert re.findall(r'<td class="best">([\d.]+)', page_of(report, Album())) == ["25.00"]


def test_a_report_of_nothing_is_a_page() -> None:
    empty = EvalReport(pictures=(), problems=(Problem(name="x", reason="why"),), protocol="p")
    reader = Reader(page_of(empty, Album()))
    assert reader.open == []
    assert "article" not in [tag for tag, _ in reader.found]


def test_plots_have_a_dot_for_each_finite_value_inside_the_frame() -> None:
    svg = strip_plot({"a<b": [("x", 1.0), ("y", 3.5), ("z", float("inf"))], "c": [("x", 2.0)]}, 2, "label")
    places = [float(value) for value in re.findall(r'cx="([\d.-]+)%"', svg)]
    assert len(places) == 3
    assert min(places) >= 3 and max(places) <= 97
    assert places[0] < places[2] < places[1]
    assert "a&lt;b" in svg and "x: 1.00" in svg
    assert strip_plot({"a": [("x", float("inf"))]}, 2, "label") == ""
    assert "nan" not in strip_plot({"a": [("x", 0.0), ("y", 0.0)]}, 2, "label")
