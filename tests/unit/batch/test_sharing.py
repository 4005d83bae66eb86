"""How many pictures are worked on at once: by threads, number of pictures and memory, with the same pixels."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.batch.sharing import share_cores
from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions
from lumen.errors import OutOfMemoryError
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet
from lumen.stages import AHEAD_BYTES
from tests.support.batches import Quiet
from tests.support.fakes import FakeModels, write_fake_onnx
from tests.support.files import noise

TILE = 512 * 512 * 64  # bytes of a window of 512 pixels in a fake model


class Threaded(FakeModels):
    """Fakes with threads to share, which remember how they were split."""

    def __init__(self, threads: int, budget_bytes: int = 1 << 40, **spec: Any) -> None:
        super().__init__(**spec)
        self.for_sample("uint8").threads = threads
        self.for_sample("uint8").budget_bytes = budget_bytes
        self.splits: list[int] = []

    def split(self, runs: int) -> FakeModels:
        self.splits.append(runs)
        return self


@pytest.mark.parametrize(
    ("threads", "pictures", "options", "budget", "runs"),
    [
        (2, 40, {}, 1 << 40, 2),
        (2, 3, {}, 1 << 40, 1),  # the last one would have half of the threads
        (2, 4, {}, 1 << 40, 2),
        (1, 40, {}, 1 << 40, 1),
        (16, 40, {}, 1 << 40, 16),
        (16, 14, {}, 1 << 40, 5),  # of 3 threads each, not 7 of 2 with two left over
        (16, 40, {"tile_px": 512}, 4 * (TILE + AHEAD_BYTES), 4),
        (16, 40, {"tile_px": 512}, TILE, 1),
        (16, 40, {"tile_px": 512, "max_memory_bytes": 2 * TILE}, 1 << 40, 2),
    ],
)
def test_what_is_in_flight_follows_threads_pictures_and_memory(
    threads: int, pictures: int, options: dict[str, Any], budget: int, runs: int
) -> None:
    models = Threaded(threads, budget)
    assert share_cores([models], pictures, [EnhanceOptions(**options)]) == [models] * runs
    assert models.splits == ([runs] if runs > 1 else [])


def test_pictures_that_are_not_cut_are_worked_on_alone() -> None:
    assert len(share_cores([Threaded(8, whole=True)], 40, [EnhanceOptions()])) == 1


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six pictures of several tiles."""
    (tmp_path / "in").mkdir()
    for index in range(6):
        Image.fromarray(np.roll(noise(150, 170).pixels, index)).save(tmp_path / "in" / f"{index}.png")
    return tmp_path / "in"


def results(pictures: Path, model: Path, threads: int) -> list[bytes]:
    """Enhance the pictures and return the files of the results."""
    batching = BatchOptions(output=pictures.parent / f"out{threads}")
    models = ModelSet(RuntimeOptions(model=str(model), device="cpu", threads=threads))
    report = Batch(
        plan_jobs([pictures], batching), LocalEngine(models), EnhanceOptions(tile_px=64), batching, Quiet()
    ).run()
    assert report.counts["done"] == 6
    return [(pictures.parent / f"out{threads}" / f"{index}.png").read_bytes() for index in range(6)]


def test_runs_at_once_give_the_same_pixels(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_fake_onnx(pictures.parent / "m.onnx", radius=8, halo_px=16)
    alone = results(pictures, model, threads=1)
    met = set[int]()
    meeting, run = threading.Barrier(2), OnnxModel.run

    def spy(self: OnnxModel, *args: Any, **named: Any) -> Any:
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            meeting.wait(20)  # breaks unless a second thread comes
        return run(self, *args, **named)

    monkeypatch.setattr(OnnxModel, "run", spy)
    assert results(pictures, model, threads=2) == alone
    assert len(met) == 2


def test_memory_that_is_short_for_all_at_once_shrinks_the_tiles(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_fake_onnx(pictures.parent / "m.onnx", radius=8, halo_px=16)
    alone = results(pictures, model, threads=1)
    run = OnnxModel.run

    def short(self: OnnxModel, tiles: Any, *args: Any, **named: Any) -> Any:
        if max(tiles.shape) > 130:
            raise OutOfMemoryError("short")
        return run(self, tiles, *args, **named)

    monkeypatch.setattr(OnnxModel, "run", short)
    monkeypatch.setattr("lumen.enhance.tile_size.MIN_WINDOW_PX", 64)
    batching = BatchOptions(output=pictures.parent / "short")
    models = ModelSet(RuntimeOptions(model=str(model), device="cpu", threads=2))
    report = Batch(plan_jobs([pictures], batching), LocalEngine(models), EnhanceOptions(), batching, Quiet()).run()
    assert report.counts["done"] == 6
    assert [path.read_bytes() for path in sorted((pictures.parent / "short").glob("*.png"))] == alone
