"""Channel, border, data range, several methods, no references: the same numbers as by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lumen.errors import DataError, UsageError
from lumen.evaluation import EvalOptions, EvalReport, PictureScores, Score, evaluate, score
from lumen.evaluation.measures import MEASURES, summarise
from lumen.evaluation.pairs import Matching
from lumen.metrics.fidelity import luma
from tests.support.fakes import FakeModels

Pixels = NDArray[np.uint8]


def noise(seed: int, *, size: tuple[int, int] = (40, 52), top: int = 256) -> Pixels:
    return np.random.default_rng(seed).integers(0, top, (*size, 3)).astype(np.uint8)


def save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def skimage_ssim(first: NDArray[Any], second: NDArray[Any], top: float, axis: int | None) -> float:
    found: float = structural_similarity(
        first, second, data_range=top, channel_axis=axis, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return found


def test_luma_is_compared_unrounded() -> None:
    a, b = noise(1), noise(2)
    found = score(a, b, EvalOptions(channel="y"))
    first, second = (x @ np.array([0.299, 0.587, 0.114]) for x in (a, b))
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(second, first, data_range=255), abs=1e-9)
    assert found.ssim == pytest.approx(skimage_ssim(first, second, 255, None), abs=1e-9)
    assert found.psnr != pytest.approx(score(a, b).psnr, abs=0.1)
    assert luma(a) == pytest.approx(first)


def test_a_border_is_left_out_of_everything() -> None:
    a, b = noise(1), noise(2)
    assert score(a, b, EvalOptions(border_px=6)) == score(a[6:-6, 6:-6], b[6:-6, 6:-6])
    with pytest.raises(DataError, match="--border 20"):
        score(a, b, EvalOptions(border_px=20))


def test_sixteen_bits_are_compared_where_asked(tmp_path: Path) -> None:
    deep = np.random.default_rng(3).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    other = np.clip(deep.astype(int) + 90, 0, 65535).astype(np.uint16)
    for folder, pixels in (("low", deep), ("high", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    save(tmp_path / "low" / "b.png", noise(1))
    save(tmp_path / "high" / "b.png", noise(2))
    report = evaluate(tmp_path / "low", tmp_path / "high", None, EvalOptions(as_is=True, data_range=65535))
    found = report.pictures[0].scores["output"]
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(other, deep, data_range=65535), abs=1e-9)
    assert found.ssim == pytest.approx(skimage_ssim(other, deep, 65535, 2), abs=1e-9)
    assert report.pictures[1].scores["output"].psnr == pytest.approx(score(noise(1), noise(2)).psnr, abs=1e-9)
    assert "data range 65535" in report.protocol and "16 bit" in report.protocol


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channel": "l"}, "--channel"),
        ({"border_px": -1}, "--border"),
        ({"data_range": 1}, "--data-range 255 or 65535"),
        ({"baselines": ("x",)}, "--baseline"),
        ({"baselines": ("gamma", "gamma")}, "each baseline once"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EvalOptions(**options)


def test_models_and_results_of_others_are_scored_beside_each_other(tmp_path: Path) -> None:
    low, high, tool = tmp_path / "low", tmp_path / "high", tmp_path / "tool"
    save(low / "a.png", noise(1, top=100))
    save(high / "a.png", noise(1, top=100) * 2)
    save(tool / "a.png", noise(5))
    models = {"one": FakeModels(gain=2.0), "two": FakeModels(gain=1.0)}
    options = EvalOptions(baselines=("gamma",), gt_mean=True, match_brightness=True)
    report = evaluate(low, high, models, options, results={"tool": tool})
    kinds = {"one": ("gt_mean", "match_brightness"), "two": ("gt_mean", "match_brightness"), "tool": ("gt_mean",)}
    kinds["gamma"] = ("gt_mean",)
    assert report.columns == ("input", *(c for m, more in kinds.items() for c in (m, *(f"{m} {k}" for k in more))))
    scores = report.pictures[0].scores
    assert math.isinf(scores["one"].psnr)
    assert scores["two"] == scores["input"]
    assert scores["tool"] == score(noise(5), noise(1, top=100) * 2)
    assert set(report.pictures[0].evs) == {"one match_brightness", "two match_brightness"}
    assert report.main == "one"


def test_baselines_are_made_of_the_input_and_scored_at_its_depth(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    save(low / "a.png", noise(1, top=60))
    save(high / "a.png", noise(1))
    for top in (255, 65535):
        options = EvalOptions(as_is=True, baselines=("gamma:3",), data_range=top)
        report = evaluate(low, high, None, options)
        made = np.rint(255 * (noise(1, top=60) / 255) ** (1 / 3)).astype(np.uint8)
        assert report.mean("gamma:3").psnr == pytest.approx(score(made, noise(1)).psnr, abs=1e-9)


@pytest.mark.parametrize("name", ["input", "reference", "gamma"])
def test_names_that_are_taken_are_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a" / "a.png", noise(1))
    with pytest.raises(UsageError, match="name of its own"):
        evaluate(
            None,
            tmp_path / "a",
            None,
            EvalOptions(as_is=True, baselines=("gamma",)),
            results={name: tmp_path / "a"},
        )


def test_without_references_nothing_is_compared(tmp_path: Path) -> None:
    save(tmp_path / "low" / "a.png", noise(1, size=(200, 300), top=100))
    report = evaluate(tmp_path / "low", None, FakeModels(gain=2.0), EvalOptions(niqe=True, baselines=("gamma",)))
    assert report.columns == ("input", "output", "gamma")
    assert report.measured[0] == "niqe"
    assert report.scores("reference") == []
    output = report.pictures[0].scores["output"]
    assert output.get("psnr") is None and output.values["niqe"] > 0
    assert report.warnings == ()


def test_references_of_folders_reach_the_scores(tmp_path: Path) -> None:
    for name in ("1", "2"):
        save(tmp_path / "low" / "scene" / f"{name}.png", noise(int(name)))
    save(tmp_path / "high" / "scene.png", noise(2))
    report = evaluate(
        tmp_path / "low", tmp_path / "high", None, EvalOptions(as_is=True), matching=Matching(gt_per_folder=True)
    )
    assert [math.isinf(picture.scores["output"].psnr) for picture in report.pictures] == [False, True]
    assert report.problems == ()


def test_summaries_leave_equal_pictures_out() -> None:
    scores = [Score({"psnr": value, "ssim": 0.5}) for value in (20.0, 26.0, math.inf)]
    assert summarise(scores).psnr == 23
    assert summarise(scores, "median").psnr == 26
    assert summarise(scores, "spread").psnr == 3
    assert summarise([]).values == {}


def test_the_worst_come_first_by_the_method_and_not_by_the_input() -> None:
    def picture(name: str, before: float, after: float) -> PictureScores:
        scores = {"input": Score({"psnr": before}), "output": Score({"psnr": after})}
        return PictureScores(name=name, width=1, height=1, scores=scores)

    pictures = (picture("a", 1, 20), picture("b", 9, 10), picture("c", 5, math.inf))
    report = EvalReport(pictures=pictures, problems=(), protocol="")
    assert [picture.name for picture in report.ranked()] == ["b", "a", "c"]


def test_every_measure_is_described() -> None:
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    assert all(measure.title and measure.definition for measure in MEASURES)
    found = score(noise(1, size=(96, 200)), noise(2, size=(96, 200)), EvalOptions(niqe=True))
    assert [measure.key for measure in MEASURES if measure.key in found.values] == [
        measure.key for measure in MEASURES if measure.key != "lpips"
    ]
