"""The page of `lumen eval --report F.html` in Chromium; skipped if it is not installed."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run
from tests.support.browser import Browser, find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")

NAMES = ("one", "two", "three", "ten", "dark night")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, fake_model: Path, lumen_here: Run) -> Path:
    """A page of five pictures; the third is the worst."""
    folder = tmp_path_factory.mktemp("page")
    y, x = np.mgrid[:120, :180]
    for index, name in enumerate(NAMES):
        dark = np.stack([x * 100 // 180 + index, y * 100 // 120, (x + y) % 100], axis=2).astype(np.uint8)
        truth = np.clip(dark.astype(int) * 2 + (40 if name == "three" else 3 + index), 0, 255).astype(np.uint8)
        for place, pixels in (("low", dark), ("high", truth)):
            (folder / place).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / place / f"{name}.png")
    done = lumen_here(
        "eval",
        "--gt",
        "high",
        "low",
        "-m",
        fake_model,
        "--device",
        "cpu",
        "--gt-mean",
        "--report",
        "page.html",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "page.html"


@pytest.fixture(scope="module")
def large(page: Path, fake_model: Path, lumen_here: Run) -> Path:
    """A page of the same pictures with so many methods that sides are chosen from lists, and tables are cut."""
    model = ("-m", fake_model, "--device", "cpu", "--baseline", "autocontrast,gamma")
    done = lumen_here("eval", "--gt", "high", "low", *model, "--report", "large.html", cwd=page.parent)
    assert done.returncode == 0, done.stderr
    return page.parent / "large.html"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser) -> Iterator[Browser]:
    """The browser; any complaint of a page fails its test."""
    running.complaints.clear()
    yield running
    assert running.complaints == []


def keep(browser: Browser, name: str) -> None:
    """Save a screenshot into the folder that LUMEN_SCREENSHOTS names."""
    if folder := os.environ.get("LUMEN_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"{name}.png")


CUT = "getComputedStyle(document.querySelector('.stage')).getPropertyValue('--cut').trim()"
ORDER = "[...document.querySelectorAll('#cards > article')].map(card => card.dataset.name)"
ROWS = "[...document.querySelectorAll('#table tbody th')].map(cell => cell.textContent)"
FILLED = "document.querySelector('.stage input') !== null && document.querySelector('.stage .top').complete"


def test_the_worst_is_first_and_its_pictures_are_shown(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run(ORDER)[0] == browser.run(ROWS)[0] == "three"
    assert browser.run("document.querySelectorAll('.plot circle').length") == 5 * 3 * 2 + 5 * 3 + 5 * (3 + 3 + 2)
    keep(browser, "desktop-top")
    browser.middle("#cards")
    browser.wait_for(FILLED)
    assert browser.run("[...document.querySelectorAll('#p0 .stage img')].every(image => image.naturalWidth === 180)")
    keep(browser, "desktop-cards")


def test_the_slider_follows_the_mouse_and_the_keys(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.middle(".stage")
    browser.wait_for(FILLED)
    assert browser.run(CUT) == "50%"
    x, y, width = browser.middle(".stage")
    browser.drag(x, y, x + width / 4)
    moved = int(browser.run(CUT).removesuffix("%"))
    assert 70 <= moved <= 80
    browser.press("ArrowLeft", 37)
    assert browser.run(CUT) == f"{moved - 1}%"
    browser.press("Home", 36)
    assert browser.run(CUT) == "0%"
    assert browser.run("document.querySelector('.stage .tag.l').hidden") is True
    assert browser.run("document.activeElement.getAttribute('aria-valuetext')") == "0 % input"


def test_sides_can_be_chosen_with_the_error_map(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.middle(".stage")
    browser.wait_for(FILLED)
    before = browser.run("document.querySelector('.stage img').src")
    browser.click("#p0 .sides fieldset:last-child label:last-child")
    assert browser.run("document.querySelector('.stage .tag.r').textContent") == "error"
    assert browser.run("document.querySelector('.stage img').src") != before
    label = browser.run("document.querySelector('.stage input').getAttribute('aria-label')")
    assert label == "three: input on the left, error on the right"
    keep(browser, "desktop-error")


def test_a_column_sorts_the_table_and_the_pictures(browser: Browser, page: Path) -> None:
    browser.open(page)
    first = browser.run(ROWS)
    browser.click("#table thead th:nth-child(1) button")
    assert browser.run(ROWS) == browser.run(ORDER) == sorted(NAMES)
    assert browser.run("document.querySelector('#table thead th').getAttribute('aria-sort')") == "ascending"
    column = "document.querySelector('#table thead th:nth-child(4)')"
    browser.click("#table thead th:nth-child(4) button")
    assert browser.run(f"{column}.textContent").split() == ["fake", "PSNR"]
    assert browser.run(ROWS) == browser.run(ORDER) == first
    browser.click("#table thead th:nth-child(4) button")
    assert browser.run(ROWS) == browser.run(ORDER) == first[::-1]
    values = browser.run("[...document.querySelectorAll('#table tbody td:nth-child(4)')].map(c => Number(c.dataset.v))")
    assert values == sorted(values, reverse=True)


def test_names_lead_to_their_pictures_and_can_be_searched(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("#table tbody tr:last-child a")
    browser.wait_for("document.activeElement.type === 'range'")
    last = browser.run(ROWS)[-1]
    assert browser.run("document.activeElement.closest('article').dataset.name") == last
    browser.click("#find")
    browser.type("NIGHT")
    assert browser.run("[...document.querySelectorAll('article:not([hidden])')].map(card => card.dataset.name)") == [
        "dark night"
    ]
    assert browser.run("document.getElementById('count').textContent") == "1 of 5"


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_swipes(browser: Browser, page: Path, dark: bool) -> None:
    browser.open(page, width=390, height=844, phone=True, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    keep(browser, f"phone-top-{'dark' if dark else 'light'}")
    x, y, width = browser.middle(".stage")
    browser.wait_for(FILLED)
    x, y, width = browser.middle(".stage")
    browser.swipe(x, y, x - width / 4)
    browser.wait_for(f"parseInt({CUT}) < 40")
    keep(browser, f"phone-cards-{'dark' if dark else 'light'}")


def contrast(browser: Browser, *kinds: str) -> float:
    """Return the least contrast of kinds of text, by their selectors, with what is behind them."""
    script = """(kinds) => {
        const light = (text) => {
          const part = text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255);
          const [r, g, b] = part.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (e) => {
          const color = getComputedStyle(e).backgroundColor;
          return color !== 'rgba(0, 0, 0, 0)' ? color : behind(e.parentElement);
        };
        return Math.min(...kinds.map((kind) => {
          const e = document.querySelector(kind);
          const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
          return (a + 0.05) / (b + 0.05);
        }));
    }"""
    return float(browser.run(f"({script})({json.dumps(kinds)})"))


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser: Browser, page: Path, dark: bool) -> None:
    """4.5 to 1 between each kind of text and what is behind it, as WCAG AA asks for."""
    browser.open(page, dark=dark)
    browser.middle("#cards")
    browser.wait_for(FILLED)
    kinds = (
        "h1",
        ".lead",
        ".hint",
        "td",
        "small",
        "thead th",
        "th[aria-sort] button",
        ".tall tbody a",
        ".sides legend",
    )
    more = (".sides label", ".sides label:has(:checked)", "footer", "figcaption")
    assert contrast(browser, *kinds, *more) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_lists_of_many_sides_are_labelled_in_plain_sight(browser: Browser, large: Path, dark: bool) -> None:
    browser.open(large, dark=dark)
    browser.middle("#cards")
    browser.wait_for(FILLED)
    assert browser.run("document.querySelectorAll('#p0 .sides.many label').length") == 2
    assert contrast(browser, ".sides.many label", ".sides.many select") >= 4.5
    keep(browser, f"many-sides-{'dark' if dark else 'light'}")


def test_the_title_names_the_data(browser: Browser, large: Path) -> None:
    browser.open(large)
    assert browser.run("document.title").endswith("/low against " + large.parent.name + "/high")
    assert browser.run("document.querySelector('.summary tbody tr:nth-child(2) th').textContent") == "fake"


def test_cut_columns_have_an_edge_on_a_phone(browser: Browser, large: Path) -> None:
    browser.open(large, width=390, height=844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    cut = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert browser.run(f"{cut}.length") >= 3, "the tables of the summary and of all pictures"
    assert browser.run(f"{cut}.every(e => getComputedStyle(e).backgroundAttachment.includes('scroll'))")
    outside = "[...document.querySelectorAll('.card')].filter(e => e.scrollWidth > e.clientWidth)"
    assert browser.run(f"{outside}.length") == 0
    keep(browser, "phone-cut-columns")


def test_all_pictures_are_printed(browser: Browser, large: Path) -> None:
    """Without having been scrolled to, and two of each beside each other."""
    browser.open(large)
    assert browser.run("document.querySelectorAll('.stage img').length") < 2 * len(NAMES)
    paper = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert paper.count(b"/Subtype /Image") >= 2 * len(NAMES)
    assert browser.run("document.querySelectorAll('.stage img').length") == 2 * len(NAMES)


@pytest.mark.skipif("LUMEN_AXE" not in os.environ, reason="LUMEN_AXE names no axe.min.js of axe-core")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_fault(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, phone=width < 500, dark=dark)
    browser.middle(".stage")
    browser.wait_for(FILLED)
    assert browser.faults_of_access() == []
