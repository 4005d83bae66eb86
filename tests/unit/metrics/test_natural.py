"""NIQE against a plain implementation written after the paper with scipy, and against what it must do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import scipy.special
from PIL import Image, ImageFilter

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.errors import DataError, ModelError
from lumen.imaging.picture import gray_of
from lumen.metrics.natural import (
    BLOCK_PX,
    NaturalModel,
    block_features,
    bundled_model,
    fit_model,
    half_size,
    niqe,
    read_model,
)
from tests.conftest import ROOT

Array = npt.NDArray[Any]
NDIMAGE: Any = scipy.ndimage
SPECIAL: Any = scipy.special


def photo(name: str) -> npt.NDArray[np.uint8]:
    """Return the luma of a part of an example."""
    pixels = displayed_8bit(read_picture(ROOT / "examples" / "reference" / f"{name}.jpg"))
    return np.asarray(gray_of(pixels[: 2 * BLOCK_PX + 17, : 3 * BLOCK_PX + 5]), np.uint8)


def plain_fit(values: Array) -> tuple[float, float, float]:
    """Fit an asymmetric generalised Gaussian by moment matching, trying every shape."""
    shapes = np.arange(0.2, 10.001, 0.001)
    moments = SPECIAL.gamma(2 / shapes) ** 2 / (SPECIAL.gamma(1 / shapes) * SPECIAL.gamma(3 / shapes))
    left, right = (np.sqrt(np.mean(part**2)) for part in (values[values < 0], values[values > 0]))
    ratio = left / right
    wanted = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    wanted *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = shapes[np.argmin((moments - wanted) ** 2)]
    scale = np.sqrt(SPECIAL.gamma(1 / shape) / SPECIAL.gamma(3 / shape))
    return float(shape), float(left * scale), float(right * scale)


def plain_features(block: Array) -> list[float]:
    shape, left, right = plain_fit(block)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = plain_fit(block * np.roll(block, shift, axis=(0, 1)))
        found += [shape, (right - left) * SPECIAL.gamma(2 / shape) / SPECIAL.gamma(1 / shape), left, right]
    return found


def plain_niqe(gray: Array, model: NaturalModel) -> float:
    """Score a picture block by block."""
    rows, columns = gray.shape[0] // BLOCK_PX, gray.shape[1] // BLOCK_PX
    image = gray[: rows * BLOCK_PX, : columns * BLOCK_PX].astype(np.float64)
    y, x = np.mgrid[-3:4, -3:4]
    window = np.exp(-(x**2 + y**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    scales = []
    for side in (BLOCK_PX, BLOCK_PX // 2):
        mean = NDIMAGE.convolve(image, window, mode="nearest")
        spread = np.sqrt(np.abs(NDIMAGE.convolve(image**2, window, mode="nearest") - mean**2))
        contrast = np.where(np.abs(image - mean) < 1e-9, 0, image - mean) / (spread + 1)
        scales.append(
            [
                plain_features(contrast[r * side : (r + 1) * side, c * side : (c + 1) * side])
                for r in range(rows)
                for c in range(columns)
            ]
        )
        image = half_size(image)
    features = np.hstack([np.array(scale) for scale in scales])
    difference = model.mean - features.mean(axis=0)
    return float(np.sqrt(difference @ np.linalg.pinv((model.covariance + np.cov(features.T)) / 2) @ difference))


@pytest.mark.parametrize("name", ["otters", "spices"])
def test_the_score_is_that_of_a_plain_implementation(name: str) -> None:
    gray = photo(name)
    assert niqe(gray) == pytest.approx(plain_niqe(gray, bundled_model()), abs=1e-6)


# What the function `niqe` of pyiqa 0.1.16 gives for these crops with the package's own model. It counts the
# signs of rounding errors too, which shows where a picture is flat (otters).
PYIQA = {"otters": 11.45188, "spices": 3.45012}


@pytest.mark.parametrize(("name", "score"), PYIQA.items())
def test_the_score_is_that_of_a_public_implementation(name: str, score: float) -> None:
    assert niqe(photo(name)) == pytest.approx(score, abs=5e-3)


def test_half_size_is_a_cubic_that_does_not_alias() -> None:
    ramp = np.add.outer(np.arange(40.0), 3 * np.arange(60.0))
    inside = np.s_[3:-3, 3:-3]
    assert half_size(ramp)[inside] == pytest.approx(ramp.reshape(20, 2, 30, 2).mean(axis=(1, 3))[inside])
    stripes = np.tile([0.0, 255.0], (40, 30))
    assert np.ptp(half_size(stripes)[inside]) < 1e-9
    # Pillow's antialiased cubic has the same shape; it treats edges in its own way.
    noise = np.random.default_rng(1).uniform(0, 255, (64, 80)).astype(np.float32)
    expected = np.asarray(Image.fromarray(noise).resize((40, 32), Image.Resampling.BICUBIC))
    assert half_size(noise)[inside] == pytest.approx(expected[inside], abs=1e-3)


def test_blur_noise_and_compression_are_further_from_nature() -> None:
    gray = photo("otters")
    blurred = np.asarray(Image.fromarray(gray).filter(ImageFilter.GaussianBlur(2)))
    noise = np.random.default_rng(0).normal(0, 20, gray.shape)
    noisy = np.clip(np.rint(gray + noise), 0, 255).astype(np.uint8)
    assert niqe(blurred) > niqe(gray) + 1
    assert niqe(noisy) > niqe(gray) + 1


def test_a_model_finds_its_own_pictures_natural() -> None:
    """Fitted on noise, it takes noise for natural and a photograph for odd."""
    rng = np.random.default_rng(2)
    noise = [rng.integers(0, 256, (5 * BLOCK_PX, 5 * BLOCK_PX)).astype(np.uint8) for _ in range(3)]
    model = fit_model(noise[:2], "noise")
    assert niqe(noise[2], model) < 3 < niqe(photo("otters"), model)
    assert niqe(photo("otters")) < niqe(noise[2])


def test_flat_blocks_are_left_out_and_too_few_are_refused() -> None:
    gray = photo("otters")
    half_black = gray.copy()
    half_black[:, :BLOCK_PX] = 0
    assert len(block_features(gray)[0]) == 6
    assert len(block_features(half_black)[0]) == 4
    for picture in (np.zeros_like(gray), gray[:BLOCK_PX, :BLOCK_PX], gray[:50]):
        with pytest.raises(DataError, match="at least two blocks of 96x96"):
            niqe(picture)


def test_models_come_from_files(tmp_path: Path) -> None:
    model, gray = bundled_model(), photo("otters")
    (tmp_path / "m.json").write_text(json.dumps(model.as_dict()))
    np.savez(tmp_path / "m.npz", mu_pris_param=model.mean[None], cov_pris_param=model.covariance)
    for name in ("m.json", "m.npz"):
        assert niqe(gray, read_model(tmp_path / name)) == pytest.approx(niqe(gray), abs=1e-9)
    for name, content in (
        ("a.json", "{}"),
        ("b.json", "no"),
        ("c.npz", "no"),
        ("d.json", '{"name":"","mean":1,"covariance":1}'),
        ("e.json", "[" * 100_000 + "]" * 100_000),
        ("f.json", f'{{"name":"","mean":[{"9" * 400}],"covariance":1}}'),
        ("g.json", json.dumps({"name": "", "mean": [math.nan] * 36, "covariance": [[1.0] * 36] * 36})),
        ("h.npz", "PK\x03\x04 and no more"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ModelError, match="NIQE model"):
            read_model(tmp_path / name)
