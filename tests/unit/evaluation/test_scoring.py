"""Channel, border and data range: the same numbers as by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lumen.errors import DataError
from lumen.evaluation import EvalOptions, evaluate, score, scoring
from lumen.metrics.fidelity import luma
from tests.support.scores import noise, save

QUICK = {"psnr", "ssim", "mae", "mse", "stops", "chroma"}


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


def test_what_is_slow_is_left_out_under_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "Lpips", lambda _paths: lambda _first, _second: 0.25)
    scorer = scoring.Scorer(EvalOptions(niqe=True, lpips=(Path("weights"),)))
    first, second = noise(1, size=(96, 200)), noise(2, size=(96, 200))
    found = scorer.score(first, second)
    assert found.values["lpips"] == 0.25
    assert found.values["niqe"] > 0
    assert set(scorer.compare(first, second).values) == QUICK
    alone = scorer.score(first, None)
    assert alone.values == {key: value for key, value in found.values.items() if key not in {*QUICK, "lpips"}}
