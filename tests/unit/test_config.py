"""What options refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.config import WatchOptions
from lumen.errors import UsageError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"settle_s": 0.0}, "--settle"),
        ({"rescan_s": float("inf")}, "--rescan"),
        ({"incomplete_timeout_s": -1.0}, "--incomplete-timeout"),
        ({"retries": 0}, "--retries"),
        ({"on_success": "move"}, "--on-success"),
        ({"archive": Path("done")}, "--on-success"),
        ({"min_free_bytes": -1}, "--min-free"),
        ({"suffix": "a/b"}, "--suffix"),
        ({"ignore": ("",)}, "--ignore"),
    ],
)
def test_options_of_a_watch_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        WatchOptions(output=Path("out"), **options)  # type: ignore[arg-type]
