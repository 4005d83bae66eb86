"""Folders, models and results of others side by side: who is scored under which name."""

from __future__ import annotations

import math
from pathlib import Path, PurePath

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lumen.config import DEFAULT_MODEL, EnhanceOptions
from lumen.errors import Exit, UsageError
from lumen.evaluation import (
    INPUT,
    OUTPUT,
    EvalOptions,
    evaluate,
    evaluate_results,
    score,
)
from lumen.evaluation.pairs import Matching, Result
from tests.support.fakes import FakeModels
from tests.support.scores import noise, save


def test_output_is_scored_beside_the_input(low: Path, high: Path) -> None:
    dark = noise(1, low=10, high=100)
    save(low / "a.png", dark)
    save(high / "a.png", dark * 2)
    report = evaluate(low, high, FakeModels(gain=2.0))
    assert report.columns == (INPUT, OUTPUT)
    assert report.pictures[0].scores[INPUT] == score(dark, dark * 2, source=dark)
    assert math.isinf(report.pictures[0].scores[OUTPUT].psnr)
    assert report.pictures[0].scores[OUTPUT].ssim == pytest.approx(1.0)
    assert report.exit_code is Exit.OK


def test_as_is_scores_the_file_and_runs_no_model(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert report.pictures[0].scores == {OUTPUT: score(noise(1), noise(2))}
    assert "as it is" in report.protocol


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


def test_unmatched_names_come_with_the_report(low: Path, high: Path) -> None:
    for path in (low / "a.png", high / "a.png", high / "b.png"):
        save(path, noise(1))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert [problem.name for problem in report.problems] == ["b"]
    assert report.exit_code is Exit.SOME_FAILED


@pytest.mark.parametrize("inside", ["low", "low/results", "high"])
def test_save_among_the_inputs_is_refused(low: Path, high: Path, tmp_path: Path, inside: str) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(2))
    with pytest.raises(UsageError, match="--save"):
        evaluate(low, high, FakeModels(), EvalOptions(save=tmp_path / inside))


def test_without_models_only_files_can_be_scored(low: Path, high: Path) -> None:
    with pytest.raises(UsageError, match="as_is"):
        evaluate(low, high, {})


def test_paths_may_be_strings_and_models_names(low: Path, high: Path, tmp_path: Path, fake_model: Path) -> None:
    save(low / "a.png", noise(1, low=10, high=100))
    save(high / "a.png", noise(1, low=10, high=100) * 2)
    options = EvalOptions(save=str(tmp_path / "kept"))  # type: ignore[arg-type]  # of programs without types
    for models in (str(fake_model), fake_model, {OUTPUT: fake_model}):
        assert evaluate(str(low), str(high), models, options).equal(OUTPUT) == 1
    as_is = EvalOptions(as_is=True)
    assert evaluate(low, str(high), options=as_is, results={"tool": str(tmp_path / "kept")}).equal("tool") == 1


def test_the_bundled_model_is_the_default(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1, low=10, high=100))
    save(high / "a.png", noise(1, low=10, high=100) * 2)
    report = evaluate(low, high)
    assert report.columns == (INPUT, OUTPUT)
    assert DEFAULT_MODEL in report.protocol


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
    assert "as read back from the disk" in found.protocol
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


def test_models_and_results_of_others_are_scored_beside_each_other(tmp_path: Path) -> None:
    low, high, tool = tmp_path / "low", tmp_path / "high", tmp_path / "tool"
    save(low / "a.png", noise(1, high=100))
    save(high / "a.png", noise(1, high=100) * 2)
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
    assert scores["tool"] == score(noise(5), noise(1, high=100) * 2, source=noise(1, high=100))
    assert set(report.pictures[0].evs) == {"one match_brightness", "two match_brightness"}
    assert report.main == "one"


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
    save(tmp_path / "low" / "a.png", noise(1, size=(200, 300), high=100))
    report = evaluate(tmp_path / "low", None, FakeModels(gain=2.0), EvalOptions(niqe=True, baselines=("gamma",)))
    assert report.columns == ("input", "output", "gamma")
    assert report.measures[0].key == "niqe"
    assert report.scores("reference") == []
    output = report.pictures[0].scores["output"]
    assert output.values.get("psnr") is None and output.values["niqe"] > 0
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
