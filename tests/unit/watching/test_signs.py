"""Signs of life: how often, what they say, and when a watcher does not get further."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lumen.errors import OutputError
from lumen.watching.ledger.status import read_status
from lumen.watching.signs import MOST_FOLDERS, REPORT_S, SignsOfLife
from lumen.watching.watcher import SIGN_S
from tests.support.watching import Stage


class Signs:
    """A watcher with its signs, and a worker that tests move on."""

    def __init__(self, folder: Path, every_s: float = SIGN_S) -> None:
        self.stage = Stage(folder, settle_s=1.0)
        self.worker = SimpleNamespace(progress=(0,))
        self.signs = SignsOfLife(self.stage.context, self.stage.watcher, cast("Any", self.worker), every_s)

    def alive(self, seconds: float) -> list[bool]:
        """Let time pass in rounds of a second, and return what each sign said of progress."""
        before = len(self.stage.named("alive"))
        for _ in range(int(seconds)):
            self.stage.clock.now += 1
            self.signs.turn()
        return [facts["progress"] for facts in self.stage.named("alive")[before:]]


@pytest.mark.parametrize(("every_s", "count"), [(float("inf"), 3), (SIGN_S, 3), (2.0, 15)])
def test_signs_come_every_ten_seconds_or_as_often_as_asked(tmp_path: Path, every_s: float, count: int) -> None:
    signs = Signs(tmp_path, every_s)
    assert len(signs.alive(30)) == count
    status = read_status(signs.stage.out, signs.stage.clock.time())
    assert (status.state, status.facts["noted_at"]) == ("watching", pytest.approx(signs.stage.clock.time(), abs=SIGN_S))
    signs.stage.close()


def test_progress_is_work_that_gets_further_or_nothing_to_do(tmp_path: Path) -> None:
    signs = Signs(tmp_path)
    assert signs.alive(30) == [True] * 3
    signs.stage.write("a.jpg")
    (settled,) = signs.stage.take()
    signs.worker.progress = (1,)
    assert signs.alive(30) == [True, False, False]  # it stands still
    signs.worker.progress = (2,)
    assert signs.alive(20) == [True, False]
    signs.stage.watcher.pause("output", "the disk is full")
    assert signs.alive(20) == [True, True]  # a restart would not help
    signs.stage.watcher.resume("output")
    signs.stage.finish(settled)
    assert signs.alive(20) == [True, True]
    signs.stage.close()


def test_a_file_that_could_be_started_and_is_not_is_no_progress(tmp_path: Path) -> None:
    signs = Signs(tmp_path)
    signs.stage.write("a.jpg")
    signs.stage.room = 0
    signs.stage.take()
    assert signs.alive(20) == [True, False]
    assert [facts["waiting"] for facts in signs.stage.named("alive")] == [1, 1]
    signs.stage.close()


def test_a_ledger_that_cannot_be_read_ends_no_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = Signs(tmp_path)

    def away(*_: object, **__: object) -> None:
        raise OutputError("the disk is away")

    for name in ("next", "unfinished", "write_facts", "folders"):
        monkeypatch.setattr(signs.stage.ledger, name, away)
    signs.alive(REPORT_S + 20)
    assert signs.stage.named("folder") == []
    signs.stage.close()


def test_every_hour_the_folders_are_told(tmp_path: Path) -> None:
    signs = Signs(tmp_path)
    for index in range(MOST_FOLDERS + 5):
        signs.stage.write(f"cam{index:03}/a.jpg", mtime=float(index))
    assert len(signs.stage.done()) == MOST_FOLDERS + 5
    signs.alive(REPORT_S - 10)
    assert signs.stage.named("folder") == []
    signs.alive(20)
    told = signs.stage.named("folder")
    assert len(told) == MOST_FOLDERS
    assert [facts["path"] for facts in told] == sorted(facts["path"] for facts in told)
    assert told[0].items() >= {"done": 1, "failed": 0, "waiting": 0}.items()
    assert told[0]["last_arrival"].startswith("2001-09-09T")
    assert (told[0]["done_last_hour"], "delay_s" in told[0]) == (0, False)
    signs.stage.write("cam000/b.jpg")
    signs.stage.done()
    signs.signs.report()
    again = signs.stage.named("folder")[MOST_FOLDERS]
    assert (again["path"], again["done"], again["done_last_hour"]) == ("cam000", 2, 1)
    assert again["longest_delay_s"] == again["delay_s"] > 0
    signs.stage.close()
