"""The service in one process, with a fake model: every kind of end, pauses, and what is told."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.config import EnhanceOptions, WatchOptions
from lumen.enhance.file_io import read_source
from lumen.errors import (
    ContractError,
    DiskFullError,
    Exit,
    ModelError,
    NotFiniteError,
    OutputError,
    UnavailableError,
    UsageError,
)
from lumen.files import atomic
from lumen.imaging.picture import Picture
from lumen.watching.events import Event
from lumen.watching.ledger.status import read_status
from lumen.watching.service import DRAIN_S, MOST_HANGING, Service
from tests.support.fakes import FakeModels

Fault = Callable[[np.ndarray[Any, Any]], None]


class Running:
    """A service in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.out = folder / "in", folder / "out"
        self.root.mkdir()
        self.events: list[Event] = []
        self.result: Exit | Exception | None = None

    def start(self, *, fault: Fault | None = None, enhance: EnhanceOptions | None = None, **options: Any) -> Service:
        quick: dict[str, Any] = {"settle_s": 0.05, "min_free_bytes": 0, "retries": 2, "rescan_s": 0.5}
        watching = WatchOptions(**({"output": self.out} | quick | options))
        models = [FakeModels(gain=2.0, fault=fault)]
        self.service = Service(self.root, models, enhance or EnhanceOptions(), watching, self.events.append)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self.service

    def _run(self) -> None:
        try:
            self.result = self.service.run()
        except Exception as error:  # noqa: BLE001
            self.result = error

    def picture(self, name: str, level: int = 10) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (level, level, level)).save(path)
        return path

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.events
            assert self.thread.is_alive() or condition(), self.result
            time.sleep(0.01)

    def wait_for(self, name: str, count: int = 1) -> None:
        self.wait(lambda: len(self.named(name)) >= count)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [dict(event.facts) for event in tuple(self.events) if event.name == name]

    def end(self) -> Exit | Exception | None:
        self.service.stop()
        self.thread.join(60)
        return self.result

    def counts(self) -> dict[str, int]:
        return {name: count for name, count in read_status(self.out, time.time()).counts.items() if count}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.end()


def test_every_kind_of_end_is_told_and_written_down(running: Running) -> None:
    for name in ("good.png", "d/good.jpg"):
        running.picture(name)
    (running.root / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (1, 2)]
    frames[0].save(running.root / "pages.tif", save_all=True, append_images=frames[1:])
    running.start(oneshot=True, incomplete_timeout_s=0.5)
    running.thread.join(60)
    assert running.result is Exit.SOME_FAILED
    assert running.counts() == {"done": 2, "failed": 1, "unsupported": 1}
    assert {event["path"] for event in running.named("done")} == {"good.png", "d/good.jpg"}
    assert [event["path"] for event in running.named("failed")] == ["bad.png"]
    assert "--frames first" in running.named("unsupported")[0]["reason"]
    assert read_status(running.out, time.time()).state == "stopped"
    assert running.events[0].name == "start" and running.events[-1].name == "stop"


@pytest.mark.parametrize(("files", "code"), [((), Exit.OK), (("a.png",), Exit.OK), (("bad.png",), Exit.ALL_FAILED)])
def test_oneshot_ends_with_the_code_of_a_batch(running: Running, files: tuple[str, ...], code: Exit) -> None:
    for name in files:
        running.picture(name)
        if name == "bad.png":
            (running.root / name).write_bytes(b"\x89PNG")
    running.start(oneshot=True, retries=1)
    running.thread.join(60)
    assert running.result is code


def test_faults_of_the_program_fail_the_file_after_the_last_attempt(running: Running) -> None:
    def fault(tiles: np.ndarray[Any, Any]) -> None:
        if (tiles == 77).any():
            raise RuntimeError("the model stumbled\nover this")

    running.picture("a.png", 77)
    running.start(fault=fault)
    running.wait_for("failed")
    running.picture("b.png")
    running.wait_for("done")
    assert running.end() is Exit.OK
    assert running.named("failed")[0]["reason"] == "internal error, RuntimeError: the model stumbled"
    assert len(running.named("retry")) == 1


def test_a_model_that_fails_with_one_file_lets_that_file_wait(running: Running) -> None:
    def fault(tiles: np.ndarray[Any, Any]) -> None:
        if (tiles == 77).any():
            raise ModelError("the graph failed")

    running.picture("a.png", 77)
    running.start(fault=fault)
    running.wait_for("deferred")
    running.picture("b.png")
    running.wait_for("done")
    assert running.end() is Exit.OK
    assert running.counts() == {"done": 1, "retry": 1}


