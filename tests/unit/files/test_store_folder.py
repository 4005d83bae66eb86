from __future__ import annotations

import pytest

from lumen.files import store_folder
from lumen.files.inputs import hold_folder
from lumen.files.state import state_in
from lumen.files.store_folder import StoreFolder
from lumen.files.store_path import StorePath
from tests.support.stores import MemoryFiles

ROOT = StorePath("s3:", "bucket", "out")


@pytest.mark.usefixtures("memory_store")
def test_a_prefix_is_held_as_a_folder_is() -> None:
    with hold_folder(ROOT, make=True) as folder, state_in(folder) as state, state.inner("runs", make=True) as runs:
        assert isinstance(runs, StoreFolder) and runs.names() == []
        with runs.create("a.jsonl") as stream:
            stream.write(b"line\n")
        assert runs.names() == ["a.jsonl"] and runs.facts("a.jsonl").st_size == 5
        with runs.open("a.jsonl").stream as stream:
            assert stream.read() == b"line\n"
        runs.unlink("a.jsonl")
        assert runs.names() == []


def test_what_grows_is_written_now_and_then(memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StoreFolder(ROOT).create("a")
    stream.write(b"1")
    stream.flush()
    assert not memory_store.objects
    monkeypatch.setattr(store_folder, "WRITE_EVERY_S", 0.0)
    stream.flush()
    assert memory_store.objects == {"bucket/out/a": b"1"}
    stream.write(b"2")
    stream.close()
    stream.close()
    assert memory_store.objects == {"bucket/out/a": b"12"} and memory_store.requests["pipe_file"] == 2


def test_what_cannot_be_written_is_an_error_and_closed(memory_store: MemoryFiles) -> None:
    stream = StoreFolder(ROOT).create("a")
    memory_store.faults = [PermissionError("no")]
    with pytest.raises(PermissionError):
        stream.close()
    assert stream.closed
