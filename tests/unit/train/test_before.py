"""Files written by an earlier version: a run that a signal stopped after 6 of 10 steps goes on as it did there.

`tests/data/before` holds its checkpoint, recipe and metrics, and in `next.json` what that version gave for the steps
and validations that follow. All of it was made on a CPU, from the pairs that `write_pairs(folder, 6)` writes.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lumen.train.checkpoint import load_checkpoint
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import from_dict, load_recipe
from lumen.train.run import train_run
from tests.conftest import ROOT
from tests.support.training import csv_rows, write_pairs

BEFORE = ROOT / "tests" / "data" / "before"
GIVEN: dict[str, list[dict[str, Any]]] = json.loads((BEFORE / "next.json").read_text())


@pytest.mark.usefixtures("no_drawings")
def test_a_run_of_the_version_before_goes_on_with_the_same_losses(tmp_path: Path) -> None:
    data, run = write_pairs(tmp_path / "data", 6), tmp_path / "run"
    run.mkdir()
    for name in ("last.pt", "recipe.toml", "metrics.csv"):
        shutil.copy(BEFORE / name, run)
    events: list[Mapping[str, Any]] = []
    photos = (data / "our485" / "high",)
    options = TrainOptions(
        data=(data,), photos=photos, run=run, resume="auto", device="cpu", threads=1, check_pairs=False
    )
    assert train_run(load_recipe(str(run / "recipe.toml")), options, events.append) == 0

    for kind, key in (("step", "steps"), ("validation", "validations")):
        found = [event for event in events if event["kind"] == kind]
        assert len(found) == len(GIVEN[key]) == 4
        for event, expected in zip(found, GIVEN[key], strict=True):
            assert {name: event[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    before, after = csv_rows(BEFORE / "metrics.csv"), csv_rows(run / "metrics.csv")
    assert after[: len(before)] == before
    assert [int(row["iteration"]) for row in after[len(before) :]] == [7, 8, 9, 10]


def test_the_recipe_in_a_checkpoint_is_that_of_its_file() -> None:
    recipe = load_recipe(str(BEFORE / "recipe.toml"))
    assert from_dict(load_checkpoint(BEFORE / "last.pt").recipe) == recipe
    before = tomllib.loads((BEFORE / "recipe.toml").read_text())
    now = tomllib.loads(recipe.to_toml())
    for section, values in before.items():  # later versions know more keys
        assert values == ({key: now[section][key] for key in values} if isinstance(values, dict) else now[section])
