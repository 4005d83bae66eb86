"""The folder that plans are made in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.batches import touch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with pictures (by name only) in `in`."""
    monkeypatch.chdir(tmp_path)
    touch("in/a.jpg", "in/a.png", "in/B.JPG", "in/notes.txt", "in/.hidden.jpg", "in/sub/c.webp", "in/.git/d.jpg")
    return tmp_path
