from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lumen.errors import LockedError, OutputError
from lumen.files.inputs import hold_folder
from lumen.files.lock import lock_folder, lock_in


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


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_is_a_plain_file_and_nothing_else_is_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".lumen" / "lock"
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to("../new")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OutputError, match=r"cannot write to the folder .*: it is a"), lock_folder(tmp_path):
        pass
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_held_is_locked_itself(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with hold_folder(tmp_path / "a") as held:
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        with lock_in(held), lock_folder(tmp_path / "a"), pytest.raises(LockedError), lock_folder(tmp_path / "b"):
            pass
