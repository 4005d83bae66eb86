"""What the tests of the command line share."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore after each test what `start_logging` changes."""
    logger = logging.getLogger("lumen")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
