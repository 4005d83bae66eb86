"""Other settings on an old output are told once, where there are results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lumen.config import EnhanceOptions, WatchOptions
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.watching.settings_change import FACT, tell_changes
from tests.support.fakes import FakeModels
from tests.support.watching import Stage

SPEC = FakeModels(gain=2.0).for_sample("uint8").spec


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    stage = Stage(tmp_path, settle_s=1.0)
    yield stage
    stage.close()


def told(stage: Stage, *rules: PictureRule, spec: Any = SPEC, **options: Any) -> list[dict[str, Any]]:
    before = len(stage.named("note"))
    watching = {name: options.pop(name) for name in ("format", "suffix") if name in options}
    pictures = PictureOptions(EnhanceOptions(**options), rules)
    tell_changes(stage.ledger, stage.context.events, spec, pictures, WatchOptions(output=stage.out, **watching))
    return stage.named("note")[before:]


def test_changes_are_told_once_and_what_was_made_stays(stage: Stage) -> None:
    assert told(stage) == []
    stage.write("a.jpg")
    stage.done()
    assert told(stage) == []
    (note,) = told(stage, ev=1.0)
    assert note["changed"] == '{"ev": [0.0, 1.0]}'
    assert "touch" in note["message"]
    assert told(stage, ev=1.0) == []


CHANGES: dict[str, Callable[[Stage], list[dict[str, Any]]]] = {
    "format": lambda stage: told(stage, format="png"),
    "suffix": lambda stage: told(stage, suffix="-e"),
    "pictures": lambda stage: told(stage, PictureRule(match="cam1/*", changes={"ev": 0.5})),
    "model": lambda stage: told(stage, spec=replace(SPEC, name="other")),
    "weights": lambda stage: told(stage, spec=replace(SPEC, weights_sha256="f" * 64)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_everything_that_results_depend_on_is_compared(stage: Stage, name: str) -> None:
    told(stage)
    stage.write("a.jpg")
    stage.done()
    (note,) = CHANGES[name](stage)
    assert f'{{"{name}": [' in note["changed"]


def test_without_results_or_records_nothing_is_told(stage: Stage) -> None:
    told(stage)
    assert told(stage, ev=1.0) == []  # nothing is there that was made otherwise
    stage.write("a.jpg")
    stage.done()
    assert told(stage, ev=1.0, tile_px=512, max_memory_bytes=10**9) == []
    stage.ledger.write_facts(**{FACT: "what"})
    assert told(stage) == []
    stage.ledger.write_facts(**{FACT: {"ev": 2.0}})  # of an earlier version with fewer options
    assert [note["changed"] for note in told(stage)] == ['{"ev": [2.0, 0.0]}']
