from __future__ import annotations

from pathlib import Path

import pytest

from lumen.errors import LockedError, OutputError
from lumen.locking import lock_folder


def test_one_at_a_time_and_free_again_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with lock_folder(folder), pytest.raises(LockedError, match="another lumen run works on"), lock_folder(folder):
        pass
    with lock_folder(folder):
        assert (folder / ".lumen" / "lock").exists()


def test_an_output_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to the output folder"), lock_folder(tmp_path / "file" / "out"):
        pass