@pytest.mark.parametrize("every", [False, True])
def test_a_result_that_is_no_number_is_the_fault_of_the_file_if_others_have_one(running: Running, every: bool) -> None:
    def fault(tiles: np.ndarray[Any, Any]) -> None:
        if every or (tiles == 77).any():
            raise NotFiniteError("NaN")

    running.picture("a.png", 77)
    running.start(fault=fault)
    if every:
        running.thread.join(60)
        assert isinstance(running.result, UnavailableError)
        assert running.counts() == {"ready": 1}
    else:
        running.wait_for("failed")
        assert running.end() is Exit.OK


def test_a_model_that_breaks_its_contract_once_ends_the_service_and_fails_none(running: Running) -> None:
    def fault(tiles: np.ndarray[Any, Any]) -> None:
        if (tiles == 77).any():
            raise ContractError("one channel")

    running.picture("a.png", 77)
    running.start(fault=fault)
    running.thread.join(60)
    assert isinstance(running.result, ContractError)
    assert running.counts() == {"ready": 1}


def test_a_model_that_fails_with_every_file_ends_the_service_and_fails_none(running: Running) -> None:
    def fault(_tiles: np.ndarray[Any, Any]) -> None:
        raise ModelError("the device was lost")

    for index in range(3):
        running.picture(f"{index}.png")
    running.start(fault=fault)
    running.thread.join(60)
    assert isinstance(running.result, UnavailableError)
    assert running.counts() == {"ready": 3}


