"""From folders to checkpoints, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lumen.errors import DataError, DeviceError, ModelError, OutputError, UsageError
from lumen.train.checkpoint import load_checkpoint
from lumen.train.run import train_run
from tests.unit.train.helpers import tiny_recipe, write_pairs


def start(tmp_path: Path, **changes: Any) -> int:
    arguments: dict[str, Any] = {
        "data": tmp_path / "data",
        "photos": (tmp_path / "data" / "our485" / "high",),
        "run": tmp_path / "run",
        "resume": None,
        "device": "cpu",
        "threads": 1,
        "on_event": lambda _: None,
    }
    return train_run(tiny_recipe(), **{**arguments, **changes})


def test_a_run_keeps_its_recipe_and_is_not_begun_twice(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    assert start(tmp_path) == 0
    assert json.loads((tmp_path / "run" / "recipe.json").read_text()) == tiny_recipe().to_dict()
    with pytest.raises(UsageError, match="--resume auto"):
        start(tmp_path)
    assert start(tmp_path, resume="auto") == 0
    assert load_checkpoint(tmp_path / "run" / "last.pt").iteration == 6


def test_auto_begins_where_there_is_nothing_to_resume(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    assert start(tmp_path, resume="auto", photos=()) == 0


def test_what_cannot_work_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got 'tpu'"):
        start(tmp_path, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="--device cpu"):
            start(tmp_path, device="cuda")
    with pytest.raises(DataError, match="--data"):
        start(tmp_path)
    write_pairs(tmp_path / "data", 5)
    with pytest.raises(ModelError, match="found none"):
        start(tmp_path, resume=str(tmp_path / "missing.pt"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        start(tmp_path, run=tmp_path / "file" / "run")
