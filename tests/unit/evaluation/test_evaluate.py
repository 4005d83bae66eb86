"""Scores, means, the protocol, and what happens to pairs that cannot be scored."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path, PurePath

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lumen.color.srgb import srgb_to_linear
from lumen.config import EnhanceOptions
from lumen.errors import Exit, OutputError, UsageError
from lumen.evaluation import (
    GT_MEAN,
    INPUT,
    MATCHED,
    OUTPUT,
    EvalOptions,
    EvalReport,
    PairResult,
    PictureScores,
    Score,
    evaluate,
    evaluate_results,
    matching_ev,
    run,
    score,
)
from lumen.evaluation.pairs import Pair, Problem, Result
from tests.support.fakes import FakeModels


def noise(seed: int, *, low: int = 0, high: int = 256, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(low, high, (*size, 3)).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def low(tmp_path: Path) -> Path:
    return tmp_path / "low"


@pytest.fixture
def high(tmp_path: Path) -> Path:
    return tmp_path / "high"


@pytest.mark.parametrize("seed", range(10))
def test_scores_equal_those_of_scikit_image(seed: int) -> None:
    reference = noise(seed, size=(40, 33))
    candidate = np.clip(reference.astype(int) + np.random.default_rng(99 + seed).integers(-20, 21, (40, 33, 3)), 0, 255)
    found = score(candidate.astype(np.uint8), reference)
    assert found.psnr == pytest.approx(
        peak_signal_noise_ratio(reference, candidate.astype(np.uint8), data_range=255), abs=1e-6
    )
    expected = structural_similarity(
        reference,
        candidate.astype(np.uint8),
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert found.ssim == pytest.approx(expected, abs=1e-6)


def test_output_is_scored_beside_the_input(low: Path, high: Path) -> None:
    dark = noise(1, low=10, high=100)
    save(low / "a.png", dark)
    save(high / "a.png", dark * 2)
    report = evaluate(low, high, FakeModels(gain=2.0))
    assert report.columns == (INPUT, OUTPUT)
    assert report.pictures[0].scores[INPUT] == score(dark, dark * 2)
    assert math.isinf(report.pictures[0].scores[OUTPUT].psnr)
    assert report.pictures[0].scores[OUTPUT].ssim == pytest.approx(1.0)
    assert report.exit_code is Exit.OK


def test_as_is_scores_the_file_and_runs_no_model(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert report.pictures[0].scores == {OUTPUT: score(noise(1), noise(2))}
    assert "as it is" in report.protocol


def test_equal_pictures_are_counted_and_left_out_of_the_mean(low: Path, high: Path) -> None:
    for name, other in (("equal", 1), ("b", 2), ("c", 3)):
        save(low / f"{name}.png", noise(1))
        save(high / f"{name}.png", noise(other))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    expected = [score(noise(1), noise(seed)) for seed in (1, 2, 3)]
    assert report.equal(OUTPUT) == 1
    assert report.mean(OUTPUT).psnr == pytest.approx((expected[1].psnr + expected[2].psnr) / 2)
    assert report.mean(OUTPUT).ssim == pytest.approx(sum(found.ssim for found in expected) / 3)


def test_when_all_pictures_are_equal_the_mean_is_infinite_and_null_in_json(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(1))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert math.isinf(report.mean(OUTPUT).psnr)
    summary = json.loads(json.dumps(report.as_dict(), allow_nan=False))["summary"]
    assert (
        summary["mean"][OUTPUT] | {"psnr": None, "ssim": pytest.approx(1.0), "mae": 0.0, "mse": 0.0, "equal": 1}
        == (summary["mean"][OUTPUT])
    )
    json.dumps(report.pictures[0].as_dict(), allow_nan=False)


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


@pytest.mark.parametrize(
    ("asked", "automatic", "expected"),
    [(0.5, 0.5, 0.0), (1.0, 0.001, 4.0), (0.0, 0.5, -4.0), (0.0, 0.0, 0.0), (0.02, 0.01, 1.0)],
)
def test_matching_ev_is_in_stops_of_linear_light_and_limited(asked: float, automatic: float, expected: float) -> None:
    assert matching_ev(asked, automatic) == pytest.approx(expected)


def test_sixteen_bit_pictures_are_scored_with_eight_bits_rounded(low: Path, high: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    low.mkdir()
    (low / "a.png").write_bytes(imagecodecs.png_encode(deep))
    save(high / "a.png", np.rint(deep / 257.0).astype(np.uint8))
    assert evaluate(low, high, None, EvalOptions(as_is=True)).equal(OUTPUT) == 1


def test_pictures_are_scored_as_they_are_displayed(low: Path, high: Path, tmp_path: Path) -> None:
    """One file stores the turn in a tag, the other in the pixels."""
    pixels = noise(1, low=10, high=100, size=(16, 24))
    low.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed after a quarter turn clockwise
    Image.fromarray(pixels).save(low / "a.png", exif=exif)
    save(high / "a.png", np.rot90(pixels, -1) * 2)
    report = evaluate(low, high, FakeModels(gain=2.0), EvalOptions(save=tmp_path / "kept"))
    assert report.equal(OUTPUT) == 1
    assert evaluate(tmp_path / "kept", high, None, EvalOptions(as_is=True)).equal(OUTPUT) == 1


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


def test_pictures_smaller_than_the_ssim_window_are_listed(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1, size=(10, 30)))
    save(high / "a.png", noise(2, size=(10, 30)))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert "11x11" in report.problems[0].reason
    assert report.exit_code is Exit.ALL_FAILED


def test_unmatched_names_come_with_the_report(low: Path, high: Path) -> None:
    for path in (low / "a.png", high / "a.png", high / "b.png"):
        save(path, noise(1))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert [problem.name for problem in report.problems] == ["b"]
    assert report.exit_code is Exit.SOME_FAILED


def test_save_keeps_what_was_scored(low: Path, high: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(1, low=20, high=90)).save(save(low / "x" / "a.jpg", noise(1)), quality=95)
    save(high / "x" / "a.png", noise(2))
    first = evaluate(low, high, FakeModels(gain=2.0), EvalOptions(save=tmp_path / "kept"))
    again = evaluate(tmp_path / "kept", high, None, EvalOptions(as_is=True))
    assert [path.name for path in (tmp_path / "kept").rglob("*.*")] == ["a.png"]
    assert again.pictures[0].scores[OUTPUT] == first.pictures[0].scores[OUTPUT]


@pytest.mark.parametrize("inside", ["low", "low/results", "high"])
def test_save_among_the_inputs_is_refused(low: Path, high: Path, tmp_path: Path, inside: str) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    with pytest.raises(UsageError, match="--save"):
        evaluate(low, high, FakeModels(), EvalOptions(save=tmp_path / inside))


def test_an_unwritable_save_stops_the_run(low: Path, high: Path, tmp_path: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="kept"):
        evaluate(low, high, FakeModels(), EvalOptions(save=tmp_path / "kept"))


@pytest.mark.parametrize("options", [{"match_brightness": True}, {"save": Path("kept")}])
def test_as_is_refuses_what_needs_a_model(options: dict[str, bool | Path]) -> None:
    with pytest.raises(UsageError, match="--as-is"):
        EvalOptions(as_is=True, **options)  # type: ignore[arg-type]


def test_without_models_only_files_can_be_scored(low: Path, high: Path) -> None:
    with pytest.raises(UsageError, match="as_is"):
        evaluate(low, high, None)


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


@pytest.mark.parametrize("models", [None, FakeModels(gain=2.0)])
def test_few_pictures_wait_for_their_score(
    low: Path, high: Path, monkeypatch: pytest.MonkeyPatch, models: FakeModels | None
) -> None:
    """With slow scoring the loader must wait: at most the workers, one at hand and two ahead are in memory."""
    lock, alive, peak = threading.Lock(), 0, 0
    load, finish = run._Work.load, run._Work.finish

    def counted_load(work: run._Work, pair: Pair) -> run._Loaded | Problem:
        nonlocal alive, peak
        with lock:
            alive += 1
            peak = max(peak, alive)
        return load(work, pair)

    def slow_finish(work: run._Work, job: run._Job | Problem) -> PairResult:
        nonlocal alive
        time.sleep(0.02)
        with lock:
            alive -= 1
        return finish(work, job)

    monkeypatch.setattr(run._Work, "load", counted_load)
    monkeypatch.setattr(run._Work, "finish", slow_finish)
    monkeypatch.setattr(run, "worker_count", lambda: 2)
    for number in range(12):
        save(low / f"{number}.png", noise(number))
        save(high / f"{number}.png", noise(number))
    assert len(evaluate(low, high, models, EvalOptions(as_is=models is None)).pictures) == 12
    assert alive == 0
    assert peak <= 2 + 3


@pytest.mark.parametrize("models", [None, FakeModels(gain=2.0)])
def test_large_pictures_are_in_memory_one_by_one(
    low: Path, high: Path, monkeypatch: pytest.MonkeyPatch, models: FakeModels | None
) -> None:
    lock, alive, peak = threading.Lock(), 0, 0
    finish = run._Work.finish

    def counted_finish(work: run._Work, job: run._Job | Problem) -> PairResult:
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
    monkeypatch.setattr(run, "worker_count", lambda: 4)
    monkeypatch.setattr(run._Work, "finish", counted_finish)
    for number in range(4):
        save(low / f"{number}.png", noise(number))
        save(high / f"{number}.png", noise(number))
    assert len(evaluate(low, high, models, EvalOptions(as_is=models is None)).pictures) == 4
    assert peak == 1


def test_a_report_of_nothing_has_all_failed() -> None:
    report = EvalReport(pictures=(), problems=(Problem(name="a", reason="why"),), protocol="")
    assert report.exit_code is Exit.ALL_FAILED
    assert report.columns == ()
    assert report.as_dict()["summary"]["mean"] == {}


def test_json_of_a_picture_carries_the_exposure_only_where_it_was_asked() -> None:
    plain = PictureScores(name="a", width=2, height=1, scores={OUTPUT: Score({"psnr": 30.0, "ssim": 0.9})})
    assert plain.as_dict() == {"name": "a", "width": 2, "height": 1, "output": {"psnr": 30.0, "ssim": 0.9}}
    asked = PictureScores(name="a", width=2, height=1, scores={}, evs={MATCHED: 0.5})
    assert asked.as_dict()["ev"] == 0.5
    several = PictureScores(name="a", width=2, height=1, scores={}, evs={"a": 0.5, "b": 1.0})
    assert several.as_dict()["ev"] == {"a": 0.5, "b": 1.0}


@pytest.fixture
def made(low: Path, tmp_path: Path) -> list[Result]:
    """Three pictures and files they became: each sample doubled."""
    for number, name in enumerate("abc", start=1):
        save(low / f"{name}.png", noise(number, low=10, high=100))
        save(tmp_path / "out" / f"{name}.tif", noise(number, low=10, high=100) * 2)
    return [
        Result(place=PurePath(f"{n}.tif"), low=low / f"{n}.png", result=tmp_path / "out" / f"{n}.tif") for n in "abc"
    ]


def test_results_score_as_the_model_that_made_them(low: Path, high: Path, made: list[Result]) -> None:
    for number, name in enumerate("abc", start=4):
        save(high / f"{name}.png", noise(number))
    seen: list[tuple[int, int]] = []
    found = evaluate_results(made, high, progress=lambda done, total, _: seen.append((done, total)))
    expected = evaluate(low, high, FakeModels(gain=2.0))
    assert found.pictures == expected.pictures
    assert found.columns == (INPUT, OUTPUT)
    assert found.protocol.startswith(expected.protocol.partition("; output")[0])
    assert "as it stands on the disk" in found.protocol
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_results_that_cannot_be_scored_are_listed(high: Path, made: list[Result]) -> None:
    save(high / "a.png", noise(1))
    save(high / "b.png", noise(1, size=(20, 20)))
    made[0].result.write_bytes(b"no picture")
    found = evaluate_results(made, high)
    assert {problem.name for problem in found.problems} == {"a", "b", "c"}
    assert found.exit_code is Exit.ALL_FAILED


def test_results_are_read_under_the_options_of_their_run(high: Path, made: list[Result]) -> None:
    save(high / "a.png", noise(1))
    (problem,) = evaluate_results(made[:1], high, EnhanceOptions(max_pixels=100)).problems
    assert "megapixels" in problem.reason
