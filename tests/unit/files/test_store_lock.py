from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from lumen.errors import LockedError, OutputError
from lumen.files import store_lock
from lumen.files.store_lock import lock_prefix
from lumen.files.store_path import StorePath
from tests.support.stores import MemoryFiles

ROOT = StorePath("s3:", "bucket", "out")
LOCK = "bucket/out/.lumen/lock"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lock, "BEAT_S", 0.01)
    monkeypatch.setattr(store_lock, "LEASE_S", 0.1)
    monkeypatch.setattr(store_lock, "POLL_S", 0.005)


def hold(store: MemoryFiles, key: str = LOCK, **facts: Any) -> None:
    store.objects[key] = json.dumps({"token": "other", "machine": "another", "pid": 1, "beat": 0, **facts}).encode()


def test_a_lock_is_there_for_the_length_of_the_block(memory_store: MemoryFiles) -> None:
    with lock_prefix(ROOT):
        assert LOCK in memory_store.objects
    assert LOCK not in memory_store.objects


def test_it_is_written_anew_while_it_is_held(memory_store: MemoryFiles) -> None:
    def beats() -> int:
        return int(json.loads(memory_store.objects[LOCK])["beat"])

    with lock_prefix(ROOT):
        came = threading.Event()
        for _ in range(500):
            if beats() >= 2:
                break
            came.wait(0.01)
        assert beats() >= 2


def test_a_holder_that_lives_keeps_others_out(memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lock, "_is_dead", lambda _: False)
    with lock_prefix(ROOT):
        token = json.loads(memory_store.objects[LOCK])["token"]
        with pytest.raises(LockedError, match="another lumen run works on s3://bucket/out"), lock_prefix(ROOT):
            pass
        assert json.loads(memory_store.objects[LOCK])["token"] == token


def test_a_holder_that_is_silent_is_taken_for_dead(memory_store: MemoryFiles) -> None:
    hold(memory_store)
    with lock_prefix(ROOT):
        assert json.loads(memory_store.objects[LOCK])["token"] != "other"


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"not JSON"])
def test_a_damaged_lock_is_taken_over(memory_store: MemoryFiles, data: bytes) -> None:
    memory_store.objects[LOCK] = data
    with lock_prefix(ROOT):
        assert memory_store.objects[LOCK] != data


def test_a_process_of_this_machine_that_was_killed_is_noticed_at_once(
    memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lock, "LEASE_S", 1e9)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        hold(memory_store, machine=store_lock._machine(), pid=pid)
        with lock_prefix(ROOT):
            pass


def test_different_shards_work_side_by_side_but_not_beside_a_whole_run(
    memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lock, "_is_dead", lambda _: False)
    with ExitStack() as stack:
        for index in (1, 2):
            stack.enter_context(lock_prefix(ROOT, shard=(index, 2)))
        for shard in ((1, 1), (2, 2)):
            with pytest.raises(LockedError), lock_prefix(ROOT, shard=shard):
                pass
    with lock_prefix(ROOT), pytest.raises(LockedError), lock_prefix(ROOT, shard=(1, 2)):
        pass
    assert not memory_store.objects


def test_an_answer_that_was_lost_is_no_other_run(memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    put = memory_store.pipe_file
    answers = [ConnectionResetError("reset"), None]

    def lost(*arguments: Any, **options: Any) -> None:
        put(*arguments, **options)
        if answers and (fault := answers.pop(0)) is not None:
            raise fault

    monkeypatch.setattr(memory_store, "pipe_file", lost)
    with lock_prefix(ROOT):
        assert LOCK in memory_store.objects


def test_a_store_that_does_not_look_at_conditions_is_named(
    memory_store: MemoryFiles, caplog: pytest.LogCaptureFixture
) -> None:
    memory_store.conditions = False
    with caplog.at_level(logging.WARNING), lock_prefix(ROOT):
        pass
    assert "without conditional writes" in caplog.text


def test_a_store_that_refuses_conditions_is_named(
    memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put = memory_store.pipe_file

    def refuses(key: str, data: bytes, *, mode: str, **_: Any) -> None:
        if mode == "create":
            raise NotImplementedError("A header you provided implies functionality that is not implemented")
        put(key, data, mode=mode)

    monkeypatch.setattr(memory_store, "pipe_file", refuses)
    with caplog.at_level(logging.WARNING), lock_prefix(ROOT):
        assert LOCK in memory_store.objects
    assert "without conditional writes" in caplog.text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(PermissionError("Forbidden"), "access is refused"), (FileNotFoundError("no bucket"), "no such bucket")],
)
def test_what_cannot_be_written_is_an_error_of_the_output(
    memory_store: MemoryFiles, fault: Exception, reason: str
) -> None:
    memory_store.faults = [fault]
    with pytest.raises(OutputError, match=f"cannot write to s3://bucket/out: .*{reason}"), lock_prefix(ROOT):
        pass
    assert not memory_store.objects


def test_a_lock_that_another_run_took_over_is_left_to_it(
    memory_store: MemoryFiles, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), lock_prefix(ROOT):
        hold(memory_store)
        for _ in range(500):
            if "taken s3://bucket/out over" in caplog.text:
                break
            threading.Event().wait(0.01)
    assert json.loads(memory_store.objects[LOCK])["token"] == "other"
    assert "taken s3://bucket/out over" in caplog.text
