"""Many pairs: in order, few at a time; what cannot be scored is listed, what was made is kept."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lumen import stages
from lumen.color.srgb import srgb_to_linear
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.errors import Exit, OutputError
from lumen.evaluation import (
    GT_MEAN,
    INPUT,
    MATCHED,
    OUTPUT,
    EvalOptions,
    PairResult,
    evaluate,
    matching_ev,
    run,
    score,
)
from lumen.evaluation.pairs import Pair
from lumen.evaluation.report import PictureScores
from lumen.evaluation.run import score_pairs
from lumen.evaluation.scoring import Scorer
from tests.support.damage import photo, zeros_within
from tests.support.fakes import FakeModels, Meeting
from tests.support.scores import noise, save


def test_gt_mean_is_a_column_of_its_own(low: Path, high: Path) -> None:
    save(low / "a.png", np.full((16, 16, 3), 40, np.uint8))
    save(high / "a.png", np.full((16, 16, 3), 80, np.uint8))
    report = evaluate(low, high, FakeModels(gain=1.0), EvalOptions(gt_mean=True))
    scores = report.pictures[0].scores
    assert math.isinf(scores[GT_MEAN].psnr)
    assert scores[OUTPUT].psnr == scores[INPUT].psnr < 20
    assert "gt_mean" in report.protocol


def test_match_brightness_asks_the_model_for_the_brightness_of_the_reference(low: Path, high: Path) -> None:
    save(low / "a.png", np.full((16, 16, 3), 50, np.uint8))
    save(high / "a.png", np.full((16, 16, 3), 150, np.uint8))
    models = FakeModels(gain=2.0)
    report = evaluate(low, high, models, EvalOptions(match_brightness=True))
    picture = report.pictures[0]
    light = srgb_to_linear(np.array([150 / 255, 100 / 255]))
    assert picture.ev == pytest.approx(math.log2(light[0] / light[1]), abs=1e-6)
    assert models.for_sample("uint8").evs == [0.0, pytest.approx(picture.ev)]
    assert picture.scores[MATCHED].psnr > picture.scores[OUTPUT].psnr
    assert "match_brightness" in report.protocol


@pytest.mark.parametrize(("own", "asked"), [(50, 0.4 * 255), (150, 150)])
def test_aim_asks_the_model_for_a_level_and_never_for_a_darker_picture(
    low: Path, high: Path, own: int, asked: float
) -> None:
    save(low / "a.png", np.full((16, 16, 3), own, np.uint8))
    save(high / "a.png", np.full((16, 16, 3), 100, np.uint8))
    models = FakeModels(gain=1.5)
    report = evaluate(low, high, models, EvalOptions(aim=0.4, gt_mean=True))
    assert report.columns == (INPUT, OUTPUT, GT_MEAN, "aim 0.4", "aim 0.4 gt_mean")
    light = srgb_to_linear(np.array([asked, own * 1.5]) / 255)
    assert models.for_sample("uint8").evs == [0.0, pytest.approx(math.log2(light[0] / light[1]), abs=1e-6)]
    assert report.pictures[0].evs == {}, "only those of match_brightness"
    assert report.pictures[0].scores["aim 0.4"].values.keys() == report.pictures[0].scores[OUTPUT].values.keys()
    assert "aim 0.4:" in report.protocol


def test_aim_needs_no_reference_and_is_not_saved(low: Path, tmp_path: Path) -> None:
    save(low / "a.png", noise(1, high=90))
    options = EvalOptions(aim=0.5, niqe=True, save=tmp_path / "kept")
    report = evaluate(low, None, {"one": FakeModels(gain=1.0), "two": FakeModels(gain=2.0)}, options)
    assert report.columns == (INPUT, "one", "one aim 0.5", "two", "two aim 0.5")
    assert len(list((tmp_path / "kept").rglob("*.png"))) == 2


def test_what_is_newly_clipped_needs_the_input(low: Path, high: Path) -> None:
    dark = np.full((16, 16, 3), 50, np.uint8)
    dark[:4] = 250
    save(low / "a.png", dark)
    save(high / "a.png", np.full((16, 16, 3), 150, np.uint8))
    report = evaluate(low, high, FakeModels(gain=6.0))
    assert report.mean(INPUT).values["newly_clipped"] == 0
    assert report.mean(OUTPUT).values["newly_clipped"] == 0.75
    alone = evaluate(high, high, None, EvalOptions(as_is=True))
    assert "newly_clipped" not in alone.mean(OUTPUT).values and alone.mean(OUTPUT).values["stops"] == 0


@pytest.mark.parametrize(
    ("asked", "automatic", "expected"),
    [(0.5, 0.5, 0.0), (1.0, 0.001, 4.0), (0.0, 0.5, -4.0), (0.0, 0.0, 0.0), (0.02, 0.01, 1.0)],
)
def test_matching_ev_is_in_stops_of_linear_light_and_limited(asked: float, automatic: float, expected: float) -> None:
    assert matching_ev(asked, automatic) == pytest.approx(expected)


def test_sizes_that_differ_are_listed_and_the_others_scored(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1, size=(16, 20)))
    save(high / "a.png", noise(1, size=(20, 16)))
    save(low / "b.png", noise(1))
    save(high / "b.png", noise(2))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert [picture.name for picture in report.pictures] == ["b"]
    assert "20x16" in report.problems[0].reason
    assert "16x20" in report.problems[0].reason
    assert report.exit_code is Exit.SOME_FAILED


def test_a_damaged_file_is_listed_with_the_reason(low: Path, high: Path) -> None:
    for name in ("a", "b"):
        save(low / f"{name}.png", noise(1))
        save(high / f"{name}.png", noise(2))
    (low / "a.png").write_bytes((low / "a.png").read_bytes()[:300])
    report = evaluate(low, high, FakeModels(gain=1.0))
    assert [problem.name for problem in report.problems] == ["a"]
    assert report.exit_code is Exit.SOME_FAILED


def test_pictures_with_gaps_are_listed_on_either_side(low: Path, high: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for folder in (low, high, results):
        folder.mkdir()
    damaged, unended = zeros_within(photo()), photo()[:-2]
    for name, files in {
        "a": (damaged, photo(), photo()),
        "b": (photo(), damaged, photo()),
        "c": (photo(), photo(), damaged),
        "d": (unended, unended, unended),  # whole, but for the marker of the end
    }.items():
        for folder, data in zip((low, high, results), files, strict=True):
            (folder / f"{name}.jpg").write_bytes(data)
    report = evaluate(low, high, None, EvalOptions(as_is=True), results={"other": results})
    assert [problem.name for problem in report.problems] == ["a", "b", "c"]
    assert all("damaged" in problem.reason for problem in report.problems)
    assert [picture.name for picture in report.pictures] == ["d"]


def test_pictures_smaller_than_the_ssim_window_are_listed(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1, size=(10, 30)))
    save(high / "a.png", noise(2, size=(10, 30)))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert "11x11" in report.problems[0].reason
    assert report.exit_code is Exit.ALL_FAILED


def test_save_keeps_what_was_scored(low: Path, high: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(1, low=20, high=90)).save(save(low / "x" / "a.jpg", noise(1)), quality=95)
    save(high / "x" / "a.png", noise(2))
    first = evaluate(low, high, FakeModels(gain=2.0), EvalOptions(save=tmp_path / "kept"))
    again = evaluate(low, high, None, EvalOptions(as_is=True), results={OUTPUT: tmp_path / "kept"})
    assert [path.name for path in (tmp_path / "kept").rglob("*.*")] == ["a.png"]
    assert again.pictures[0].scores[OUTPUT] == first.pictures[0].scores[OUTPUT]


def test_what_is_saved_stays_in_its_folder(low: Path, high: Path, tmp_path: Path) -> None:
    for name in ("a", "cam/b"):
        save(low / f"{name}.png", noise(1))
        save(high / f"{name}.png", noise(2))
    (tmp_path / "private").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "cam").symlink_to("../private")
    report = evaluate(low, high, FakeModels(), EvalOptions(save=tmp_path / "saved"))
    assert [problem.name for problem in report.problems] == ["cam/b"]
    assert "link" in report.problems[0].reason
    assert list((tmp_path / "private").iterdir()) == []
    models = {str(tmp_path / "x" / "m.onnx"): FakeModels(), "../y/m.onnx": FakeModels()}
    evaluate(low, high, models, EvalOptions(save=tmp_path / "new" / "saved"))
    saved = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("a.png")} - {"low/a.png", "high/a.png"}
    assert saved == {
        "saved/a.png",
        "new/saved/__/y/m.onnx/a.png",
        f"new/saved{tmp_path}/x/m.onnx/a.png",
    }


def test_an_unwritable_save_stops_the_run(low: Path, high: Path, tmp_path: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="kept"):
        evaluate(low, high, FakeModels(), EvalOptions(save=tmp_path / "kept"))


def test_results_come_in_order_and_progress_counts(low: Path, high: Path) -> None:
    names = [f"{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        save(low / f"{name}.png", noise(number))
        save(high / f"{name}.png", noise(100 + number))
    seen: list[tuple[int, int, PairResult]] = []
    report = evaluate(
        low,
        high,
        None,
        EvalOptions(as_is=True),
        progress=lambda done, total, result: seen.append((done, total, result)),
    )
    assert [picture.name for picture in report.pictures] == names
    assert [(done, total) for done, total, _ in seen] == [(number, 12) for number in range(1, 13)]
    assert tuple(result for _, _, result in seen) == report.pictures


@pytest.mark.parametrize(("helpers", "most"), [(0, 1), (1, 2 + 3)])
@pytest.mark.parametrize("models", [None, FakeModels(gain=2.0)])
def test_few_pictures_wait_for_their_score(
    low: Path, high: Path, monkeypatch: pytest.MonkeyPatch, models: FakeModels | None, helpers: int, most: int
) -> None:
    """With slow scoring the loader must wait: at most the workers, one at hand and two ahead are in memory."""
    lock, alive, peak = threading.Lock(), 0, 0
    load, finish = run._Work.load, run._Work.finish

    def counted_load(work: run._Work, pair: Pair) -> run._Job:
        nonlocal alive, peak
        with lock:
            alive += 1
            peak = max(peak, alive)
        return load(work, pair)

    def slow_finish(work: run._Work, job: run._Job) -> PictureScores:
        nonlocal alive
        time.sleep(0.02)
        with lock:
            alive -= 1
        return finish(work, job)

    monkeypatch.setattr(run._Work, "load", counted_load)
    monkeypatch.setattr(run._Work, "finish", slow_finish)
    monkeypatch.setattr(run, "usable_cores", lambda: 2)
    monkeypatch.setattr(run, "helper_threads", lambda _: helpers)
    for number in range(12):
        save(low / f"{number}.png", noise(number))
        save(high / f"{number}.png", noise(number))
    assert len(evaluate(low, high, models, EvalOptions(as_is=models is None)).pictures) == 12
    assert alive == 0
    assert min(2, most) <= peak <= most


@pytest.mark.parametrize("models", [None, FakeModels(gain=2.0)])
def test_large_pictures_are_in_memory_one_by_one(
    low: Path, high: Path, monkeypatch: pytest.MonkeyPatch, models: FakeModels | None
) -> None:
    lock, alive, peak = threading.Lock(), 0, 0
    finish = run._Work.finish

    def counted_finish(work: run._Work, job: run._Job) -> PictureScores:
        nonlocal alive, peak
        with lock:
            alive += 1
            peak = max(peak, alive)
        time.sleep(0.01)
        result = finish(work, job)
        with lock:
            alive -= 1
        return result

    monkeypatch.setattr(run, "MAX_WAITING_PX", 1)
    monkeypatch.setattr(run, "usable_cores", lambda: 4)
    monkeypatch.setattr(run._Work, "finish", counted_finish)
    for number in range(4):
        save(low / f"{number}.png", noise(number))
        save(high / f"{number}.png", noise(number))
    assert len(evaluate(low, high, models, EvalOptions(as_is=models is None)).pictures) == 4
    assert peak == 1


def test_baselines_are_made_of_the_input_and_scored_at_its_depth(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    save(low / "a.png", noise(1, high=60))
    save(high / "a.png", noise(1))
    for top in (255, 65535):
        options = EvalOptions(as_is=True, baselines=("gamma:3",), data_range=top)
        report = evaluate(low, high, None, options)
        made = np.rint(255 * (noise(1, high=60) / 255) ** (1 / 3)).astype(np.uint8)
        assert report.mean("gamma:3").psnr == pytest.approx(score(made, noise(1)).psnr, abs=1e-9)


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
    scored = score_pairs(pairs[:2], {"output": FakeModels(fault=fault)}, Scorer(EvalOptions(threads=2)))
    assert [type(each) for each in scored] == [PictureScores] * 2


def test_pairs_share_the_threads_of_the_models_and_stay_in_order(pairs: list[Pair]) -> None:
    pairs = [replace(pair, name=str(index)) for index, pair in enumerate(pairs * 2)]
    meeting = Meeting(2)
    models = FakeModels(threads=2, fault=meeting)
    scored = list(score_pairs(pairs, {"output": models}, Scorer(EvalOptions())))
    assert [each.name for each in scored] == [pair.name for pair in pairs] and len(meeting.threads) == 2
    assert scored == list(score_pairs(pairs, {"output": FakeModels()}, Scorer(EvalOptions())))


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
