"""What is at a path is told without raising."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lumen.files.paths import real_path, real_paths


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


def test_many_links_lead_where_each_leads(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.jpg").touch()
    links = {
        "plain": "a/b.jpg",
        "whole": str(tmp_path / "a/b.jpg"),
        "again": "plain",
        "around": "here/../a/b.jpg",
        "here": ".",
        "through": "here/here/again",
        "folder": "a/",
        "up": "a/..",
        "lost": "nowhere/c.jpg",
        "self": "self",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    real = real_paths()
    for name in [*links, "a/b.jpg", "a", "nothing", *links]:
        assert real(tmp_path / name) == real_path(tmp_path / name), name
