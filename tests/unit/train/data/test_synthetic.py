"""Darkened photographs."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.color.srgb import linear_to_srgb, srgb_to_linear
from lumen.train.data.synthetic import NIGHT_NOISE, backlight, blank, darken, encode_srgb, night, saturate
from tests.support.training import scene


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


def test_night_is_drawn_as_measured() -> None:
    flat = np.full((48, 48, 3), 124, np.uint8)  # linear light 0.2
    nights = [night(flat, np.random.default_rng(seed)).astype(np.float64) for seed in range(200)]
    light = srgb_to_linear(np.array([n.mean(axis=(0, 1)) for n in nights]) / 255)
    stops = np.log2(light[:, 1].clip(1e-5) / 0.2)
    assert -6.2 < np.median(stops) < -4.8
    cast = np.log(light[:, [0, 2]].clip(1e-5) / light[:, 1:2].clip(1e-5))[stops > -5.5]
    assert np.all(cast.std(axis=0) > 0.1)
    visible = [n for n in nights if n.mean() > 15]  # less light is cut off at 0
    assert np.median([n.std(axis=(0, 1)) for n in visible], axis=0) == pytest.approx(np.array(NIGHT_NOISE), rel=0.15)
    assert np.array_equal(nights[7], night(flat, np.random.default_rng(7)))


def test_saturation_keeps_grey_and_scales_colours() -> None:
    grey, colour = np.full((2, 2, 3), 90, np.uint8), np.array([[[100, 120, 140]]], np.uint8)
    assert np.array_equal(saturate(grey, 3.0), grey)
    assert saturate(colour, 2.0).tolist() == [[[80, 120, 160]]]
    assert saturate(colour, 0.0).tolist() == [[[120, 120, 120]]]
    assert saturate(np.array([[[0, 120, 240]]], np.uint8), 2.0).tolist() == [[[0, 120, 255]]]


def test_dark_places_lose_light_and_the_order_of_levels_stays() -> None:
    room = np.full((48, 64, 3), 60, np.uint8)
    room[:, 40:] = 220  # a window
    room[20:28, 10:14] = 200  # a lamp in the room
    results = [backlight(room, np.random.default_rng(seed)) for seed in range(10)]
    for result in results:
        assert result[4, 4].max() < 45
        assert np.abs(result[:, 56:].astype(int) - 220).max() <= 1
        assert result[4, 4, 0] < result[24, 12, 0] < 220
    assert len({int(result[4, 4, 0]) for result in results}) > 4
    even = np.full((48, 64, 3), 60, np.uint8)
    assert np.abs(backlight(even, np.random.default_rng(0)).astype(int) - even).max() <= 1


def test_blank_frames_are_dark() -> None:
    frames = [blank(np.random.default_rng(seed)) for seed in range(60)]
    means = np.array([frame.mean() for frame in frames])
    assert means.max() < 40 and np.median(means) < 12
    assert any(frame.max() > 200 for frame in frames), "stars"
    assert any(frame.std() < 6 for frame in frames)
