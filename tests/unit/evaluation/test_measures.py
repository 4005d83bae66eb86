"""Every measure is described and has a number; summaries leave out what is infinite."""

from __future__ import annotations

import math

from lumen.evaluation import (
    EvalOptions,
    Score,
    score,
)
from lumen.evaluation.measures import MEASURES, summarise
from tests.support.scores import noise


def test_summaries_leave_equal_pictures_out() -> None:
    scores = [Score({"psnr": value, "ssim": 0.5}) for value in (20.0, 26.0, math.inf)]
    assert summarise(scores).psnr == 23
    assert summarise(scores, "median").psnr == 26
    assert summarise(scores, "spread").psnr == 3
    assert summarise([]).values == {}


def test_every_measure_is_described() -> None:
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    assert all(measure.title and measure.definition for measure in MEASURES)
    found = score(noise(1, size=(96, 200)), noise(2, size=(96, 200)), EvalOptions(niqe=True))
    assert [measure.key for measure in MEASURES if measure.key in found.values] == [
        measure.key for measure in MEASURES if measure.key != "lpips"
    ]


def test_a_number_is_printed_with_its_digits_and_a_dash_where_there_is_none() -> None:
    psnr, ssim = MEASURES[:2]
    score = Score({"psnr": 20.126, "ssim": math.nan})
    assert (psnr.text(score), ssim.text(score), psnr.text(Score({})), psnr.text(None)) == ("20.13", "–", "–", "–")
    assert psnr.text(Score({"psnr": math.inf})) == "inf"
