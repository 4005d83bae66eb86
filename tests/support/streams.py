"""Standard streams as shells leave them."""

from __future__ import annotations

import sys

import pytest


def stdout_has_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stdout a pipe whose reader has gone."""

    def gone(_text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("lumen.cli.views.console.discard_stdout", lambda: None)
    monkeypatch.setattr(sys.stdout, "write", gone)
