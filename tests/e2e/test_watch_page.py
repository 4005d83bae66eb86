"""`lumen watch --page` and `--metrics` as users run them: restarts, kills, full disks, and the page in Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.browser import Browser, find_chromium
from tests.support.commands import command, run, save, start
from tests.support.metrics_file import parsed, value_of

QUICK = ("--settle", "100ms", "--min-free", "0", "--retries", "1")
NOT_UTF_8 = os.fsdecode(b"caf\xe9")
NASTY = '<script>document.title="hacked"<'
NAMES = (f"{NOT_UTF_8}/a.png", f'{NASTY}/it\'s "q".png', "yard/a.png", "yard/b.png", "c.png")


def watch(models: Path, *arguments: object) -> list[str]:
    files = ("--page", "www/page.html", "--metrics", "www/lumen.prom")
    return command("watch", "in", "out", *files, *QUICK, "-m", models / "fast.onnx", *arguments)


@pytest.fixture
def cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of some cameras in `in`, one of them broken, and an empty folder `www`; the current folder is around."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        save(tmp_path / "in" / name)
    (tmp_path / "in/yard/broken.png").write_text("no picture")
    (tmp_path / "www").mkdir()
    return tmp_path / "in"


def counted() -> dict[str, int]:
    """Return the versions in the ledger by status, counted one by one."""
    with closing(sqlite3.connect("out/.lumen/watch.db")) as database:
        return dict(database.execute("SELECT status, COUNT(*) FROM versions GROUP BY status"))


def metrics() -> dict[str, float]:
    """Return what the metrics say of files that ended, and of the histogram."""
    found = parsed(Path("www/lumen.prom").read_text())
    ends = {status: value_of(found, "lumen_files_total", status) for status in ("done", "failed", "unsupported")}
    return ends | {"delays": value_of(found, "lumen_delay_seconds_bucket", "+Inf")}


def wait(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_metrics_agree_with_the_ledger_after_each_start_and_after_a_kill(cameras: Path, models: Path) -> None:
    assert run(watch(models, "--oneshot"))[0] == 3
    assert counted() == {"done": 5, "unsupported": 1}
    assert metrics() == {"done": 5, "failed": 0, "unsupported": 1, "delays": 5}
    save(cameras / "yard/new.png")
    with start(watch(models)) as process:
        wait(lambda: counted().get("done") == 6, process)
        process.kill()
    page, numbers = Path("www/page.html").read_text(), metrics()  # both whole: of before, or of now
    assert page.rstrip().endswith("</html>") and numbers["done"] in (5, 6)
    assert run(watch(models, "--oneshot"))[0] == 0
    assert metrics() == {"done": 6, "failed": 0, "unsupported": 1, "delays": 6}
    assert sorted(path.name for path in Path("www").iterdir()) == ["lumen.prom", "page.html"]
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["in", "out", "www"]


@pytest.mark.usefixtures("cameras")
def test_a_place_that_would_be_watched_or_is_something_else_is_refused(models: Path) -> None:
    line = command("watch", "in", "out", "--oneshot", "-m", models / "fast.onnx", *QUICK)
    code, _, err = run([*line, "--page", "in/page.html"])
    assert (code, err.count("\n")) == (2, 1) and "outside of the watched folder" in err
    Path("mine.html").write_text("mine")
    code, _, err = run([*line, "--page", "mine.html"])
    assert code == 2 and "something else" in err
    assert Path("mine.html").read_text() == "mine" and not Path("out").exists()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_below_the_page_stops_no_picture(cameras: Path, models: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "www"], check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        Path("www/full").write_bytes(bytes(60 << 10))
        code, _, err = run(watch(models, "--oneshot"))
        assert code == 3 and counted() == {"done": 5, "unsupported": 1}
        told = [line for line in err.splitlines() if " warning unshown " in line]
        assert len(told) == 2 and all("no space left" in line for line in told), err
        assert sorted(os.listdir("www")) == ["full"]  # noqa: PTH208
        Path("www/full").unlink()
        save(cameras / "new.png")
        assert run(watch(models, "--oneshot"))[0] == 0
        assert metrics()["done"] == 6
    finally:
        subprocess.run(["umount", "www"], check=True)


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; any complaint of a page fails its test."""
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
        assert browser.complaints == []


