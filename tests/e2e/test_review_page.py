"""The page of `lumen enhance --report` in Chromium, as a person uses it; skipped if it is not installed."""

from __future__ import annotations

import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run
from tests.support.browser import Browser, find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")

NASTY = "<script>alert(1)<.png"
NAMES = ("a.png", "b [1].png", "day/a.png", f"day/{NASTY}", 'it\'s "q" & co.png')
NOT_UTF_8 = os.fsdecode(b"caf\xe9.png")


def draw(folder: Path, names: tuple[str, ...]) -> None:
    y, x = np.mgrid[:60, :90]
    for index, name in enumerate(names):
        pixels = np.stack([x * (40 + 9 * index) // 90, y * 60 // 60, (x + y) % (50 + index)], axis=2).astype(np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, lumen_here: Run) -> Path:
    """A folder with pictures in `in`, one of them broken, their results in `out` by the bundled model, and the page."""
    folder = tmp_path_factory.mktemp("review")
    draw(folder / "in", (*NAMES, NOT_UTF_8))
    (folder / "in/broken.png").write_text("no picture")
    line = ("enhance", "in", "-r", "-o", "out", "--device", "cpu", "--strength", "90%")
    done = lumen_here(*line, "--report", "page.html", "--variants", cwd=folder)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1].endswith("the results are in out; the page is page.html")
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser, which downloads into `tmp_path`; any complaint of a page fails its test."""
    running.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    running.complaints.clear()
    yield running
    assert running.complaints == []
    running.run("localStorage.clear()")


CARDS = "[...document.querySelectorAll('.card h3')].map(e => e.firstChild.textContent)"
READY = "document.querySelectorAll('.card .stage input').length > 0"
FOCUSED = "document.activeElement.querySelector('h3')?.firstChild.textContent"
TAG = "document.querySelector('.card:focus .tag.r').textContent"
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Home": 36, "End": 35, "Enter": 13, "Escape": 27, " ": 32}


def open_page(browser: Browser, page: Path, width: int = 1440, *, dark: bool = False) -> None:
    browser.open(page, width=width, height=900, phone=width < 500, dark=dark)
    browser.wait_for(READY)


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.press(key, KEYS.get(key, ord(key.upper()[0])))


def go_to(browser: Browser, name: str) -> None:
    """Go to a picture by the keyboard alone."""
    press(browser, "ArrowRight", "Home")
    while (seen := browser.run(FOCUSED)) != name:
        press(browser, "ArrowRight")
        assert browser.run(FOCUSED) != seen, f"{name} was not met"


def downloaded(browser: Browser, path: Path) -> bytes:
    end = time.monotonic() + 20
    while not path.exists() or not path.stat().st_size:
        assert time.monotonic() < end, "nothing was downloaded"
        browser.run("0")
        time.sleep(0.05)
    return path.read_bytes()


def test_what_is_chosen_by_the_keyboard_is_made_and_nothing_else(
    browser: Browser, made: Path, tmp_path: Path, lumen_command: Run
) -> None:
    """Byte for byte what the same settings, written by hand, make."""
    open_page(browser, made / "page.html")
    go_to(browser, "day/a.png")
    press(browser, "+", "+")
    go_to(browser, f"day/{NASTY}")
    press(browser, "-", "]")
    go_to(browser, "caf\\udce9.png")
    press(browser, "+")
    assert browser.run("document.getElementById('chosen').textContent") == "3 pictures with new settings, 0 selected"
    press(browser, "d")
    settings = tomllib.loads(downloaded(browser, tmp_path / "chosen.toml").decode())
    assert settings == {
        "recursive": True,
        "device": "cpu",
        "strength": 0.9,
        "picture": [
            {"match": "/caf?.png", "ev": 0.5, "shadows": 1},
            {"match": f"/day/{NASTY}", "ev": -0.5, "shadows": 1.25},
            {"match": "/day/a.png", "ev": 1, "shadows": 1},
        ],
    }
    shutil.copytree(made / "in", tmp_path / "in")
    device = ("--device", "cpu", "--strength", "90%")
    lumen_command("enhance", "in", "-r", "-o", "out", *device, cwd=tmp_path)
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    line = ("enhance", "in", "-o", "out", "--settings", "chosen.toml", "--existing", "update")
    done = lumen_command(*line, cwd=tmp_path)
    assert done.stderr.splitlines()[-1].startswith("3 done, 3 skipped, 1 failed"), done.stderr
    by_hand = (("/day/a.png", "ev = 1"), (f"*{NASTY}", "ev = -0.5\nshadows = 1.25"), ("/caf?.png", "ev = 0.5"))
    text = "".join(f"[[picture]]\nmatch = '{match}'\n{options}\n" for match, options in by_hand)
    (tmp_path / "hand.toml").write_text(text)
    lumen_command("enhance", "in", "-r", "-o", "hand", *device, "--settings", "hand.toml", cwd=tmp_path)
    now = {path: path.read_bytes() for path in before}
    assert now == {
        out / path.relative_to(tmp_path / "hand"): path.read_bytes() for path in (tmp_path / "hand").rglob("*.png")
    }
    changed = {path for path, data in before.items() if now[path] != data}
    assert changed == {out / name for name in ("day/a.png", f"day/{NASTY}", NOT_UTF_8)}


def test_names_are_text(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html")
    assert sorted(browser.run(CARDS)) == sorted([*NAMES, "caf\\udce9.png"])
    assert (
        browser.run("document.querySelector('.failed').textContent.trim()")
        == "in/broken.png: it is not a picture, but text"
    )


def test_variants_and_steps_show_what_is_known_of_them(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html")
    go_to(browser, "a.png")
    assert browser.run(TAG) == "after"
    press(browser, "+")
    assert browser.run(TAG) == "about exposure +0.5"
    press(browser, "+")
    assert browser.run(TAG) == "exposure +1"
    press(browser, "+")
    assert browser.run(TAG) == "nearest preview: exposure +1"
    press(browser, "0", "]")
    assert browser.run(TAG) == "about shadows ×1.25"
    press(browser, "u", "u", "u")
    assert browser.run(TAG) == "exposure +1"
    browser.click(".card:focus .strip button:nth-child(5)")
    assert browser.run("document.querySelector('.card .tag.r').textContent") == "shadows ×0"


@pytest.mark.parametrize("width", [390, 1440])
def test_the_picture_that_has_the_focus_is_in_sight_however_fast_the_keys(
    browser: Browser, made: Path, width: int
) -> None:
    """A smooth scroll that is overtaken by the next key ends anywhere."""
    open_page(browser, made / "page.html", width)
    for keys in (("ArrowRight", "End", "Home"), ("End",), ("Home", "End", "Home", "ArrowDown")):
        press(browser, *keys)
        place = "(b => [b.top, innerHeight - b.bottom])(document.querySelector('.card:focus').getBoundingClientRect())"
        above, below = browser.run(place)
        assert above >= 0 or below >= 0, keys
        browser.run("new Promise(done => setTimeout(done, 300))")
        assert browser.run(place) == [above, below]


@pytest.mark.parametrize("width", [390, 1440])
def test_the_names_of_both_sides_do_not_overlap(browser: Browser, made: Path, width: int) -> None:
    open_page(browser, made / "page.html", width)
    go_to(browser, "a.png")
    press(browser, "+", "]")
    assert browser.run(TAG) == "nearest preview: about exposure +0.5"
    boxes = "['l', 'r'].map(side => document.querySelector(`.card:focus .tag.${side}`).getBoundingClientRect())"
    assert browser.run(f"(([l, r]) => l.right <= r.left)({boxes})")


def test_where_exposure_and_shadows_both_move_the_nearest_preview_is_shown(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html", 1440)
    go_to(browser, "a.png")
    pictures = "[...document.querySelectorAll('.card:focus .stage img')].filter(e => !e.hidden)"
    opacity = f"{pictures}.map(e => e.style.opacity).filter(Boolean)"
    for keys, what, weight in (
        (("+", "]"), "about exposure +0.5", ["0.5"]),
        (("]", "]"), "about shadows ×1.75", ["0.75"]),
        (("+", "]"), "exposure +1", []),
        (("+", "+"), "exposure +1", []),
    ):
        press(browser, *keys)
        assert (browser.run(TAG), browser.run(opacity)) == (f"nearest preview: {what}", weight)
    strip = "[...document.querySelectorAll('.card:focus .strip button')]"
    variant = f"{strip}.find(e => e.textContent === 'exposure +1').querySelector('img')"
    assert browser.run(f"{pictures}[0].src === {variant}.src") is True


def test_space_flips_and_choices_are_there_after_a_reload(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html")
    go_to(browser, "b [1].png")
    press(browser, " ")
    assert browser.run("document.querySelector('.card:focus .stage input').value") == "0"
    press(browser, " ", "s", "-")
    assert browser.run("document.querySelector('.card:focus .stage input').value") == "100"
    open_page(browser, made / "page.html")
    assert browser.run("document.getElementById('chosen').textContent") == "1 picture with new settings, 0 selected"
    browser.run("const s = document.getElementById('show'); s.value = 'stars'; s.dispatchEvent(new Event('input'))")
    assert browser.run(CARDS) == ["b [1].png"]
    assert browser.run("document.getElementById('count').textContent") == "1 of 6"


def test_settings_are_copied_to_selected_and_to_similar_pictures(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html")
    go_to(browser, "day/a.png")
    press(browser, "v")
    said = "document.getElementById('said').textContent"
    press(browser, "y")
    assert browser.run(said) == "No other picture is selected."
    go_to(browser, "a.png")
    press(browser, "+", "y")
    assert browser.run(said) == "exposure +0.5, shadows ×1 copied from a.png to 1 picture."
    press(browser, "m")
    assert "copied from a.png to " in browser.run(said)
    assert int(browser.run("document.getElementById('chosen').textContent").split()[0]) >= 2


def test_a_picture_is_shown_at_1_to_1_from_the_files(browser: Browser, made: Path) -> None:
    open_page(browser, made / "page.html")
    go_to(browser, f"day/{NASTY}")
    press(browser, "Enter")
    browser.wait_for("document.getElementById('zoom-what').textContent.includes('from the files')")
    facts = "[e.width, e.naturalWidth, e.src.endsWith('.png')]"
    shown = f"['before', 'after'].map(n => document.getElementById(`zoom-${{n}}`)).map(e => {facts})"
    assert browser.run(shown) == [[90, 90, True]] * 2
    press(browser, " ")
    assert browser.run("document.getElementById('zoom-after').hidden") is True
    assert browser.run("document.getElementById('zoom-tag').textContent") == "before"
    press(browser, "s")
    assert browser.run("document.getElementById('zoom-stars').getAttribute('aria-pressed')") == "true"
    press(browser, "n")
    title = "document.getElementById('zoom-title').textContent"
    assert browser.run(title) != f"day/{NASTY}"
    assert browser.run("document.getElementById('zoom-stars').getAttribute('aria-pressed')") == "false"
    browser.click("#zoom-back")
    assert browser.run(title) == f"day/{NASTY}"
    press(browser, "Escape")
    browser.wait_for("document.activeElement.matches('.card')")
    assert browser.run("document.querySelector('.card:focus .star').getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize("order", ["dark", "change", "least", "warnings", "seconds"])
def test_pictures_have_the_order_that_is_asked_for(browser: Browser, made: Path, order: str) -> None:
    open_page(browser, made / "page.html")
    browser.run(f"const s = document.getElementById('sort'); s.value = '{order}'; s.dispatchEvent(new Event('input'))")
    value = {"dark": "dark", "seconds": "seconds", "warnings": "warnings.length"}.get(order, "change")
    values = browser.run(f"[...document.querySelectorAll('.card')].map(card => card.picture.{value})")
    assert len(values) == 6
    assert values == sorted(values, reverse=order in ("change", "warnings", "seconds"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_with_histograms_and_clipping(browser: Browser, made: Path, width: int, dark: bool) -> None:
    open_page(browser, made / "page.html", width, dark=dark)
    press(browser, "h", "c")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('canvas').length") > 0
    assert "clip" in browser.run("getComputedStyle(document.querySelector('.stage img')).filter")
    if folder := os.environ.get("LUMEN_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"review-{width}-{'dark' if dark else 'light'}.png")


def test_a_folder_loads_previews_when_they_are_looked_at(browser: Browser, made: Path, lumen_here: Run) -> None:
    done = lumen_here("review", "out", "-o", "folder", cwd=made)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "the page is folder/index.html"
    open_page(browser, made / "folder/index.html")
    browser.wait_for("[...document.querySelectorAll('.stage img')].every(e => e.naturalWidth === 90)")
    press(browser, "h", "c")
    assert "data:" not in browser.run("document.querySelector('.stage img').src")


@pytest.mark.skipif("LUMEN_AXE" not in os.environ, reason="LUMEN_AXE names no axe.min.js of axe-core")
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_fault(browser: Browser, made: Path, width: int, dark: bool) -> None:
    open_page(browser, made / "page.html", width, dark=dark)
    for keys in ((), ("ArrowRight", "+", "s", "v", "h", "c"), ("Enter",), ("Escape", "?")):
        press(browser, *keys)
        assert browser.faults_of_access() == []
