"""Whose a file is, before it is written over."""

from __future__ import annotations

import os
from pathlib import Path

from lumen.files.marks import WITHIN, has_mark


def test_only_plain_files_with_the_mark_near_their_beginning_have_it(tmp_path: Path) -> None:
    file, late, pipe = tmp_path / "a", tmp_path / "late", tmp_path / "pipe"
    file.write_bytes(b"begins\nmark")
    late.write_bytes(b" " * WITHIN + b"mark")
    os.mkfifo(pipe)
    assert has_mark(file, b"mark")
    assert not any(has_mark(each, b"mark") for each in (late, pipe, tmp_path, tmp_path / "none"))
