"""The shell of all pages loads nothing, and what templates are given stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from lumen import __version__
from lumen.pages.page import _environment, render
from tests.support.pages import Elements

TEXT = "<script>alert('x')</script> & \"co\"\n"


def digest(text: str) -> str:
    """Return how a content policy names a style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def filled(template: str, **values: object) -> str:
    """Fill a template given as text."""
    return _environment().from_string(template).render(values)


def test_the_shell_is_whole_and_loads_nothing() -> None:
    page = render("pages/page.html", heading="Ten pictures")
    elements = Elements(page)
    assert page.startswith("<!DOCTYPE html>\n") and page.endswith("</html>\n")
    assert elements.open == []
    (policy,) = (each for each in elements.attributes("meta") if each.get("http-equiv") == "Content-Security-Policy")
    style = digest(files("lumen.pages").joinpath("page.css").read_text(encoding="utf-8"))
    assert policy["content"] == (
        f"default-src 'none'; img-src data:; style-src {style}; script-src 'none'; base-uri 'none'; form-action 'none'"
    )
    assert f"Made by lumen {__version__}." in page


@pytest.mark.parametrize("name", ["page.css", "slider.js", "table.js"])
def test_style_and_scripts_stand_in_it_as_they_are_and_the_policy_names_them(name: str) -> None:
    text = files("lumen.pages").joinpath(name).read_text(encoding="utf-8")
    page = render("pages/page.html", heading="x", scripts=["pages/slider.js", "pages/table.js"])
    assert f">{text}</" in page and digest(text) in page


@pytest.mark.parametrize("template", ["evaluation/page.html", "pages/page.html", "pages/album.html"])
def test_templates_hold_no_code_that_the_policy_forbids(template: str) -> None:
    text = files("lumen").joinpath(template).read_text(encoding="utf-8")
    assert re.findall(r"\s(on\w+|style)=", text) == []


def test_values_are_text_on_one_line() -> None:
    page = render("pages/page.html", heading=TEXT)
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;co&#34;\\n<") == 2
    assert Elements(page).attributes("script") == []


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="heading"):
        render("pages/page.html")


def test_data_of_a_card_is_no_markup_and_keeps_its_order() -> None:
    stage = {"shots": {"z": TEXT, "a": "data:,"}, "left": "z"}
    call = "{% call card(3, name, 30, 20, stage) %}<p>{{ name }}</p>{% endcall %}"
    card = filled('{% from "pages/album.html" import card %}' + call, name=TEXT, stage=stage)
    elements = Elements(card)
    assert elements.open == []
    assert [tag for tag, _ in elements.found] == ["article", "h3", "small", "p", "div", "script"]
    assert elements.attributes("article")[0]["data-name"] == TEXT.replace("\n", "\\n")
    found = json.loads(re.findall(r'json">(.*?)</script>', card)[0])
    assert found == stage and list(found["shots"]) == ["z", "a"]


def test_a_card_without_previews_has_no_stage() -> None:
    card = filled('{% from "pages/album.html" import card %}{% call card(0, "a", 3, 2, none) %}{% endcall %}')
    assert [tag for tag, _ in Elements(card).found] == ["article", "h3", "small"]


def test_a_table_sorts_by_exact_numbers() -> None:
    heads = [{"group": "<b>", "title": "PSNR", "better": "higher", "sorted": "ascending"}]
    rows = [(TEXT, [{"exact": "7.25", "text": "7"}]), ("b", [{"exact": "", "text": "–"}])]
    table = Elements(
        filled('{% from "pages/tables.html" import sortable %}{{ sortable(heads, rows) }}', heads=heads, rows=rows)
    )
    assert table.open == []
    assert [each["data-v"] for each in table.attributes("td")] == ["7.25", ""]
    assert [each.get("aria-sort") for each in table.attributes("th")] == [None, "ascending", None, None]
    assert [each["href"] for each in table.attributes("a")] == ["#p0", "#p1"]
