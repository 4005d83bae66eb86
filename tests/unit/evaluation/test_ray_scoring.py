"""Scoring on a stand-in for Ray; `tests/e2e/test_ray.py` has a real cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.codecs.codec import write_picture
from lumen.config import RuntimeOptions
from lumen.errors import UsageError
from lumen.evaluation import EvalOptions, EvalReport, evaluate
from lumen.evaluation.previews import Previews
from lumen.imaging.picture import Picture
from lumen.runtime.open import ModelSet
from tests.support.fake_ray import FakeRay, WorkerCrashedError
from tests.support.fakes import FakeModels


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return FakeRay.found(monkeypatch)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Folders `low` and `high` with eleven pairs; the files of one differ in size."""
    rng = np.random.default_rng(1)
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
        for index in range(11):
            pixels = rng.integers(0, 60, (20, 24 + (name == "low" and index == 4), 3), np.uint8)
            write_picture(Picture(pixels=pixels, format="png"), tmp_path / name / f"{index:02}.png")
    return tmp_path


def scored(pairs: Path, model: Any, previews: Previews | None = None, **options: Any) -> EvalReport:
    return evaluate(pairs / "low", pairs / "high", model, EvalOptions(**options), previews=previews)


def opened(model: Path) -> ModelSet:
    return ModelSet(RuntimeOptions(model=str(model), device="cpu"))


def test_scores_are_those_of_this_process_though_a_worker_is_lost(ray: FakeRay, pairs: Path, fake_model: Path) -> None:
    losses = iter([True])

    def fault(_: object) -> None:
        if next(losses, False):
            raise WorkerCrashedError

    ray.fault = fault
    far, near = Previews(), Previews()
    found = scored(pairs, opened(fake_model), far, engine="ray", save=pairs / "far")
    assert found == scored(pairs, opened(fake_model), near, save=pairs / "near")
    assert (len(found.pictures), len(found.problems)) == (10, 1)
    assert [far.album.shots(each.name) for each in found.pictures] == [
        near.album.shots(each.name) for each in found.pictures
    ]
    assert all(far.album.shots(each.name) for each in found.pictures)
    saved = {path.name: path.read_bytes() for path in (pairs / "near").glob("*.png")}
    assert {path.name: path.read_bytes() for path in (pairs / "far").glob("*.png")} == saved


def test_files_are_scored_as_they_are(ray: FakeRay, pairs: Path) -> None:
    assert ray.nodes
    assert scored(pairs, None, engine="ray", as_is=True) == scored(pairs, None, as_is=True)


def test_an_open_model_cannot_travel(ray: FakeRay, pairs: Path) -> None:
    assert ray.nodes
    with pytest.raises(UsageError, match=r"expected models by name or path, or as lumen\.ModelSet"):
        scored(pairs, FakeModels(), engine="ray")
