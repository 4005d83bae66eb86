"""What options refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions, WatchOptions
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected --out DIR for the results, or --in-place"),
        ({"output": Path("out"), "in_place": True}, "expected --out or --in-place, got both"),
        ({"in_place": True, "suffix": "-lit"}, "combined with --suffix or --format"),
        ({"in_place": True, "format": "png"}, "combined with --suffix or --format"),
        ({"output": Path("out"), "shard": (0, 2)}, "I from 1 to N, got 0/2"),
        ({"output": Path("out"), "shard": (3, 2)}, "I from 1 to N, got 3/2"),
        ({"output": Path("out"), "include": ("",)}, "a pattern after --include"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BatchOptions(**options)


@pytest.mark.parametrize(
    ("device", "each"),
    [
        ("openvino", ("openvino",)),
        ("openvino:GPU.1", ("openvino:GPU.1",)),
        ("cuda:0,2", ("cuda:0", "cuda:2")),
        ("auto", ("auto",)),
    ],
)
def test_only_numbers_of_cuda_are_several_devices(device: str, each: tuple[str, ...]) -> None:
    assert RuntimeOptions(device=device).devices == each


@pytest.mark.parametrize(
    ("strength", "says"), [(25, "got 25; did you mean 25%\\?$"), (-1, "got -1$"), (200, "got 200$"), (1.5, "got 1.5$")]
)
def test_a_strength_in_percent_without_the_sign_is_understood_as_a_slip(strength: float, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EnhanceOptions(strength=strength)
