"""What is at a path is told without raising."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lumen.files.paths import real_path


def test_a_link_that_is_exchanged_while_it_is_read_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "there").touch()
    place, real, faults = tmp_path.resolve(), os.path.realpath, [OSError(errno.EINVAL, "Invalid argument")] * 2

    def realpath(path: Path) -> str:
        if faults:
            raise faults.pop()
        return real(path)

    monkeypatch.setattr(os.path, "realpath", realpath)
    assert real_path(tmp_path / "link") == place / "there"
    faults += [OSError(errno.EINVAL, "Invalid argument")] * 100
    assert real_path(tmp_path / "link") == tmp_path / "link"
