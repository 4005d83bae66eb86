"""The state of a watcher, which its loop says or fails to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.watching.ledger.status import SILENT_S
from lumen.watching.monitoring.snapshot import Disk
from tests.support.ledger import NOW
from tests.support.monitoring import sign_of, snapshot_of


@pytest.mark.parametrize(
    ("said", "age", "state"),
    [
        ("watching", 1, "watching"),
        ("paused", SILENT_S, "paused"),
        ("watching", SILENT_S + 1, "silent"),
        ("stopped", 10 * SILENT_S, "stopped"),
    ],
)
def test_a_loop_that_stands_still_is_silent(said: str, age: float, state: str) -> None:
    assert snapshot_of(sign=sign_of(said, NOW - age)).state == state


def test_the_disk_of_a_folder_that_has_gone_is_unknown(tmp_path: Path) -> None:
    assert Disk.of(tmp_path / "none") is None
    found = Disk.of(tmp_path)
    assert found is not None and 0 <= found.free <= found.total
