"""The two folders that most evaluations compare."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def low(tmp_path: Path) -> Path:
    return tmp_path / "low"


@pytest.fixture
def high(tmp_path: Path) -> Path:
    return tmp_path / "high"
