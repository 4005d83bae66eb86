"""Many pairs side by side: what the next one waits for, and what an interruption leaves."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from PIL import Image

from lumen import stages
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.evaluation.options import EvalOptions
from lumen.evaluation.pairs import Pair
from lumen.evaluation.report import PictureScores
from lumen.evaluation.run import score_pairs
from lumen.evaluation.scoring import Scorer
from tests.support.fakes import FakeModels


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """Three pairs of several tiles each."""
    found = []
    for number in range(3):
        low, high = tmp_path / f"low{number}.png", tmp_path / f"high{number}.png"
        for path in (low, high):
            Image.new("RGB", (600, 400), (number + 1, 0, 0)).save(path)
        found.append(Pair(name=str(number), low=low, reference=high))
    return found


def test_the_next_pair_is_loaded_while_the_models_work(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.evaluation.run.MAX_WAITING_PX", 1)
    read, loaded = read_source, threading.Semaphore(0)

    def counted(*arguments: Any) -> Any:
        picture = read(*arguments)
        loaded.release()
        return picture

    def fault(tiles: NDArray[Any]) -> None:
        for _ in range(4 if tiles.max() == 1 else 0):  # both files of two pairs
            assert loaded.acquire(timeout=10)

    monkeypatch.setattr("lumen.evaluation.run.read_source", counted)
    scored = score_pairs(pairs[:2], {"output": FakeModels(fault=fault)}, Scorer(EvalOptions()))
    assert [type(each) for each in scored] == [PictureScores] * 2


def test_an_interruption_leaves_the_picture_the_models_work_on(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()
    runs: list[int] = []

    def fault(_tiles: NDArray[Any]) -> None:
        runs.append(1)
        entered.set()
        threading.Event().wait(0.01)

    def interrupted(running: list[Future[Any]], *arguments: Any) -> Any:
        if entered.is_set():
            raise KeyboardInterrupt
        return wait_for(running, 0.01, *arguments[1:])

    monkeypatch.setattr(stages, "wait", interrupted)
    options = EnhanceOptions(tile_px=64)
    whole = -(-600 // 64) * -(-400 // 64)
    with pytest.raises(KeyboardInterrupt):
        list(score_pairs(pairs, {"output": FakeModels(fault=fault)}, Scorer(EvalOptions()), options))
    assert 0 < len(runs) < whole
    assert not [each for each in threading.enumerate() if each.name.startswith(("read", "work", "write"))]
