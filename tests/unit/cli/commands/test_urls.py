"""What a store cannot do is refused by name, before anything is asked or imported for it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from lumen.cli.main import main
from lumen.errors import Exit


@pytest.fixture
def folders_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in", "low", "high", "pairs"):
        Path(name).mkdir()
    Path("a.jpg").touch()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("watch s3://bucket/in out", "a store tells of no changes"),
        ("watch in s3://bucket/out", "a store tells of no changes"),
        ("watch in out --failed-dir s3://bucket/x", "expected a path on a disk"),
        pytest.param(
            "train --data s3://bucket/pairs -o run",
            "expected a folder on a disk",
            marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),
        ),
        ("train --data pairs -o s3://bucket/run", "expected a path on a disk"),
        ("eval low --gt high --save s3://bucket/x", "expected a path on a disk"),
        ("enhance a.jpg --in-place --backup s3://bucket/x", "originals are replaced, and kept, on disks alone"),
        ("enhance a.jpg -o https://me:word@host/x", "that takes objects, after --out, got https://***@host/x"),
    ],
)
@pytest.mark.usefixtures("folders_and_picture")
def test_a_url_where_it_does_not_belong(line: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == Exit.USAGE
    shown = capsys.readouterr().err
    assert reason in shown and "word" not in shown