def test_a_full_disk_pauses_and_nothing_is_done_twice(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    with monkeypatch.context() as patch:

        def full(path: Path, *_: Any, **__: Any) -> None:
            raise DiskFullError(f"no space left for {path.name}")

        patch.setattr("lumen.watching.results.write_atomically", full)
        running.start(fault=lambda tiles: runs.append(len(tiles)))
        for index in range(3):
            running.picture(f"{index}.png")
        running.wait_for("paused")
        time.sleep(1.5)
        assert not running.named("failed") and not running.named("done")
        assert read_status(running.out, time.time()).state == "paused"
        made = sum(runs)
    running.wait_for("done", 3)
    running.wait_for("resumed")
    assert sum(runs) >= made
    assert sum(runs) == 3
    assert running.end() is Exit.OK
    assert [event.name for event in running.events if event.level == "warning"] == ["paused", "resumed"]


def test_a_ledger_that_cannot_be_written_pauses_and_every_end_is_kept(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.start()
    running.picture("a.png")
    running.wait_for("done")
    with monkeypatch.context() as patch:

        def full(*_: Any, **__: Any) -> None:
            raise DiskFullError("no space left for the ledger")

        for name in ("finish", "write_facts", "touch"):
            patch.setattr(f"lumen.watching.ledger.ledger.Ledger.{name}", full)
        running.picture("b.png")
        running.wait_for("paused")
        assert (running.out / "b.png").exists()
    running.wait_for("done", 2)
    running.wait_for("resumed")
    assert running.end() is Exit.OK
    assert running.counts() == {"done": 2}


def test_a_place_that_cannot_be_written_does_not_stop_the_others(running: Running) -> None:
    running.out.mkdir()
    (running.out / "d").write_bytes(b"a file where a folder should be")
    running.picture("d/a.png")
    running.start()
    running.wait_for("deferred")
    running.picture("b.png")
    running.wait_for("done")
    assert not running.named("paused") and not running.named("failed")
    assert running.end() is Exit.OK
    assert running.counts() == {"done": 1, "retry": 1}


def test_a_name_the_disk_cannot_hold_fails_that_file(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def long(path: Path, *_: Any, **__: Any) -> None:
        raise atomic.output_error(path, OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)))

    monkeypatch.setattr("lumen.watching.results.write_atomically", long)
    running.picture("a.png")
    running.start()
    running.wait_for("failed")
    assert "shorter" in running.named("failed")[0]["reason"]
    assert running.end() is Exit.OK


def test_once_does_not_wait_for_space(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.output.HeldOutput.shortage", lambda _self: "1 MB are free")
    running.picture("a.png")
    running.start(oneshot=True)
    running.thread.join(60)
    assert isinstance(running.result, OutputError)
    assert not running.named("failed")


def test_too_little_space_pauses_before_anything_is_begun(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    shortage: list[str | None] = ["1 MB are free"]
    monkeypatch.setattr("lumen.watching.output.HeldOutput.shortage", lambda _self: shortage[0])
    monkeypatch.setattr("lumen.watching.endings.LOOK_S", 0.1)
    running.start()
    running.wait_for("paused")
    running.picture("a.png")
    time.sleep(0.5)
    assert not (running.out / "a.png").exists()
    shortage[0] = None
    running.wait_for("done")
    assert running.named("paused")[0]["reason"] == "1 MB are free"
    assert running.end() is Exit.OK


def test_the_output_folder_may_go_and_come_back(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.endings.LOOK_S", 0.1)
    running.start()
    running.picture("a.png")
    running.wait_for("done")
    away = running.out.with_name("away")
    running.out.rename(away)
    running.wait_for("paused")
    running.picture("b.png")
    time.sleep(0.3)
    away.rename(running.out)
    running.wait_for("done", 2)
    assert running.end() is Exit.OK
    assert running.counts() == {"done": 2}
    assert (running.out / "b.png").exists()


def test_done_inputs_are_removed_when_their_result_is_on_the_disk(running: Running) -> None:
    path = running.picture("a.png")
    running.start(on_success="delete")
    running.wait(lambda: not path.exists())
    assert (running.out / "a.png").exists()
    assert running.end() is Exit.OK


def test_inputs_go_to_the_folders_inside_the_watched_one_and_are_not_seen_again(running: Running) -> None:
    running.picture("a.png")
    (running.root / "bad.png").write_bytes(b"\x89PNG")
    done, bad = running.root / "done", running.root / "bad"
    running.start(on_success="move", archive=done, failed_dir=bad, retries=1)
    running.wait(lambda: (done / "a.png").exists() and (bad / "bad.png").exists())
    time.sleep(1.0)  # two scans
    assert running.end() is Exit.OK
    assert running.counts() == {"done": 1, "failed": 1}


def test_a_backlog_of_frames_shares_runs_of_the_model(running: Running) -> None:
    sizes: list[int] = []

    def slow(tiles: np.ndarray[Any, Any]) -> None:
        sizes.append(len(tiles))
        time.sleep(0.2)

    for index in range(12):
        running.picture(f"{index}.png", 10 * index)
    running.start(fault=slow)
    running.wait_for("done", 12)
    assert running.end() is Exit.OK
    assert max(sizes) > 1
    assert sum(sizes) == 12
    for index in range(12):
        with Image.open(running.out / f"{index}.png") as image:
            assert np.asarray(image)[0, 0, 0] == 20 * index


def test_results_can_be_stored_otherwise_and_never_overwrite_each_other(running: Running) -> None:
    running.picture("a.bmp")
    running.picture("a.jpg")
    running.start(format="png", suffix="-e")
    running.wait(lambda: running.named("done") and running.named("failed"))
    assert running.end() is Exit.OK
    assert [path.name for path in running.out.glob("a*")] == ["a-e.png"]
    assert "already" in running.named("failed")[0]["reason"]


def test_stopping_before_it_has_begun_is_heard(running: Running) -> None:
    running.picture("a.png")
    watching = WatchOptions(output=running.out, settle_s=0.05)
    service = Service(running.root, [FakeModels()], EnhanceOptions(), watching, running.events.append)
    service.stop()
    assert service.run() is Exit.OK
    running.service, running.thread = service, threading.Thread()
    running.thread.start()


def test_what_cannot_begin_is_told_before_anything_is_done(running: Running, tmp_path: Path) -> None:
    def service(output: Path, **arguments: Any) -> Service:
        enhance = EnhanceOptions(**arguments)
        return Service(running.root, [FakeModels()], enhance, WatchOptions(output=output), running.events.append)

    with pytest.raises(UsageError, match="elsewhere"):
        service(running.root)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        service(tmp_path / "file" / "out").run()
    with pytest.raises(UsageError, match="--max-memory"):
        service(running.out, max_memory_bytes=10).run()
    running.start()
    running.wait_for("start")
    with pytest.raises(OutputError, match="another lumen run"):
        service(running.out).run()


def test_a_file_that_may_not_be_read_yet_is_not_failed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.watcher.SHORTEST_DEFERRAL_S", 0.1)
    running.picture("a.png")
    with monkeypatch.context() as patch:

        def refuse(*_: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        patch.setattr("lumen.watching.versions.hashlib.file_digest", refuse)
        running.start(retries=1)
        running.wait_for("deferred")
    running.wait_for("done")
    assert running.end() is Exit.OK
    assert running.named("deferred")[0]["reason"] == "cannot read the file: Permission denied"
    assert running.counts() == {"done": 1}


def test_once_ends_without_what_has_no_place_and_says_so(running: Running) -> None:
    running.out.mkdir()
    (running.out / "d").write_bytes(b"a file where a folder should be")
    running.picture("d/a.png")
    running.picture("b.png")
    running.start(oneshot=True)
    running.thread.join(60)
    assert running.result is Exit.SOME_FAILED
    assert running.counts() == {"done": 1, "retry": 1}


def test_stopping_does_not_wait_for_who_locks_the_ledger(running: Running) -> None:
    running.start()
    running.picture("a.png")
    running.wait_for("done")
    with closing(sqlite3.connect(running.out / ".lumen" / "watch.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        running.picture("b.png")
        running.wait_for("paused")
        started = time.monotonic()
        assert running.end() is Exit.OK
        assert time.monotonic() - started < 20  # a service has 30
    assert not running.named("failed")


def test_two_pictures_of_one_result_are_a_failure_of_the_run(running: Running) -> None:
    running.picture("a.bmp")
    running.picture("a.jpg")
    running.start(format="png", oneshot=True, failed_dir=running.root / "bad")
    running.thread.join(60)
    assert running.result is Exit.SOME_FAILED
    out = str(running.out)
    assert running.named("stop") == [{"done": 1, "failed": 1, "unsupported": 0, "output": out}]
    assert len(list((running.root / "bad").iterdir())) == 1


def test_decoders_that_hang_fail_their_files_and_end_the_service_in_the_end(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        if path.name.startswith("stuck"):
            gate.wait(60)
        return read_source(path, *arguments, **more)

    monkeypatch.setattr("lumen.watching.worker.read_source", read)
    running.start(timeout_s=1.0)
    try:
        for index in range(MOST_HANGING):
            running.picture(f"good{index}.png")
            running.picture(f"stuck{index}.png")
        running.thread.join(60)
    finally:
        gate.set()
    assert isinstance(running.result, UnavailableError)
    assert running.service.hangs
    assert "no progress for 1 s" in running.named("failed")[0]["reason"]
    assert running.counts().pop("failed") == MOST_HANGING
    assert not running.named("retry")


def test_a_file_that_is_still_read_does_not_keep_the_service_from_ending(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, entered = threading.Event(), threading.Event()

    def read(*_: Any, **__: Any) -> Picture:
        entered.set()
        gate.wait(60)
        raise OSError("too late")

    monkeypatch.setattr("lumen.watching.worker.read_source", read)
    monkeypatch.setattr("lumen.watching.service.READ_S", 0.1)
    running.picture("a.png")
    running.start()
    running.wait(entered.is_set)
    began = time.monotonic()
    assert running.end() is Exit.OK
    assert time.monotonic() - began < DRAIN_S / 2
    gate.set()
    assert running.service.hangs
    assert running.counts() == {"ready": 1}


def test_an_output_that_others_can_replace_is_told(running: Running) -> None:
    running.root.chmod(0o777)
    running.start(oneshot=True, output=running.root / "out")
    running.thread.join(60)
    assert running.result is Exit.OK
    assert [event["path"] for event in running.named("exposed")] == [str(running.root / "out")]


def test_an_output_in_that_of_another_watcher_is_told(running: Running) -> None:
    outer = running.root.parent / "outer"
    (outer / ".lumen").mkdir(parents=True)
    (outer / ".lumen" / "watch.db").touch()
    running.start(oneshot=True, output=outer / "inner")
    running.thread.join(60)
    assert running.result is Exit.OK
    assert [event["path"] for event in running.named("nested")] == [str(outer)]


def test_signs_of_life_are_given_while_a_model_works(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.signs.SIGN_S", 0.05)
    given: list[int] = []

    def slow(_tiles: np.ndarray[Any, Any]) -> None:
        before = len(running.named("alive"))
        while len(running.named("alive")) < before + 5:
            time.sleep(0.01)
        given.append(len(running.named("alive")))

    running.picture("a.png")
    running.start(fault=slow)
    running.wait_for("done")
    signs = running.named("alive")[: given[0]]
    assert not all(facts["progress"] for facts in signs[-3:])  # the one window takes long
    assert signs[-1]["waiting"] == 1
    assert running.end() is Exit.OK
    assert [facts["path"] for facts in running.named("folder")] == ["."]


def test_other_settings_on_an_old_output_are_a_note(running: Running) -> None:
    running.picture("a.png")
    running.start(oneshot=True)
    running.thread.join(60)
    running.start(oneshot=True, enhance=EnhanceOptions(strength=0.5))
    running.thread.join(60)
    (note,) = running.named("note")
    assert note["changed"] == '{"strength": [1.0, 0.5]}'
    assert len(running.named("done")) == 1
