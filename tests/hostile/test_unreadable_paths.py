"""Paths that cannot be looked at, in every option that names one: a line and the documented code, never exit code 1.

`Path.is_file` and its like raise where a folder may not be entered, or a name is too long.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lumen.cli.main import main
from lumen.errors import Exit
from tests.support.commands import save

LONG = "a" * 5000

COMMANDS = {
    "enhance in -o out -m PATH": Exit.UNAVAILABLE,
    "enhance in -o out -m PATH.onnx": Exit.UNAVAILABLE,
    "enhance in -o PATH": Exit.OUTPUT,
    "enhance in/a.png -o - -m PATH": Exit.UNAVAILABLE,
    "eval in --gt in -m PATH.onnx": Exit.UNAVAILABLE,
    "eval in --gt in --as-is --report PATH.html": Exit.OUTPUT,
    "watch in PATH --oneshot": Exit.OUTPUT,
    "watch --status PATH": Exit.OUTPUT,
    "train --recipe PATH --data in --out run": Exit.USAGE,
    "train --data PATH --out run": Exit.SOME_FAILED,
    "train --synthetic PATH --out run": Exit.SOME_FAILED,
    "train --data in --out PATH": Exit.OUTPUT,
    "export-onnx PATH -o m.onnx": Exit.UNAVAILABLE,
    "export-onnx PATH -o m.onnx --architecture mirnet": Exit.UNAVAILABLE,
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_name_that_is_too_long_is_one_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if line.startswith(("train", "export-onnx")):
        pytest.importorskip("torch", reason="training and exporting need torch")
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in" / "a.png")
    assert main(line.replace("PATH", LONG).split()) == COMMANDS[line]
    said = capfd.readouterr().err
    assert "internal error" not in said and "Traceback" not in said


def test_pictures_that_may_not_be_looked_at_are_listed_by_eval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("low/a.png", "low/b.png", "high/a.png", "high/b.png"):
        save(tmp_path / name)
    real_stat, real_open = Path.stat, os.open

    def closed(path: Any) -> None:
        if str(path) == "low/a.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def look(path: Path, **options: Any) -> os.stat_result:
        closed(path)
        return real_stat(path, **options)

    def opened(path: Any, *arguments: Any, **options: Any) -> int:
        closed(path)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "stat", look)
    monkeypatch.setattr(os, "open", opened)
    assert main(["eval", "low", "--gt", "high", "--as-is"]) == Exit.SOME_FAILED
    assert "a: cannot read the file: Permission denied" in capfd.readouterr().err