CARDS = "[...document.querySelectorAll('.stage')].map(e => e.dataset.name)"
STATE = "document.querySelector('#state strong').textContent"
READY = "document.querySelectorAll('.stage input').length > 0 && document.querySelector('.stage img').complete"
LATER = "Date.now = (now => () => now() + {} * 1000)(Date.now.bind(Date))"


@pytest.mark.usefixtures("cameras")
def test_the_page_shows_a_watcher_and_keeps_its_pictures(browser: Browser, models: Path) -> None:
    run(watch(models, "--oneshot"))
    shown = sorted(["caf\\udce9/a.png", NAMES[1], *NAMES[2:]])
    page = Path("www/page.html")
    for width, dark in ((1440, False), (390, True)):
        browser.open(page, width=width, phone=width < 500, dark=dark)
        browser.wait_for(READY)
        assert browser.run(STATE) == "Finished"
        assert sorted(browser.run(CARDS)) == shown
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("document.title") == "lumen watch: in"
        assert browser.run("document.querySelector('.errors b').textContent") == "yard/broken.png"
        sides = "[...document.querySelector('.stage').querySelectorAll('img')].map(e => e.naturalWidth)"
        assert browser.run(sides) == [60, 60]
    shutil.rmtree("in/yard")
    run(watch(models, "--oneshot"))  # there is nothing new: the pictures are those of before
    browser.open(page)
    browser.wait_for(READY)
    assert sorted(browser.run(CARDS)) == shown


@pytest.mark.usefixtures("cameras")
def test_a_page_loads_itself_again_where_it_was_and_warns_when_it_is_old(browser: Browser, models: Path) -> None:
    page = Path("www/page.html")
    with start(watch(models)) as process:
        wait(lambda: len(list(Path("out").rglob("*.png"))) == len(NAMES) and page.exists(), process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    page.write_text(page.read_text().replace(" data-stopped", ""))  # as if it had been killed
    browser.open(page, width=390, phone=True)
    browser.wait_for(READY)
    assert browser.run("document.getElementById('old').hidden")
    browser.run("document.querySelector('.stage input').value = 20")
    browser.run("document.querySelector('.stage input').dispatchEvent(new Event('input'))")
    browser.run("document.querySelector('.stage input').focus(); scrollTo({top: 700, behavior: 'instant'})")
    browser.run("window.isBefore = true")
    browser.run(LATER.format(30))
    browser.wait_for("!window.isBefore && document.readyState === 'complete'")
    browser.wait_for(READY)
    assert browser.run("[document.querySelector('.stage input').value, document.activeElement.id]") == ["20", "cut-0"]
    assert browser.run("Math.round(scrollY)") == 700
    browser.run("document.getElementById('refresh').click()")
    browser.run("window.isBefore = true")
    browser.run(LATER.format(400))
    browser.wait_for("!document.getElementById('old').hidden")
    assert browser.run("document.body.classList.contains('is-old') && window.isBefore")
    assert "was written 7 min ago" in browser.run("document.getElementById('old').textContent")


@pytest.mark.skipif("LUMEN_AXE" not in os.environ, reason="LUMEN_AXE names no axe.min.js of axe-core")
@pytest.mark.usefixtures("cameras")
def test_axe_finds_no_fault_on_a_page_of_now_and_on_an_old_one(browser: Browser, models: Path) -> None:
    run(watch(models, "--oneshot"))
    page = Path("www/page.html")
    page.write_text(page.read_text().replace(" data-stopped", ""))
    for width, dark in ((1440, False), (390, True)):
        browser.open(page, width=width, phone=width < 500, dark=dark)
        browser.wait_for(READY)
        browser.run("document.querySelector('#refresh[aria-pressed=true]')?.click()")  # once: the page remembers it
        assert browser.faults_of_access() == []
        browser.run(LATER.format(400))
        browser.wait_for("!document.getElementById('old').hidden")
        assert browser.faults_of_access() == []
