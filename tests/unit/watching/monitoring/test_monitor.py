"""The thread that shows a watcher: it goes on whatever happens, and never holds up the one that works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.errors import OutputError
from lumen.watching.monitoring import monitor as module
from lumen.watching.monitoring.monitor import Monitor
from tests.support.metrics_file import parsed, value_of
from tests.support.watching import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(module, "TURN_S", 0.01)
    monkeypatch.setattr(module, "SHARE", 0)
    monkeypatch.setattr(module, "CLOSE_S", 20.0)
    (tmp_path / "www").mkdir()
    stage = Stage(tmp_path, settle_s=1.0, page=tmp_path / "www/page.html", metrics=tmp_path / "www/lumen.prom")
    yield stage
    stage.close()


def wait(condition: Any) -> None:
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def test_both_are_written_from_the_start_to_the_end(stage: Stage, tmp_path: Path) -> None:
    page, metrics = tmp_path / "www/page.html", tmp_path / "www/lumen.prom"
    monitor = Monitor(stage.context, stage.watcher)
    monitor.start()
    wait(lambda: page.exists() and metrics.exists())
    assert ">Watching<" in page.read_text()
    stage.write("cam1/a.png")
    assert len(stage.done()) == 1
    monitor.turn()
    wait(lambda: value_of(parsed(metrics.read_text()), "lumen_files_total", "done") == 1)
    stage.watcher.pause("space", "the disk is too full")
    monitor.turn()
    wait(lambda: value_of(parsed(metrics.read_text()), "lumen_paused", "space") == 1)
    wait(lambda: "the disk is too full" in page.read_text())
    assert monitor.close()
    assert ">Stopped<" in page.read_text()
    assert value_of(parsed(metrics.read_text()), "lumen_running") == 0
    assert sorted(path.name for path in page.parent.iterdir()) == ["lumen.prom", "page.html"]


def test_a_watcher_without_either_has_no_thread(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    monitor = Monitor(stage.context, stage.watcher)
    monitor.start()
    assert not monitor.wants_frames
    assert not any(thread.name == "monitor" for thread in threading.enumerate())
    assert monitor.close()
    stage.close()


def test_what_cannot_be_made_is_told_once_and_the_other_file_goes_on(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = tmp_path / "www/lumen.prom"
    monitor = Monitor(stage.context, stage.watcher)

    def broken(_: object) -> str:
        raise ZeroDivisionError

    def told(name: str) -> list[dict[str, Any]]:
        monitor.turn()
        return stage.named(name)

    with monkeypatch.context() as patch:
        patch.setattr(module, "metrics_text", broken)
        monitor.start()
        wait(lambda: told("unshown"))
        wait((tmp_path / "www/page.html").exists)
        assert not metrics.exists()
    wait(lambda: told("shown"))
    assert monitor.close()
    (facts,) = stage.named("unshown")
    assert facts["path"] == str(metrics) and "ZeroDivisionError" in facts["reason"]
    assert metrics.exists()


def test_a_ledger_that_is_away_leaves_the_last_numbers(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write("a.png")
    stage.done()
    monitor = Monitor(stage.context, stage.watcher)
    monitor.start()
    metrics = tmp_path / "www/lumen.prom"
    wait(metrics.exists)

    def away(*_: object) -> None:
        raise OutputError("the disk is away")

    monkeypatch.setattr(module, "read_status", away)
    stage.watcher.pause("output", "the disk is away")
    monitor.turn()
    wait(lambda: value_of(parsed(metrics.read_text()), "lumen_paused", "output") == 1)
    assert value_of(parsed(metrics.read_text()), "lumen_files_total", "done") == 1
    wait(lambda: "The ledger cannot be read" in (tmp_path / "www/page.html").read_text())
    assert monitor.close()


def test_a_disk_that_hangs_holds_up_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    monkeypatch.setattr(module, "metrics_text", lambda _: hanging.wait(20) and "")
    monitor = Monitor(stage.context, stage.watcher)
    monitor.start()
    for _ in range(3):
        monitor.turn()
    assert not monitor.close()  # the process must not wait for it
    hanging.set()
    monitor._thread.join(20)
