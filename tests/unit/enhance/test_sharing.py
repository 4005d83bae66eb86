"""How threads are lent to pictures: by their number, their size and the memory; the pixels stay the same."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sharing import Cores, Share, workers_on
from lumen.errors import OutOfMemoryError
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet
from lumen.stages import AHEAD_BYTES
from tests.support.fakes import FakeModels, Meeting, write_fake_onnx
from tests.support.files import noise

PLENTY = 1 << 40
TILE = 512 * 512 * 64  # bytes of a window of 512 pixels in a fake model
TILED = EnhanceOptions(tile_px=512)


def share(threads: int, runs: int) -> Share:
    return Share(threads=threads, runs=runs)


@pytest.mark.parametrize(
    ("threads", "others", "lent"),
    [
        (2, [40], share(1, 1)),
        (2, [3], share(1, 1)),
        (2, [2], share(2, 2)),  # with one thread each, the last of three would leave the other idle
        (1, [40], share(1, 1)),
        (16, [40], share(1, 1)),
        (16, [0], share(16, 16)),
        (16, [13], share(2, 2)),
        (16, [0, 0], None),  # waits until the first is done
        (6, [5, 0], share(3, 3)),  # what is left, in halves of all
        (16, [40, 0], share(8, 8)),
    ],
)
def test_threads_are_lent_by_the_number_of_pictures(threads: int, others: list[int], lent: Share | None) -> None:
    cores = Cores([FakeModels(threads=threads, budget_bytes=PLENTY)], [EnhanceOptions()])
    *before, last = others
    with ExitStack() as held:
        for count in before:
            held.enter_context(cores.lend(lambda count=count: count))  # type: ignore[misc]
        found: list[Share] = []

        def ask() -> None:
            with cores.lend(lambda: last) as each:
                found.append(each)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.05 if lent is None else 20)
        assert found == ([] if lent is None else [lent])
    thread.join(20)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("budget", "asked", "runs"),
    [
        (PLENTY, None, 16),
        (4 * (TILE + AHEAD_BYTES), None, 4),
        (5 * (TILE + AHEAD_BYTES), None, 4),  # of 4 threads each, not 5 of 3 with one left over
        (TILE, None, 1),
        (PLENTY, 2 * TILE, 2),
    ],
)
def test_there_are_no_more_runs_than_the_memory_allows(budget: int, asked: int | None, runs: int) -> None:
    options = EnhanceOptions(tile_px=512, max_memory_bytes=asked)
    workers = workers_on([FakeModels(threads=16, budget_bytes=budget)], [options])
    assert len(workers) == runs
    with workers[0].lend(lambda: 40) as lent:
        assert lent == share(16 // runs, 1)


def test_a_picture_that_is_not_cut_is_one_run() -> None:
    assert Cores([FakeModels(threads=8, whole=True)], [EnhanceOptions()]).runs == 1


@pytest.mark.parametrize(
    ("size", "lent", "runs"),
    [
        ((480, 640), share(2, 2), 1),
        ((1900, 1900), share(2, 2), 2),
        ((1900, 1900), share(2, 1), 1),
        ((1900, 1900), share(16, 16), 8),
        ((1900, 1900), share(1, 1), 1),
    ],
)
def test_windows_run_at_once_where_there_are_enough(size: tuple[int, int], lent: Share, runs: int) -> None:
    model = FakeModels(threads=16, budget_bytes=PLENTY).for_sample("uint8")
    assert lent.runs_for(noise(*size), model, TILED) == runs


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_fake_onnx(tmp_path / "m.onnx", radius=8, halo_px=16)


def enhanced(model: Path, threads: int) -> Any:
    models = ModelSet(RuntimeOptions(model=str(model), device="cpu", threads=threads))
    return enhance_picture(noise(150, 170), models, EnhanceOptions(tile_px=64)).pixels


def test_windows_at_once_give_the_same_pixels(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = enhanced(model, threads=1)
    meeting, run = Meeting(2), OnnxModel.run

    def spy(self: OnnxModel, tiles: Any, *args: Any, **named: Any) -> Any:
        assert self.threads == 1
        meeting(tiles)
        return run(self, tiles, *args, **named)

    monkeypatch.setattr(OnnxModel, "run", spy)
    assert np.array_equal(enhanced(model, threads=2), alone)
    assert len(meeting.threads) == 2


def test_memory_that_is_short_for_all_at_once_shrinks_the_windows(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = enhanced(model, threads=1)
    run, failed = OnnxModel.run, list[int]()

    def short(self: OnnxModel, tiles: Any, *args: Any, **named: Any) -> Any:
        if max(tiles.shape) > 60:
            failed.append(1)
            raise OutOfMemoryError("short")
        return run(self, tiles, *args, **named)

    monkeypatch.setattr(OnnxModel, "run", short)
    monkeypatch.setattr("lumen.enhance.tile_size.MIN_WINDOW_PX", 56)
    assert np.array_equal(enhanced(model, threads=2), alone)
    assert failed


def test_an_error_of_one_window_ends_the_picture(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def fail(*_: Any, **__: Any) -> Any:
        begun.append(1)
        raise ValueError("broken")

    monkeypatch.setattr(OnnxModel, "run", fail)
    with pytest.raises(ValueError, match="broken"):
        enhanced(model, threads=2)
    assert len(begun) < 12


def test_sets_of_other_threads_are_kept_and_their_memory_is_freed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr(OnnxModel, "trim", lambda self: trimmed.append(self.threads))
    models = ModelSet(RuntimeOptions(model=str(model), device="cpu", threads=2))
    models.for_sample("uint8")
    single = models.with_threads(1)
    assert single.for_sample("uint8").threads == 1 and trimmed == [2]
    assert single.with_threads(2) is models and models.with_threads(1) is single
    assert single.for_sample("uint8") is models.with_threads(1).for_sample("uint8")
