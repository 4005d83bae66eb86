"""Observers are begun anew, given up for polling, and compared with what there is to watch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen.watching.observing import supervisor as module
from lumen.watching.observing.observer import LimitReachedError
from tests.support.watching import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, settle_s=1.0, rescan_s=30.0)
    yield stage
    stage.close()


def test_a_dead_observer_is_begun_anew_and_everything_looked_at(stage: Stage) -> None:
    stage.take(2.0)
    stage.observations[0].trouble = "a thread has ended"
    stage.write("unheard.jpg")
    assert stage.done(5.0) == ["unheard.jpg"]
    assert len(stage.observations) == 2
    assert stage.observations[0].stopped
    assert "a thread has ended" in stage.named("observer")[0]["message"]


def test_observers_that_die_again_and_again_are_begun_less_and_less_often(stage: Stage) -> None:
    stage.take(2.0)
    for _ in range(600):
        stage.observations[-1].trouble = "it is dead"
        stage.take(1.0)
    assert 10 < len(stage.observations) < 30
    assert len(stage.named("observer")) < 30


def test_a_limit_of_the_system_is_told_and_polling_takes_over(stage: Stage) -> None:
    stage.refuse.append(LimitReachedError("raise the limit with: sysctl"))
    stage.take(2.0)
    (backend,) = stage.named("backend")
    assert "raise the limit" in backend["message"] and backend["kind"] == "poll"
    assert [each.kind for each in stage.observations] == ["poll"]


def test_folders_passed_over_in_silence_are_found_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_watch_limit_reached", lambda _folder: True)
    stage.take(2.0)
    stage.observations[-1].blind = True
    stage.take(40.0)
    assert [each.kind for each in stage.observations] == ["native", "poll"]
    assert "max_user_watches" in stage.named("backend")[0]["message"]


def test_where_no_limit_is_reached_observers_are_begun_anew_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_watch_limit_reached", lambda _folder: False)
    stage.blind = True  # a file system that has other numbers for its folders
    stage.take(400.0)
    assert [each.kind for each in stage.observations] == ["native", "native"]


def test_folders_passed_over_another_time_are_found_out_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_watch_limit_reached", lambda _folder: False)
    stage.take(2.0)
    for count in (2, 3):
        stage.observations[-1].blind = True
        stage.take(200.0)
        assert [each.kind for each in stage.observations] == ["native"] * count


def test_an_observer_that_cannot_be_begun_leaves_the_scans(stage: Stage) -> None:
    stage.refuse += [RuntimeError("can't start new thread")] * 3
    stage.write("a.jpg")
    assert stage.done(10.0) == ["a.jpg"]
    assert "can't start new thread" in stage.named("observer")[0]["message"]
    stage.take(60.0)
    assert len(stage.observations) == 1


def test_network_mounts_are_polled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "silent_kind", lambda _folder: "cifs")
    stage.take(2.0)
    assert stage.observations[0].kind == "poll"
    assert "cifs" in stage.named("backend")[0]["message"]


def test_a_backend_that_is_asked_for_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "silent_kind", lambda _folder: "nfs")
    for backend, kind in (("poll", "poll"), ("inotify", "native")):
        stage = Stage(tmp_path, backend=backend)
        stage.take(2.0)
        stage.close()
        assert [each.kind for each in stage.observations] == [kind]


def test_polling_that_cannot_be_begun_either_leaves_the_scans(stage: Stage) -> None:
    stage.refuse += [LimitReachedError("too few watches"), RuntimeError("can't start new thread")]
    stage.write("a.jpg")
    assert stage.done(10.0) == ["a.jpg"]
    stage.take(60.0)
    assert [each.kind for each in stage.observations] == ["poll"]
