"""The page holds everything, loads nothing, and text stays text. `tests/e2e/test_eval_page.py` drives it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lumen.evaluation.page import page_of
from lumen.evaluation.pairs import Problem
from lumen.evaluation.previews import Previews
from lumen.evaluation.report import PictureScores
from lumen.pages.album import Album
from tests.support.pages import Elements
from tests.support.scores import report_of, scored

NAME = "<script>alert('x')</script> & \"co\"\n"


@pytest.fixture
def page() -> str:
    pictures = (picture("b", 61.0), picture(NAME, 12.5), picture("c", math.inf))
    report = report_of(*pictures, problems=(Problem(name=NAME, reason=NAME),), protocol=f"one; {NAME}")
    previews = Previews()
    previews.album.begin(3)
    pixels = np.zeros((20, 30, 3), np.uint8)
    previews.add(pictures[1], {"input": pixels, "output": pixels}, pixels)
    return page_of(report, previews.album)


def picture(name: str, psnr: float) -> PictureScores:
    scores = {"input": {"psnr": 7.0, "ssim": 0.2}, "output": {"psnr": psnr, "ssim": 0.8}}
    return scored(name, reference={"brightness": 0.5}, **scores)


def sorted_columns(page: str) -> dict[int, str | None]:
    """Return the columns that the table says it is sorted by, and how."""
    table = page.partition('<table id="table">')[2].partition("</table>")[0]
    heads = enumerate(Elements(table).attributes("th"))
    return {column: attributes["aria-sort"] for column, attributes in heads if "aria-sort" in attributes}


def test_it_is_well_formed_and_text_is_no_markup(page: str) -> None:
    reader = Elements(page)
    assert reader.open == []
    assert len(reader.attributes("script")) == 3, "the two programs, and the pictures of one card"
    assert NAME.strip() not in page
    assert page.count("&lt;script&gt;") > 8


def test_it_asks_for_nothing_from_elsewhere(page: str) -> None:
    sources = [value for _, attrs in Elements(page).found for key, value in attrs.items() if key in ("src", "href")]
    assert all(value is not None and value.startswith(("#", "data:")) for value in sources)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_worst_comes_first_and_cards_without_previews_have_scores(page: str) -> None:
    cards = [attributes["data-name"] for attributes in Elements(page).attributes("article")]
    assert cards == [NAME.replace("\n", "\\n"), "b", "c"]
    assert page.count('class="stage"') == 1
    assert "The best 2 of 3 pictures have no preview" in page
    data = json.loads(re.findall(r'application/json">(.*?)</script>', page)[0])
    assert (data["left"], data["right"]) == ("input", "output")
    assert data["titles"] == {"input": "input", "output": "output", "reference": "reference", "error output": "error"}
    assert data["shots"].keys() == data["titles"].keys()


def test_warnings_and_problems_are_told(page: str) -> None:
    assert "These scores may be wrong" in page and "above 50 dB" in page
    assert "Not scored" in page


def test_the_best_of_several_methods_is_marked_but_not_of_one(page: str) -> None:
    assert 'class="best"' not in page
    scores = {name: {"psnr": psnr} for name, psnr in (("a", 20.0), ("b", 25.0), ("b gt_mean", 28.0))}
    report = report_of(scored("x", **scores))
    assert re.findall(r'<td class="best">([\d.]+)', page_of(report, Album())) == ["25.00"]


def test_a_report_of_nothing_is_a_page() -> None:
    empty = report_of(problems=(Problem(name="x", reason="why"),))
    reader = Elements(page_of(empty, Album()))
    assert reader.open == []
    assert reader.attributes("article") == []


def test_numbers_of_the_table_sort_as_they_are(page: str) -> None:
    cells = [attributes["data-v"] for attributes in Elements(page).attributes("td") if "data-v" in attributes]
    assert cells[2::4] == ["12.5", "61", "Infinity"]
    assert sorted_columns(page) == {3: "ascending"}, "the worst PSNR of the output is first"


def test_without_references_the_lead_is_niqe() -> None:
    page = page_of(report_of(scored("x", input={"niqe": 9.0}, output={"niqe": 4.0})), Album())
    assert re.search(r"output: <strong>4.00</strong> NIQE on average, the input has 9.00\.", page)
    assert "Error maps" not in page
    assert sorted_columns(page) == {2: "descending"}


def test_the_title_names_the_data_and_rows_the_model() -> None:
    report = replace(report_of(picture("a", 20.0)), data="<lol>/low against lol/high", method="lumen-s")
    page = page_of(report, Album())
    assert "<title>Scores of &lt;lol&gt;/low against lol/high</title>" in page
    assert "1 picture. lumen-s: <strong>20.00 dB</strong>" in page
    assert '<th scope="row">lumen-s</th>' in page and ">output<" not in page
