"""What does not go together, or makes no sense, is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from lumen.errors import UsageError
from lumen.evaluation import (
    EvalOptions,
)


@pytest.mark.parametrize("options", [{"match_brightness": True}, {"aim": 0.5}, {"save": Path("kept")}])
def test_as_is_refuses_what_needs_a_model(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--as-is"):
        EvalOptions(as_is=True, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channel": "l"}, "--channel"),
        ({"border_px": -1}, "--border"),
        ({"data_range": 1}, "--data-range 255 or 65535"),
        ({"baselines": ("x",)}, "--baseline"),
        ({"baselines": ("gamma", "gamma")}, "each baseline once"),
        ({"aim": 0.0}, "--aim between 0 and 1"),
        ({"aim": 1.0}, "--aim between 0 and 1"),
        ({"aim": math.nan}, "--aim between 0 and 1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EvalOptions(**options)
