"""What does not go together, or makes no sense, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lumen.errors import UsageError
from lumen.evaluation import (
    EvalOptions,
)


@pytest.mark.parametrize("options", [{"match_brightness": True}, {"save": Path("kept")}])
def test_as_is_refuses_what_needs_a_model(options: dict[str, bool | Path]) -> None:
    with pytest.raises(UsageError, match="--as-is"):
        EvalOptions(as_is=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channel": "l"}, "--channel"),
        ({"border_px": -1}, "--border"),
        ({"data_range": 1}, "--data-range 255 or 65535"),
        ({"baselines": ("x",)}, "--baseline"),
        ({"baselines": ("gamma", "gamma")}, "each baseline once"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EvalOptions(**options)
