"""What the tests of training share."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer to draw than tiny runs do; `records/test_curves.py` draws some."""
    monkeypatch.setattr("lumen.train.records.run_records.write_curves", lambda *_: None)
