"""Darkened photographs."""

from __future__ import annotations

import numpy as np

from lumen.imaging.color import linear_to_srgb, srgb_to_linear
from lumen.train.synthetic import darken, encode_srgb
from tests.unit.train.helpers import scene


def test_the_table_is_the_transfer_function() -> None:
    light = np.linspace(0, 1, 5000, dtype=np.float32)
    assert np.abs(encode_srgb(light) - linear_to_srgb(light)).max() < 0.5 / 255
    assert np.allclose(linear_to_srgb(srgb_to_linear(light)), light, atol=1e-5)


def test_darkening_is_drawn_and_repeatable() -> None:
    photo = scene(0)
    results = [darken(photo, np.random.default_rng(seed), 5.0) for seed in range(30)]
    assert all(r.dtype == np.uint8 and r.shape == photo.shape for r in results)
    means = np.array([r.mean() for r in results])
    assert means.min() < 0.3 * photo.mean()
    assert np.median(means) < photo.mean()
    assert np.array_equal(results[3], darken(photo, np.random.default_rng(3), 5.0))


def test_darker_means_noisier() -> None:
    flat = np.full((64, 64, 3), 180, np.uint8)

    def relative_noise(ev: float) -> float:
        noise = [darken(flat, np.random.default_rng(seed), ev).std(axis=(0, 1)).mean() for seed in range(20)]
        means = [darken(flat, np.random.default_rng(seed), ev).mean() for seed in range(20)]
        return float(np.mean(np.array(noise) / np.maximum(means, 1)))

    assert relative_noise(6.0) > 1.5 * relative_noise(0.0)
