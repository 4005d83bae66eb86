"""Every measure is described and has a number; what several need is computed once; summaries are finite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lumen.evaluation import EvalOptions, Score, measures, score
from lumen.evaluation.measures import MEASURES, Subject, summarise
from lumen.evaluation.scoring import Scorer
from tests.support.scores import noise


def test_summaries_leave_equal_pictures_out() -> None:
    scores = [Score({"psnr": value, "ssim": 0.5}) for value in (20.0, 26.0, math.inf)]
    assert summarise(scores).psnr == 23
    assert summarise(scores, "median").psnr == 26
    assert summarise(scores, "spread").psnr == 3
    assert summarise([]).values == {}


def test_summaries_of_errors_with_a_sign_are_those_of_their_size() -> None:
    scores = [Score({"stops": value, "chroma": 0.5}) for value in (-1.0, 0.5, 3.0, -math.inf)]
    assert summarise(scores).values == {"stops": 1.5, "chroma": 0.5}
    assert summarise(scores, "median").values["stops"] == 2.0
    assert summarise([Score({"stops": -2.0})], "spread").values["stops"] == 0


def test_tone_is_measured_inside_the_border_and_after_rounding() -> None:
    colours = np.full((24, 32, 3), (200, 40, 40), np.uint8)
    framed = colours.copy()
    framed[:4] = framed[-4:] = framed[:, :4] = framed[:, -4:] = 255
    found = score(framed, colours, EvalOptions(border_px=4), source=colours // 2).values
    assert (found["stops"], found["chroma"], found["newly_clipped"]) == (0, 1, 0)
    deep = Scorer(EvalOptions(data_range=65535))
    found = deep.score(*(deep.deep(each) for each in (colours * 1, colours // 2, colours // 4))).values
    assert found["stops"] == pytest.approx(1) and found["chroma"] > 1 and found["newly_clipped"] == 0


def test_every_measure_is_described() -> None:
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    assert all(measure.title and measure.definition for measure in MEASURES)
    first, second, third = (noise(seed, size=(96, 200)) for seed in range(3))
    found = score(first, second, EvalOptions(niqe=True), source=third)
    assert [measure.key for measure in MEASURES if measure.key in found.values] == [
        measure.key for measure in MEASURES if measure.key != "lpips"
    ]


def test_a_number_is_printed_with_its_digits_and_a_dash_where_there_is_none() -> None:
    psnr, ssim = MEASURES[:2]
    score = Score({"psnr": 20.126, "ssim": math.nan})
    assert (psnr.text(score), ssim.text(score), psnr.text(Score({})), psnr.text(None)) == ("20.13", "–", "–", "–")
    assert psnr.text(Score({"psnr": math.inf})) == "inf"
    assert psnr.text(Score({"psnr": -0.004})) == "0.00"


@pytest.mark.parametrize("name", ["mse", "statistics"])
def test_shared_work_is_done_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    work, calls = getattr(measures, name), 0

    def counted(*pictures: Any) -> Any:
        nonlocal calls
        calls += 1
        return work(*pictures)

    monkeypatch.setattr(measures, name, counted)
    score(noise(1), noise(2))
    assert calls == 1


def test_deep_pictures_are_shown_rounded_and_compared_as_they_are() -> None:
    deep = noise(1, high=255).astype(np.uint16) * 257 + 100
    found = Subject(pixels=deep, truth=deep, channel="rgb", data_range=65535)
    assert found.pair[0] is deep
    assert np.array_equal(found.pixels_8bit, noise(1, high=255)) and found.pixels_8bit.dtype == np.uint8
    assert Subject(pixels=deep, truth=deep, channel="y", data_range=65535).pair[0].ndim == 2
