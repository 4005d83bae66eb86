from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lumen.errors import LockedError, OutputError
from lumen.files.lock import lock_folder


def test_one_at_a_time_and_free_again_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with lock_folder(folder), pytest.raises(LockedError, match="another lumen run works on"), lock_folder(folder):
        pass
    with lock_folder(folder):
        assert (folder / ".lumen" / "lock").exists()


def test_shards_share_a_folder_but_not_with_themselves_or_with_a_run_of_all(tmp_path: Path) -> None:
    with lock_folder(tmp_path, shard=(1, 3)), lock_folder(tmp_path, shard=(2, 3)):
        for shard in ((1, 3), (1, 1)):
            with pytest.raises(LockedError), lock_folder(tmp_path, shard=shard):
                pass
    with lock_folder(tmp_path), pytest.raises(LockedError), lock_folder(tmp_path, shard=(1, 3)):
        pass
    with lock_folder(tmp_path):
        pass


def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    held, release = threading.Event(), threading.Event()

    def other() -> None:
        with lock_folder(tmp_path):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(10)
    threading.Timer(0.1, release.set).start()
    with lock_folder(tmp_path, wait_s=10):
        assert release.is_set()
    thread.join()


def test_an_output_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to the folder"), lock_folder(tmp_path / "file" / "out"):
        pass
