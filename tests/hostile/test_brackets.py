"""Thousands of brackets, wherever a command reads JSON or TOML from elsewhere: one line, and the documented code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.cli.main import main
from lumen.errors import Exit
from tests.support.commands import save

NESTED = "[" * 100_000 + "]" * 100_000

COMMANDS = {
    "eval --as-is in --niqe --niqe-model bad.json": Exit.UNAVAILABLE,
    "eval --check bad.json": Exit.SOME_FAILED,
    "watch --status out": Exit.OUTPUT,
    "train --recipe bad.toml --data in --out run": Exit.USAGE,
    "train --recipe lumen-s --data brackets --out run": Exit.SOME_FAILED,
    "export-onnx none.pt -o m.onnx --scores bad.json": Exit.USAGE,
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory holds a picture, and brackets in every kind of file."""
    from lumen.watching.ledger.ledger import Ledger

    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in" / "a.png")
    (tmp_path / "brackets").mkdir()
    for name, text in (("bad.json", NESTED), ("bad.toml", f"x = {NESTED}"), ("brackets/index.json", NESTED)):
        (tmp_path / name).write_text(text)
    ledger = Ledger(tmp_path / "out")
    ledger._database.execute("INSERT INTO facts VALUES ('input', ?)", (NESTED,))
    ledger.close()
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("line", COMMANDS)
def test_brackets_in_brackets_are_one_line(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    if line.startswith(("train", "export-onnx")):
        pytest.importorskip("torch", reason="training and exporting need torch")
    assert main(line.split()) == COMMANDS[line]
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and len(said) < 500
    assert "internal error" not in said
